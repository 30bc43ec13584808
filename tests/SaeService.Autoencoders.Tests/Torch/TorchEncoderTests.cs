using SaeService.Autoencoders.Torch;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Tests.Torch;

/// <summary>The batch's top-k, chunk by chunk and from a guessed floor, against sorting all of it.</summary>
public sealed class TorchEncoderTests
{
    private const int Rows = 37, Latents = 50, K = 3;

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(37)]
    public void The_largest_of_a_batch_are_found_whatever_the_batch_before_was(int rowsAtATime)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var (w, b) = (randn(Latents, 8), randn(Latents) * 0.1);
        var encoder = new TorchEncoder(empty(rowsAtATime * Latents));
        // The third batch has a tenth of the values that the second left a floor from; the fourth has ten times as many above it.
        foreach (var scale in new[] { 1, 1, 0.1, 1 })
        {
            var x = randn(Rows, 8) * scale;
            var pre = (x.mm(w.t()) + b).relu();                             // [B, F]
            var (expected, _) = pre.view(-1).topk(Rows * K, 0);
            var (chosen, least) = encoder.BatchTopK(x, w, b, Rows * K);
            Assert.Equal(expected.min().item<float>(), least, 1e-5f);
            Assert.Equal(Rows * K, chosen.Value.numel());
            Assert.True(allclose(expected, chosen.Value.sort(0, descending: true).Values, 1e-5, 1e-6));
            Assert.True(allclose(pre.view(-1).index_select(0, chosen.Row * Latents + chosen.Latent), chosen.Value, 1e-5, 1e-6));
            var at = (chosen.Row * Latents + chosen.Latent).data<long>().ToArray();
            Assert.Equal(at.Order().Distinct(), at);                        // by rows, then latents, none twice
        }
    }

    [Fact]
    public void Where_fewer_are_positive_than_wanted_all_of_them_are_kept()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var (x, w) = (randn(Rows, 8), randn(Latents, 8));
        var b = full(Latents, -6f);
        var encoder = new TorchEncoder(empty(5 * Latents));
        var positive = (x.mm(w.t()) + b > 0).sum().item<long>();
        Assert.InRange(positive, 1, Rows * K - 1);
        var (chosen, least) = encoder.BatchTopK(x, w, b, Rows * K);
        Assert.Equal(positive, chosen.Value.numel());
        Assert.True((chosen.Value > 0).all().item<bool>());
        Assert.Equal(0, least);
        var (none, _) = encoder.BatchTopK(x, w, full(Latents, -1000f), Rows * K);
        Assert.Equal(0, none.Value.numel());
    }

    [Fact]
    public void A_token_without_positive_values_has_entries_of_0()
    {
        using var scope = NewDisposeScope();
        var w = eye(6);
        var x = tensor(new float[] { 1, 2, 3, -4, -5, -6, -1, -1, -1, -1, -1, -1 }).reshape(2, 6);
        var chosen = new TorchEncoder(empty(6)).TopK(x, w, zeros(6), 4);
        Assert.Equal([0, 1, 2, 3], chosen.Value.narrow(0, 0, 4).data<float>().ToArray().Order());
        Assert.Equal([0, 0, 0, 0], chosen.Value.narrow(0, 4, 4).data<float>().ToArray());
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1], chosen.Row.data<long>().ToArray());
    }
}
