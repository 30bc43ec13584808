using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>How strongly a feature fires (method section 6, picture 6).</summary>
public static class FeatureCard
{
    public static string Name(int layer, int index) => $"feature-{layer}-{index}";

    /// <summary>Bars are stacked by the labels of the task that the feature tells most of; at most six labels are drawn, the rest together.</summary>
    /// <returns>Null where it never fires.</returns>
    public static Figure? Of(FeatureDetail feature, string source)
    {
        var histogram = feature.Histogram;
        if (histogram.Counts.Count == 0 || histogram.Edges.Count != histogram.Counts.Count + 1)
            return null;
        var best = feature.Tasks.MaxBy(t => t.F1)?.Task;
        var byLabel = feature.LabelHistograms.FirstOrDefault(h => h.Task == best) ?? feature.LabelHistograms.FirstOrDefault();
        var stacks = Stacks(histogram.Counts, byLabel?.Labels);
        var below = new double[histogram.Counts.Count];
        var series = new List<Series>();
        foreach (var (label, style, counts) in stacks)
        {
            double[] foot = [.. below];
            for (var i = 0; i < below.Length; i++)
                below[i] += counts[i];
            series.Add(new Series(label, Mark.Bars, style, [.. histogram.Edges.Take(below.Length)], [.. below.Select(b => (double?)b)])
            {
                XHigh = [.. histogram.Edges.Skip(1).Select(e => (double?)e)],
                Base = foot,
                N = counts,
            });
        }
        var labels = string.Join(", ", feature.Tasks.Select(t => $"{t.Task}:{t.DominantLabel} {Source.Short(t.Consistency)}"));
        var words = histogram.Counts.Sum();
        return new Figure(Name(feature.Layer, feature.Index), $"Layer {feature.Layer}, feature {feature.Index}: activation over words",
            $"Histogram of {Source.Whole(words)} activations{(byLabel is null ? "" : $", stacked by label of {byLabel.Task},")} up to {feature.MaxActivation.ToString("G3", CultureInfo.InvariantCulture)}.",
            $"n = {Source.Whole(words)} words on which it fires ({(100 * feature.Density).ToString("G3", CultureInfo.InvariantCulture)} % of all).{(labels.Length > 0 ? $" Label and held-out consistency by task: {labels}." : "")} {source}",
            [new Panel("", new PlotAxis("activation", histogram.Edges[0], histogram.Edges[^1]), new PlotAxis("words", 0, Math.Max(below.Max(), 1) * 1.05)) { Series = series, Height = 170 }]);
    }

    private static List<(string Label, SeriesStyle Style, int[] Counts)> Stacks(IReadOnlyList<int> all, IReadOnlyList<LabelCounts>? byLabel)
    {
        if (byLabel is null)
            return [("words", SeriesStyle.Main, [.. all])];
        int[] rest = [.. all];
        var stacks = new List<(string, SeriesStyle, int[])>();
        foreach (var (label, counts) in byLabel.Take((int)SeriesStyle.Muted))
        {
            for (var b = 0; b < rest.Length; b++)
                rest[b] -= counts[b];
            stacks.Add((label, (SeriesStyle)stacks.Count, [.. counts]));
        }
        if (rest.Any(c => c > 0))
            stacks.Add(("other labels", SeriesStyle.Muted, rest));
        return stacks;
    }
}
