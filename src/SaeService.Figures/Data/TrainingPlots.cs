using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>How an autoencoder was trained, and how often its latents fire.</summary>
public static class TrainingPlots
{
    public static string CurveName(int layer) => $"training-{layer}";

    public static string DensityName(int layer) => $"density-{layer}";

    public static string CurveTitle(int layer) => $"Layer {layer}: training of the autoencoder";

    public static string DensityTitle(int layer) => $"Layer {layer}: density of latents";

    public const string CurveAlt = "Line chart over the tokens trained on, of the variance that reconstructions leave unexplained and of the share of latents that are dead.";

    public const string DensityAlt = "Histogram of latents by the share of tokens on which they fire.";

    /// <returns>Null where it was trained elsewhere.</returns>
    public static Figure? Curve(int layer, SaeTraining training, SaeProvenance sae, string source)
    {
        if (training.Curve.Count == 0)
            return null;
        double[] x = [.. training.Curve.Select(p => (double)p.Tokens)];
        Series[] series =
        [
            new Series("variance unexplained (FVU)", Mark.Line, SeriesStyle.Main, x, [.. training.Curve.Select(p => Source.Finite(p.Fvu))]),
            new Series("dead latents", Mark.Line, SeriesStyle.Second, x, [.. training.Curve.Select(p => Source.Finite(p.Dead))]),
        ];
        return new Figure(CurveName(layer), CurveTitle(layer), CurveAlt,
            $"Of the batches since the point before. In the end, on held-out tokens: FVU {Source.Short(sae.Fvu, 3)}, {Source.Short(sae.L0, 1)} latents on a token, {Source.Short(sae.Dead, 3)} of {Source.Whole(sae.DSae)} dead. {sae.Arch}, k = {sae.K}, seed {sae.Seed}. {source}",
            [new Panel("", new PlotAxis("tokens", 0, x.Max() * 1.02), Source.Around("share", series.SelectMany(s => s.Y))) { Series = series, Height = 170 }]);
    }

    /// <summary>Bins of the logarithm, from a millionth up, the rarest in the first.</summary>
    public static Figure? Density(int layer, SaeTraining training, SaeProvenance sae, string source)
    {
        var counts = training.DensityHistogram;
        if (counts.Count == 0 || counts.Sum() == 0)
            return null;
        double Edge(int i) => Math.Pow(10, -6 + 6.0 * i / counts.Count);
        return new Figure(DensityName(layer), DensityTitle(layer), DensityAlt,
            $"n = {Source.Whole(counts.Sum())} of {Source.Whole(sae.DSae)} latents, those that fire on a held-out token; below a millionth they stand in the first bin. {source}",
            [new Panel("", new PlotAxis("share of tokens on which it fires", 1e-6, 1) { Log = true }, new PlotAxis("latents", 0, counts.Max() * 1.05))
            {
                Series = [new Series("latents", Mark.Bars, SeriesStyle.Main, [.. counts.Select((_, i) => Edge(i))], [.. counts.Select(c => (double?)c)]) { XHigh = [.. counts.Select((_, i) => (double?)Edge(i + 1))], N = [.. counts], Named = false }],
                Height = 170,
            }]);
    }
}
