using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Figures.Data;

namespace SaeService.Api.Explorer;

/// <summary>Labels by layers, a panel a task.</summary>
/// <param name="Full">The value, away from 0, that has the full colour; the same in all panels.</param>
public sealed record HeatMap(IReadOnlyList<HeatPanel> Panels, double Full)
{
    /// <summary>What cells can show, the default first.</summary>
    public static IReadOnlyList<(string Name, string Title, string Means)> Values { get; } =
    [
        ("excess", "excess F1", "Held-out F1 of “any consistent feature of the label fires”, minus that of the best baseline. Above 0: the layer has separate features for the label."),
        ("information", "information", "What a linear probe on the whole vector knows of the label, as a share of the label's entropy: 1 is everything. It may be there without separate features."),
        ("change", "change", "Excess F1 minus that of the layer before: where it comes and goes."),
        ("count", "features", "Features that are consistently of the label, on held-out documents."),
    ];

    /// <summary>Orders of the rows, the default first.</summary>
    public static IReadOnlyList<(string Name, string Title)> Sorts { get; } = [("depth", "early layers first"), ("name", "by name"), ("strength", "strongest first")];

    /// <param name="task">Null: all of them.</param>
    /// <exception cref="ProblemException">invalid_parameter.</exception>
    public static HeatMap Of(LayerFunctionalityDocument document, string value, string sort, string? task)
    {
        Known("value", value, Values.Select(v => v.Name));
        Known("sort", sort, Sorts.Select(s => s.Name));
        if (task is not null)
            Known("task", task, document.Tasks.Select(t => t.Task));
        var cells = document.Layers.Select(layer => layer.Cells.ToDictionary(c => (c.Task, c.Label))).ToArray();
        var panels = document.Tasks.Where(t => task is null || t.Task == task).Select(t => new HeatPanel(t, Sorted(t.Profiles.Select(profile => Row(t.Task, profile)), sort))).ToArray();
        var largest = panels.SelectMany(p => p.Rows).SelectMany(r => r.Cells).Select(c => Math.Abs(c?.Value ?? 0)).DefaultIfEmpty().Max();
        return new HeatMap(panels, largest > 0 ? largest : 1);

        HeatRow Row(string of, LabelProfile profile) => new(profile, [.. cells.Select((layer, at) =>
            layer.TryGetValue((of, profile.Label), out var cell) ? new HeatCell(document.Layers[at].Layer, cell, Heatmap.ValueOf(FigureValue(value), cell, profile, at)) : null)]);
    }

    /// <summary>A value of cells as figures call it.</summary>
    public static string FigureValue(string value) => value == "excess" ? "excess_f1" : value;

    private static IReadOnlyList<HeatRow> Sorted(IEnumerable<HeatRow> rows, string sort) => sort switch
    {
        "name" => [.. rows.OrderBy(r => r.Profile.Label, StringComparer.Ordinal)],
        "strength" => [.. rows.OrderByDescending(r => r.Cells.Max(c => Math.Abs(c?.Value ?? 0)))],
        // Labels without a place in depth come last, in their own order.
        _ => [.. rows.OrderBy(r => r.Profile.CentreOfGravity?.Value ?? double.PositiveInfinity)],
    };

    private static void Known(string parameter, string value, IEnumerable<string> known)
    {
        if (!known.Contains(value))
            throw ProblemMetadataExtensions.Parameter(parameter, $"is not known; known: {string.Join(", ", known)}");
    }
}

public sealed record HeatPanel(TaskFindings Task, IReadOnlyList<HeatRow> Rows);

/// <param name="Cells">By layer, as in the document. Null: not measured.</param>
public sealed record HeatRow(LabelProfile Profile, IReadOnlyList<HeatCell?> Cells);

/// <param name="Value">Of what was asked for. Null where it has none, as the change at the first layer.</param>
public sealed record HeatCell(int Layer, LabelCell Of, double? Value);
