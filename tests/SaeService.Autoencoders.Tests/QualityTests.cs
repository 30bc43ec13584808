using Xunit;

namespace SaeService.Autoencoders.Tests;

public sealed class QualityTests
{
    [Fact]
    public void Reconstruction_by_the_mean_has_an_FVU_of_exactly_one()
    {
        using var scratch = new Scratch();
        // Whole numbers whose mean is 100 in every component, so that the mean is a float32.
        using var activations = scratch.Activations(3000, 3, (i, j) => 100 + (i % 2 == 0 ? 1 : -1) * (1 + i / 2 % 5) * (j + 1));
        var quality = Quality.Evaluate(Silent(3, 6, 100), activations, [.. Enumerable.Range(0, 3000)]);
        Assert.Equal(1.0, quality.Fvu);
        Assert.Equal((0.0, 0.0, 6, 1.0), (quality.ExplainedVariance, quality.L0, quality.Dead, quality.DeadShare));
        Assert.Equal(0, quality.LogDensityHistogram.Sum());
    }

    [Theory]
    [InlineData(0.25, 1e-15)]
    [InlineData(7, 1e-12)]
    public void Reconstruction_by_the_float32_nearest_to_the_mean_has_one_up_to_that_rounding(float centre, double tolerance)
    {
        using var scratch = new Scratch();
        var random = new Random(3);
        var x = Enumerable.Range(0, 5000 * 6).Select(_ => (float)(centre + Scratch.Normal(random))).ToArray();
        using var activations = scratch.Activations(5000, 6, (i, j) => x[i * 6 + j]);
        var p = new SaeParameters(6, 4);
        p.BEnc.Span.Fill(-1);
        for (var j = 0; j < 6; j++)
            p.BDec.Span[j] = (float)Enumerable.Range(0, 5000).Average(i => (double)x[i * 6 + j]);
        Assert.Equal(1, Quality.Evaluate(new(p, 2, 1, null, new Lanes()), activations, [.. Enumerable.Range(0, 5000)]).Fvu, tolerance);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1e4)]
    public void Figures_are_those_of_their_definitions_over_chosen_rows_and_blocks(double far)
    {
        const int D = 7, F = 20, Block = 2048;
        using var scratch = new Scratch();
        var random = new Random(1);
        using var activations = scratch.Activations(7000, D, (i, j) => i % 50 == 1 ? 0 : (float)(far + 3 + j % 5 + Scratch.Normal(random)));
        int[] rows = [.. Enumerable.Range(0, 7000).Where(i => i % 3 != 0)];
        var p = new SaeParameters(D, F);
        p.Initialise(2, new Lanes());
        var sae = new SparseAutoencoder(p, 3, 1, null, new Lanes());   // b_dec = 0, far from the mean
        var quality = Quality.Evaluate(sae, activations, rows);

        var all = new float[rows.Length * D];
        activations.Gather(rows, all);
        var codes = sae.Encode(all, rows.Length);
        var reconstructions = new float[all.Length];
        sae.Decode(codes, reconstructions);
        double[][] Rows(float[] values) => [.. values.Select(v => (double)v).Chunk(D)];
        double[][] x = Rows(all), y = Rows(reconstructions);
        double Square(double[] v) => v.Sum(a => a * a);
        double Dot(double[] a, double[] b) => a.Zip(b, (u, v) => u * v).Sum();
        double[] Minus(double[] a, double[] b) => [.. a.Zip(b, (u, v) => u - v)];
        double[] Mean(IEnumerable<double[]> some) => [.. Enumerable.Range(0, D).Select(j => some.Average(r => r[j]))];

        var mean = Mean(x);
        var fvu = x.Zip(y).Sum(r => Square(Minus(r.First, r.Second))) / x.Sum(r => Square(Minus(r, mean)));
        Assert.Equal(fvu, quality.Fvu, 1e-9 * Math.Max(1, fvu));
        Assert.Equal(1 - fvu, quality.ExplainedVariance, 1e-9 * Math.Max(1, fvu));
        var legacy = x.Zip(y).Chunk(Block).SelectMany(block =>
        {
            var own = Mean(block.Select(r => r.First));
            return block.Select(r => 1 - Square(Minus(r.First, r.Second)) / Square(Minus(r.First, own)));
        }).Average();
        Assert.Equal(legacy, quality.ExplainedVarianceLegacy, 1e-7 * Math.Max(1, Math.Abs(legacy)));
        double Cosine(double[] a, double[] b) => Square(a) == 0 || Square(b) == 0 ? 0 : Dot(a, b) / Math.Sqrt(Square(a) * Square(b));
        Assert.Equal(x.Zip(y).Average(r => Cosine(r.First, r.Second)), quality.Cosine, 1e-12);
        Assert.Equal(x.Zip(y).Where(r => Square(r.First) > 0).Average(r => Math.Sqrt(Square(r.Second) / Square(r.First))), quality.NormRatio, 1e-12);
        Assert.Equal(y.Sum(Square) / x.Zip(y).Sum(r => Dot(r.First, r.Second)), quality.RelativeReconstructionBias, 1e-12);
        Assert.Contains(x, r => Square(r) == 0);

        Assert.Equal((double)codes.NonZeros / rows.Length, quality.L0, 1e-12);
        Assert.Equal(Enumerable.Range(0, F).Select(f => codes.Index.LongCount(l => l == f)), quality.Fired);
        Assert.Equal(F - quality.Dead, quality.LogDensityHistogram.Sum());
    }

    [Fact]
    public void The_bias_of_a_reconstruction_is_the_factor_that_was_put_on_it()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Activations(100, 2, (i, j) => j == i % 2 ? 1 + i : 0);   // each row along an axis
        var p = new SaeParameters(2, 2);
        for (var f = 0; f < 2; f++)
            p.WEnc.Span[f * p.Stride + f] = p.WDec.Span[f * p.Stride + f] = 1;
        var exact = Quality.Evaluate(new(p, 1, 1, null, new Lanes()), activations, [.. Enumerable.Range(0, 100)]);
        Assert.Equal((0.0, 1.0, 1.0, 1.0, 1.0), (exact.Fvu, exact.ExplainedVarianceLegacy, exact.Cosine, exact.NormRatio, exact.RelativeReconstructionBias));
        foreach (ref var w in p.WEnc.Span)
            w *= 0.75f;
        var shrunk = Quality.Evaluate(new(p, 1, 1, null, new Lanes()), activations, [.. Enumerable.Range(0, 100)]);
        Assert.Equal((0.75, 0.75), (shrunk.NormRatio, shrunk.RelativeReconstructionBias));
        Assert.Equal(1, shrunk.Cosine, 1e-15);
    }

    [Fact]
    public void Rows_that_do_not_vary_have_no_fraction_of_variance()
    {
        using var scratch = new Scratch();
        using var flat = scratch.Activations(10, 3, (_, j) => j);
        var quality = Quality.Evaluate(Silent(3, 1, 0), flat, [.. Enumerable.Range(0, 10)]);
        Assert.Equal((double.NaN, double.NaN, double.NaN), (quality.Fvu, quality.ExplainedVarianceLegacy, quality.RelativeReconstructionBias));
        Assert.Equal((0.0, 0.0), (quality.Cosine, quality.NormRatio));
        Assert.Equal((0.0, 0.0), (quality.DecoderCosineMean, quality.DecoderCosineMax));   // one latent has no other
    }

    [Theory]
    [InlineData(7, 20, 1)]
    [InlineData(40, 201, 2)]
    [InlineData(16, 64, 3)]
    [InlineData(3, 67, 5)]
    public void Decoder_cosines_are_the_largest_of_all_pairs_whatever_their_sign(int d, int f, int threads)
    {
        var p = new SaeParameters(d, f);
        p.Initialise(d, new Lanes());
        for (var j = 0; j < d; j++)
        {
            p.WDec.Span[5 * p.Stride + j] = 0;
            p.WDec.Span[(f - 1) * p.Stride + j] = -3 * p.WDec.Span[2 * p.Stride + j];   // from behind, and longer
        }
        var sae = new SparseAutoencoder(p, 1, 1, null, new Lanes());
        var found = DecoderCosines.Largest(sae, new Lanes(threads));
        double Dot(int a, int b) => sae.DecoderRow(a).ToArray().Zip(sae.DecoderRow(b).ToArray(), (u, v) => (double)u * v).Sum();
        double[] expected = [.. Enumerable.Range(0, f).Select(a => Enumerable.Range(0, f).Where(b => b != a && a != 5 && b != 5)
            .Select(b => Math.Abs(Dot(a, b)) / Math.Sqrt(Dot(a, a) * Dot(b, b))).DefaultIfEmpty(0).Max())];
        Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 2e-6));
        Assert.Equal(0, found[5]);
        Assert.Equal(1, found[2], 1e-6);
        Assert.Equal(found, DecoderCosines.Largest(sae, new Lanes(1)));

        using var scratch = new Scratch();
        using var activations = scratch.Noise(10, d);
        var quality = Quality.Evaluate(sae, activations, [0, 1, 2]);
        Assert.Equal((found.Average(c => (double)c), (double)found.Max()), (quality.DecoderCosineMean, quality.DecoderCosineMax));
    }

    /// <summary>Nothing ever fires, and x̂ is the same everywhere.</summary>
    private static SparseAutoencoder Silent(int d, int f, float reconstruction)
    {
        var p = new SaeParameters(d, f);
        p.Initialise(1, new Lanes());
        p.BEnc.Span.Fill(-1e6f);
        p.BDec.Slice(0, d).Fill(reconstruction);
        return new(p, Math.Min(2, f), 1, null, new Lanes());
    }
}
