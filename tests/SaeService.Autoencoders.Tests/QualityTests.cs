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
        var p = new TopKParameters(3, 6);
        p.Initialise(1, new Lanes());
        p.BEnc.Span.Fill(-1e6f);   // nothing ever fires
        p.BDec.Slice(0, 3).Fill(100);
        var quality = Quality.Evaluate(new(p, 2, 1, null, new Lanes()), activations, [.. Enumerable.Range(0, 3000)]);
        Assert.Equal(1.0, quality.Fvu);
        Assert.Equal((0.0, 0.0, 6, 1.0), (quality.ExplainedVariance, quality.L0, quality.Dead, quality.DeadShare));
        Assert.Equal(0, quality.LogDensityHistogram.Sum());
    }

    [Fact]
    public void Sums_agree_with_their_definitions_over_chosen_rows_and_blocks()
    {
        using var scratch = new Scratch();
        using var activations = scratch.Noise(5000, 7);
        int[] rows = [.. Enumerable.Range(0, 5000).Where(i => i % 3 != 0)];
        var p = new TopKParameters(7, 20);
        p.Initialise(2, new Lanes());
        var sae = new TopKAutoencoder(p, 3, 1, null, new Lanes());   // b_dec = 0, far from the mean
        var quality = Quality.Evaluate(sae, activations, rows);

        var x = new float[rows.Length * 7];
        activations.Gather(rows, x);
        var codes = sae.Encode(x, rows.Length);
        var y = new float[x.Length];
        sae.Decode(codes, y);
        var mean = Enumerable.Range(0, 7).Select(j => Enumerable.Range(0, rows.Length).Average(i => (double)x[i * 7 + j])).ToArray();
        var error = x.Zip(y, (a, b) => ((double)a - b) * ((double)a - b)).Sum();
        var total = x.Select((a, i) => (a - mean[i % 7]) * (a - mean[i % 7])).Sum();
        Assert.Equal(error / total, quality.Fvu, 1e-9);
        Assert.Equal((double)codes.NonZeros / rows.Length, quality.L0, 1e-12);
        Assert.Equal(codes.Index.GroupBy(f => f).ToDictionary(g => g.Key, g => (long)g.Count()).OrderBy(g => g.Key).Select(g => g.Value), quality.Fired.Where(n => n > 0));
        Assert.Equal(20 - quality.Dead, quality.LogDensityHistogram.Sum());
        double[] cosines = [.. Enumerable.Range(0, 20).Select(a => Enumerable.Range(0, 20).Where(b => b != a)
            .Max(b => sae.DecoderRow(a).ToArray().Zip(sae.DecoderRow(b).ToArray(), (u, v) => (double)u * v).Sum()))];
        Assert.Equal(cosines.Average(c => Math.Max(0, c)), quality.MeanMaxCosine, 1e-6);
        Assert.Equal(cosines.Max(), quality.MaxCosine, 1e-6);
    }
}
