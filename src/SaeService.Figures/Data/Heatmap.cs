using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>Labels by layers, with what is established and what is not (method section 6, picture 1).</summary>
public static class Heatmap
{
    /// <summary>What cells can show.</summary>
    public static IReadOnlyList<string> Values { get; } = ["excess_f1", "information", "change", "count"];

    /// <returns>Null where the document has no such task, or no cell of it.</returns>
    public static Figure? Of(LayerFunctionalityDocument document, string task, string value = "excess_f1")
    {
        var cells = document.Layers.Select(l => l.Cells.Where(c => c.Task == task).GroupBy(c => c.Label).ToDictionary(g => g.Key, g => g.First())).ToList();
        if (Source.Task(document, task) is not { } findings || cells.All(c => c.Count == 0))
            return null;
        var all = findings.Profiles.Where(p => cells.Any(c => c.ContainsKey(p.Label))).ToList();
        var kept = all.OrderByDescending(p => Source.Words(document, task, p.Label)).Take(Source.MostRows).Select(p => p.Label).ToHashSet();
        var rows = Source.ByDepth(all.Where(p => kept.Contains(p.Label))).ToList();
        var values = rows.Select(p => (IReadOnlyList<double?>)[.. cells.Select((c, l) => c.TryGetValue(p.Label, out var cell) ? Source.Finite(ValueOf(value, cell, p, l)) : null)]).ToList();
        var states = rows.Select(p => (IReadOnlyList<CellState>)[.. cells.Select(c => c.TryGetValue(p.Label, out var cell) ? StateOf(cell.Status) : CellState.NotEstablished)]).ToList();
        var drawn = values.SelectMany(v => v).OfType<double>().DefaultIfEmpty(0).ToList();
        var (name, unit, what) = value switch
        {
            "excess_f1" => ("excess F1", "excess union F1", "Held-out F1 of “any consistent feature of the label fires” minus that of the best baseline (random directions, word lists and, where it was run, an untrained model)."),
            "information" => ("information", "share of the label's entropy", "Held-out linear V-information about the label, as a share of the label's entropy."),
            "change" => ("change of excess F1", "change of excess F1", "Excess union F1 (0 without a consistent feature) minus that of the layer before."),
            "count" => ("consistent features", "consistent features", "Features that are consistently of the label on held-out documents."),
            _ => throw new ArgumentException($"is not known; known: {string.Join(", ", Values)}"),
        };
        var established = states.SelectMany(s => s).Count(s => s == CellState.Established);
        var limit = Math.Max(drawn.Max(Math.Abs), 0.01);
        var scale = value == "change" ? new ColourScale(unit, -limit, limit, true) : new ColourScale(unit, 0, drawn.Max() > 0 ? drawn.Max() : 1, false);
        var support = cells.SelectMany(c => c.Values).Where(c => kept.Contains(c.Label)).Select(c => c.Support).DefaultIfEmpty(0).ToList();
        var sorted = $"Rows by centre of gravity, early layers first{(rows.Count < all.Count ? $"; the {rows.Count} most frequent of {all.Count} labels" : "")}.";
        return new Figure($"heatmap-{task}", $"{task}: {name} by label and layer",
            $"Heatmap of {rows.Count} labels of {task} by {cells.Count} layers; {established} of {rows.Count * cells.Count} cells are established.{Most(rows, values, states, document)}",
            $"{what} Established: every gate is passed, among them that the 95 % document-bootstrap interval of the excess lies above 0. {sorted} n = {Source.Whole(support.Min())} to {Source.Whole(support.Max())} held-out words a label. {Source.Of(document)}", [new Panel("", PlotAxis.Of("layer", [.. document.Layers.Select(l => $"{l.Layer}")]), PlotAxis.Of("", [.. rows.Select(p => p.Label)]))
            {
                Grid = new Grid(values, states, scale, value == "count" ? 0 : 2)
                {
                    N = [.. rows.Select(p => (IReadOnlyList<int?>)[.. cells.Select(c => c.TryGetValue(p.Label, out var cell) ? (int?)cell.Support : null)])],
                },
            }]);
    }

    /// <summary>What a cell shows.</summary>
    /// <param name="value">One of <see cref="Values"/>.</param>
    /// <param name="profile">Of the cell's label.</param>
    /// <param name="layer">Its place among the document's layers.</param>
    /// <returns>Null where it has none, as the change at the first layer.</returns>
    public static double? ValueOf(string value, LabelCell cell, LabelProfile profile, int layer) => value switch
    {
        "information" => cell.Normalised,
        "change" => layer == 0 || profile.Score.Count <= layer ? null : profile.Score[layer] - profile.Score[layer - 1],
        "count" => cell.FeatureCount,
        _ => cell.Excess,
    };

    private static CellState StateOf(CellStatus status) => status switch
    {
        CellStatus.Established => CellState.Established,
        CellStatus.Suggestive => CellState.Suggestive,
        _ => CellState.NotEstablished,
    };

    private static string Most(List<LabelProfile> rows, List<IReadOnlyList<double?>> values, List<IReadOnlyList<CellState>> states, LayerFunctionalityDocument document)
    {
        var best = (from r in Enumerable.Range(0, rows.Count) from c in Enumerable.Range(0, document.Layers.Count) where states[r][c] == CellState.Established && values[r][c] is not null orderby values[r][c] descending select (r, c)).ToList();
        return best.Count == 0 ? "" : $" The highest established value is {Source.Short(values[best[0].r][best[0].c]!.Value)}, of {rows[best[0].r].Label} at layer {document.Layers[best[0].c].Layer}.";
    }
}
