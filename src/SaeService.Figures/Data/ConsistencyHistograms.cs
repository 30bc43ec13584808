using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>How consistent features are, of the autoencoder and of what it is compared with, one panel a layer (method section 6, picture 4; after fig. 2 of Cunningham et al. 2023).</summary>
public static class ConsistencyHistograms
{
    /// <summary>Matched to the autoencoder by features that fire on a word, where a dictionary can be.</summary>
    private static readonly (string Name, string? Matched, string Title, SeriesStyle Style)[] s_drawn =
    [
        ("autoencoder", null, "autoencoder", SeriesStyle.Main), ("random_directions", "density", "random directions", SeriesStyle.Second), ("pca", "l0", "PCA", SeriesStyle.Third),
        ("ica", "l0", "ICA", SeriesStyle.Fourth), ("identity", "l0", "neurons", SeriesStyle.Muted), ("untrained_model", "l0", "untrained model", SeriesStyle.Fifth),
    ];

    /// <returns>Null where the document has no dictionaries.</returns>
    public static Figure? Of(LayerFunctionalityDocument document, string task)
    {
        var panels = document.Layers.Select(layer => new Panel($"layer {layer.Layer}", new PlotAxis("", 0, 1), new PlotAxis("", 0, 1)) { Series = [.. s_drawn.Select(d => Line(layer, task, d)).OfType<Series>()], Height = 92 })
            .Where(p => p.Series.Count > 0).ToList();
        if (panels.Count == 0)
            return null;
        // One scale for all panels, so that they can be compared; columns read along the bottom.
        var top = panels.SelectMany(p => p.Series).SelectMany(s => s.Y).OfType<double>().DefaultIfEmpty(0).Max();
        const int Columns = 3;
        panels = [.. panels.Select((p, i) => p with
        {
            X = p.X with { Title = i + Columns >= panels.Count ? "consistency" : "" },
            Y = new PlotAxis(i % Columns == 0 ? "share of features" : "", 0, Math.Max(top, 0.01) * 1.05),
        })];
        var shares = document.Layers.Select(l => (l.Layer, Task: l.Dictionaries.FirstOrDefault(d => d.Name == "autoencoder")?.Tasks.FirstOrDefault(t => t.Task == task))).Where(l => l.Task is not null).ToList();
        return new Figure($"consistency-{task}", $"{task}: consistency of features by layer",
            $"{panels.Count} panels, one a layer, with the distribution of held-out consistency of {string.Join(", ", panels.SelectMany(p => p.Series).Select(s => s.Name).Distinct())}. Consistent features of the autoencoder: " +
                $"{string.Join(", ", shares.Select(s => $"{s.Task!.Consistent} at layer {s.Layer}"))}.",
            "Share of the features with enough support, in twenty bins of consistency: the share of the held-out words a feature fires on that carry its label. Neurons, PCA and ICA with as many features firing on a word as the autoencoder has; " +
                $"random directions as dense as its features (mean over seeds). {Source.Of(document)}", panels)
        { Columns = Columns };
    }

    private static Series? Line(LayerFindings layer, string task, (string Name, string? Matched, string Title, SeriesStyle Style) drawn)
    {
        var found = layer.Dictionaries.Where(d => d.Name == drawn.Name && (d.Matched == drawn.Matched || drawn.Matched is null)).Select(d => d.Tasks.FirstOrDefault(t => t.Task == task)?.ConsistencyHistogram).OfType<IReadOnlyList<int>>()
            .Where(h => h.Sum() > 0).ToList();
        if (found.Count == 0)
            return null;
        var bins = found[0].Count;
        int[] counts = [.. Enumerable.Range(0, bins).Select(b => found.Sum(h => h[b]))];
        return new Series(drawn.Title, Mark.Line, drawn.Style, [.. Enumerable.Range(0, bins).Select(b => (b + 0.5) / bins)], [.. counts.Select(c => (double?)c / counts.Sum())]) { N = counts, Plain = true };
    }
}
