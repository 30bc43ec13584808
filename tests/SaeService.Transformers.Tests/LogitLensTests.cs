using System.Runtime.InteropServices;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Transformers.Tests;

public sealed class LogitLensTests
{
    [Theory]
    [InlineData("bert-default")]
    [InlineData("gemma2-default")]
    [InlineData("gpt2-default")]
    [InlineData("llama-default")]
    [InlineData("opt-default")]
    [InlineData("roberta-default")]
    public void At_the_last_layer_it_says_what_the_model_says(string fixture)
    {
        using var variant = new Variant(fixture);
        using var model = variant.Load();
        Assert.SkipUnless(model.HasHead, "no language-model head");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var ids = tensor(variant.Inputs().Item1).narrow(0, 0, 1);
        float[] streams = [];
        var logits = model.Forward(ids, null, (point, block, value) =>
        {
            if (point == HookPoint.ResidPost && block == model.Description.Layers - 1)
                streams = MemoryMarshal.Cast<byte, float>(value.to(ScalarType.Float32).contiguous().bytes).ToArray();
            return null;
        }, logits: true)!;
        var expected = nn.functional.softmax(logits[0].to(ScalarType.Float32), -1); // [T, V]

        // One stream at a time, and all at once: chunks do not matter.
        foreach (var atOnce in new long[] { 1, 8L << 20 })
        {
            var said = LogitLens.Top(model, streams, 3, atOnce);
            Assert.Equal(ids.shape[1], said.Length);
            for (var t = 0; t < said.Length; t++)
            {
                var p = MemoryMarshal.Cast<byte, float>(expected[t].contiguous().bytes).ToArray();
                Assert.Equal(p.OrderDescending().Take(3).ToArray(), said[t].Select(x => x.Probability).ToArray(), (a, b) => Math.Abs(a - b) < 1e-5);
                Assert.All(said[t], x => Assert.Equal(p[x.Token], x.Probability, 1e-5));
            }
        }
    }
}
