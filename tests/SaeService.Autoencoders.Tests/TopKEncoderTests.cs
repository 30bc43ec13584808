using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed unsafe class TopKEncoderTests
{
    [Theory]
    [InlineData(1, 16, 4, 1)]
    [InlineData(8, 16, 4, 7)]
    [InlineData(20, 100, 5, 300)]
    [InlineData(48, 513, 32, 130)]
    [InlineData(16, 40, 40, 9)]
    public void Equals_a_sort_of_the_fused_chains(int d, int latents, int k, int rows)
    {
        var random = new Random(d);
        var sae = Autoencoder(d, latents, k, (_, _) => (float)Scratch.Normal(random), _ => (float)Scratch.Normal(random) * 0.1f);
        var x = Enumerable.Range(0, rows * d).Select(_ => (float)Scratch.Normal(random)).ToArray();
        // Twice, because the second batch starts from guessed thresholds; row norms that vary make the guess fail for some.
        for (var i = 0; i < x.Length; i++)
            x[i] *= 1 + i / d % 3 * 5;
        for (var round = 0; round < 2; round++)
            AssertSorted(sae, x, sae.Encode(x, rows));
    }

    [Fact]
    public void Ties_go_to_the_lower_latent_and_nothing_that_is_not_positive_is_kept()
    {
        // With x = 1 and W = 1 a latent's pre-activation is 1 + bias, exactly.
        float[] bias = [.. Enumerable.Repeat(1f, 200)];
        bias[3] = 2;
        bias[199] = 2;
        bias[0] = -1;
        bias[1] = -5;
        var sae = Autoencoder(1, bias.Length, 4, (_, _) => 1, f => bias[f]);
        var codes = sae.Encode([1f], 1);
        Assert.Equal([2, 3, 4, 199], codes.Index);
        Assert.Equal([2, 3, 2, 3], codes.Value);

        var silent = Autoencoder(1, 50, 4, (_, _) => 1, f => -1 - f % 2).Encode([1f, 0.5f], 2);
        Assert.Equal(0, silent.NonZeros);
        Assert.Equal([0L, 0, 0], silent.Start);
    }

    [Fact]
    public void Every_value_equal_gives_the_first_k_also_after_the_candidate_buffer_overflows()
    {
        var codes = Autoencoder(1, 5000, 7, (_, _) => 1, _ => 0).Encode([1f, 2f, 3f], 3);
        for (var row = 0; row < 3; row++)
            Assert.Equal(Enumerable.Range(0, 7), codes.RowIndex(row).ToArray());
    }

    [Fact]
    public void Ascending_values_overflow_the_buffer_again_and_again_and_denormals_count()
    {
        var rising = Autoencoder(1, 4000, 3, (_, _) => 0, f => (f + 1) * float.Epsilon);
        Assert.Equal([3997, 3998, 3999], rising.Encode([1f], 1).Index);
        var falling = Autoencoder(1, 4000, 3, (_, _) => 0, f => (4000 - f) * float.Epsilon);
        Assert.Equal([0, 1, 2], falling.Encode([1f], 1).Index);
        var mixed = Autoencoder(1, 64, 2, (_, _) => 0, f => f switch { 5 => float.Epsilon, 60 => 1e30f, 9 => -0f, _ => 0 });
        Assert.Equal([5, 60], mixed.Encode([1f], 1).Index);
    }

    [Fact]
    public void Not_finite_input_is_refused_by_row_and_component()
    {
        var sae = Autoencoder(4, 16, 2, (_, _) => 1, _ => 0);
        var x = new float[5000 * 4];
        x[4001 * 4 + 2] = float.NaN;
        Assert.Contains("row 4001, component 2 is NaN", Assert.Throws<ArgumentException>(() => sae.Encode(x, 5000)).Message);
    }

    [Fact]
    public void Any_number_of_threads_gives_the_same_codes()
    {
        var random = new Random(3);
        var x = Enumerable.Range(0, 1000 * 24).Select(_ => (float)Scratch.Normal(random)).ToArray();
        SparseCodes? first = null;
        foreach (var threads in new[] { 1, 2, 3, 8 })
        {
            random = new Random(4);
            var codes = Autoencoder(24, 300, 10, (_, _) => (float)Scratch.Normal(random), _ => 0, threads).Encode(x, 1000);
            first ??= codes;
            Assert.Equal(first.Start, codes.Start);
            Assert.Equal(first.Index, codes.Index);
            Assert.Equal(first.Value, codes.Value);
        }
    }

    private static TopKAutoencoder Autoencoder(int d, int latents, int k, Func<int, int, float> weight, Func<int, float> bias, int? threads = null)
    {
        var p = new TopKParameters(d, latents);
        for (var f = 0; f < latents; f++)
        {
            for (var j = 0; j < d; j++)
                p.WEnc.Slice((long)f * p.Stride, d)[j] = weight(f, j);
            p.BEnc.Span[f] = bias(f);
        }
        return new(p, k, 1, null, new Lanes(threads));
    }

    private static void AssertSorted(TopKAutoencoder sae, float[] x, SparseCodes codes)
    {
        for (var row = 0; row < codes.Rows; row++)
        {
            var pre = new float[sae.DSae];
            for (var f = 0; f < sae.DSae; f++)
            {
                pre[f] = sae.EncoderBias[f];
                for (var j = 0; j < sae.DIn; j++)
                    pre[f] = MathF.FusedMultiplyAdd(x[row * sae.DIn + j], sae.EncoderRow(f)[j], pre[f]);
            }
            var expected = Enumerable.Range(0, sae.DSae).Where(f => pre[f] > 0).OrderByDescending(f => pre[f]).ThenBy(f => f).Take(sae.K).Order().ToArray();
            Assert.Equal(expected, codes.RowIndex(row).ToArray());
            Assert.Equal(expected.Select(f => pre[f]), codes.RowValue(row).ToArray());
        }
    }
}
