using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>Which layers do the same: correlation of layers over labels (method section 6, picture 8).</summary>
public static class ProfileSimilarity
{
    /// <returns>Null with fewer than two layers or three labels.</returns>
    public static Figure? Of(LayerFunctionalityDocument document, string task)
    {
        var layers = Source.Layers(document);
        var profiles = Source.Task(document, task)?.Profiles.Where(p => p.Score.Count == layers.Length && p.Information.Count == layers.Length).ToList() ?? [];
        if (layers.Length < 2 || profiles.Count < 3)
            return null;
        var panels = new[] { Matrix("by excess union F1", p => p.Score), Matrix("by information", p => p.Information) };
        return new Figure($"similarity-{task}", $"{task}: similarity of layers", $"Two matrices of {layers.Length} by {layers.Length} layers with the correlation between their profiles over {profiles.Count} labels.",
            $"Pearson correlation over n = {profiles.Count} labels between two layers' values of each label; empty where a layer has the same value for all. {Source.Of(document)}", panels)
        { Columns = layers.Length <= 5 ? 2 : 1 };

        Panel Matrix(string title, Func<LabelProfile, IReadOnlyList<double>> of)
        {
            var values = Enumerable.Range(0, layers.Length).Select(a => (IReadOnlyList<double?>)[.. Enumerable.Range(0, layers.Length).Select(b => Correlation([.. profiles.Select(p => of(p)[a])], [.. profiles.Select(p => of(p)[b])]))]).ToList();
            string[] names = [.. layers.Select(l => $"{l}")];
            return new Panel(title, PlotAxis.Of("layer", names), PlotAxis.Of("layer", names))
            {
                Grid = new Grid(values, [.. values.Select(row => (IReadOnlyList<CellState>)[.. row.Select(_ => CellState.Plain)])], new ColourScale("correlation", -1, 1, true), layers.Length > 24 ? -1 : 2)
                {
                    N = [.. values.Select(row => (IReadOnlyList<int?>)[.. row.Select(v => v is null ? null : (int?)profiles.Count)])],
                },
            };
        }
    }

    /// <returns>Null where either is constant.</returns>
    private static double? Correlation(double[] a, double[] b)
    {
        var (meanA, meanB) = (a.Average(), b.Average());
        double ab = 0, aa = 0, bb = 0;
        for (var i = 0; i < a.Length; i++)
        {
            ab += (a[i] - meanA) * (b[i] - meanB);
            aa += (a[i] - meanA) * (a[i] - meanA);
            bb += (b[i] - meanB) * (b[i] - meanB);
        }
        return aa * bb > 0 ? Source.Finite(Math.Clamp(ab / Math.Sqrt(aa * bb), -1, 1)) : null;
    }
}
