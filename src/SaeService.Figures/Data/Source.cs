using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>What captions have in common.</summary>
internal static class Source
{
    public const string Intervals = "95 % document bootstrap";

    /// <summary>Rows that a picture can hold; of more labels, those with the most words are drawn.</summary>
    public const int MostRows = 60;

    public static string Of(LayerFunctionalityDocument document) => string.Create(CultureInfo.InvariantCulture,
        $"{document.Provenance.Model.Name}, {document.Provenance.Model.Hook}; {document.Provenance.Data.Name}, {document.Counts.Aligned:#,0} words.");

    public static TaskFindings? Task(LayerFunctionalityDocument document, string task) => document.Tasks.FirstOrDefault(t => t.Task == task);

    public static int[] Layers(LayerFunctionalityDocument document) => [.. document.Layers.Select(l => l.Layer)];

    /// <summary>Words that carry the label, 0 where the document does not say.</summary>
    public static int Words(LayerFunctionalityDocument document, string task, string label) =>
        document.Counts.PerLabel.TryGetValue(task, out var labels) && labels.TryGetValue(label, out var words) ? words : 0;

    /// <summary>Early ones first; those that have no place, in their order, after them.</summary>
    public static IEnumerable<LabelProfile> ByDepth(IEnumerable<LabelProfile> profiles) =>
        profiles.OrderBy(p => p.CentreOfGravity?.Value ?? double.PositiveInfinity);

    public static string Whole(int number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    public static string Short(double value, int decimals = 2) => value.ToString($"F{decimals}", CultureInfo.InvariantCulture);

    public static double? Finite(double? value) => value is { } v && double.IsFinite(v) ? v : null;

    /// <summary>An axis that holds all values and 0, with a little to spare where they end.</summary>
    public static PlotAxis Around(string title, IEnumerable<double?> values)
    {
        var all = values.OfType<double>().Append(0).ToList();
        var (low, high) = (all.Min(), all.Max());
        var spare = Math.Max(high - low, 1e-6) * 0.06;
        return new PlotAxis(title, low < 0 ? low - spare : 0, high > 0 ? high + spare : spare);
    }
}
