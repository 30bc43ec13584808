using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>A feature as a point.</summary>
/// <param name="Support">Held-out words it fires on.</param>
public readonly record struct FeaturePoint(int Index, string Label, int Support, double Consistency, double ContextGain, bool Consistent);

/// <summary>Consistency against support, with what the rule asks for at each support (method section 6, picture 5).</summary>
public static class SupportScatter
{
    /// <summary>Points that are drawn; of more, as many at even distances by index.</summary>
    public const int Most = 1500;

    public static string Name(string task, int layer) => $"support-{task}-{layer}";

    public static string Title(string task, int layer) => $"{task}, layer {layer}: consistency by support";

    public const string Alt = "Scatter plot of features: the words each fires on against the share of them that carries its label, coloured by what context adds, with the curve above which a feature counts as consistent.";

    /// <param name="features">By index.</param>
    /// <param name="total">Features there are.</param>
    /// <returns>Null where there are none.</returns>
    public static Figure? Of(string source, string task, int layer, IReadOnlyList<FeaturePoint> features, int total, LabelSettings? labels)
    {
        if (features.Count == 0)
            return null;
        var limit = labels?.ConsistencyLower;
        var most = Math.Max(features.Max(f => f.Support), 10) * 1.3;
        var gain = Math.Max(features.Max(f => Math.Abs(f.ContextGain)), 0.05);
        List<Series> series = [Points("other features", SeriesStyle.Sixth, features.Where(f => !f.Consistent)), Points("consistent features", SeriesStyle.Main, features.Where(f => f.Consistent))];
        series.RemoveAll(s => s.X.Count == 0);
        if (limit is { } lower)
        {
            double[] n = [.. Enumerable.Range(0, 81).Select(i => Math.Pow(most, i / 80.0))];
            series.Add(new Series($"Wilson 95 % lower bound = {Source.Short(lower)}", Mark.Line, SeriesStyle.Second, n, [.. n.Select(v => Needed(v, lower))]) { Plain = true });
        }
        return new Figure(Name(task, layer), Title(task, layer), Alt,
            $"n = {Source.Whole(features.Count)}{(total > features.Count ? $" of {Source.Whole(total)} features, at even distances by index" : " features")} that fire on a held-out word; {features.Count(f => f.Consistent)} of them pass every gate. " +
                $"Context gain: mean over the words it fires on of 1[label] − P(label | word form); near 0, a feature only knows words. {source}",
            [new Panel("", new PlotAxis("held-out words it fires on", 1, most) { Log = true }, new PlotAxis("consistency", 0, 1.02)) { Series = series, Scale = new ColourScale("context gain", -gain, gain, true) { OnPage = true }, Height = 250 }]);
    }

    private static Series Points(string name, SeriesStyle style, IEnumerable<FeaturePoint> features)
    {
        FeaturePoint[] kept = [.. features];
        return new Series(name, Mark.Points, style, [.. kept.Select(f => (double)f.Support)], [.. kept.Select(f => (double?)f.Consistency)])
        {
            Value = [.. kept.Select(f => f.ContextGain)],
            N = [.. kept.Select(f => f.Support)],
            Of = [.. kept.Select(f => $"{f.Index} {f.Label}")],
        };
    }

    /// <returns>The share of n words whose Wilson lower bound is <paramref name="lower"/>; null where not even all words are enough.</returns>
    internal static double? Needed(double n, double lower)
    {
        if (Wilson(1, n) < lower)
            return null;
        double low = 0, high = 1;
        for (var i = 0; i < 50; i++)
        {
            var middle = (low + high) / 2;
            if (Wilson(middle, n) < lower)
                low = middle;
            else
                high = middle;
        }
        return high;
    }

    private static double Wilson(double p, double n)
    {
        const double Z = 1.959963984540054;
        return (p + Z * Z / (2 * n) - Z * Math.Sqrt((p * (1 - p) + Z * Z / (4 * n)) / n)) / (1 + Z * Z / n);
    }
}
