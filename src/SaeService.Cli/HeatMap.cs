using System.Globalization;
using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary>Layer x label of one task in the terminal: the ground tells the size, the number repeats it, a mark tells how sure.</summary>
internal static class HeatMap
{
    /// <summary>Anything is worth a row from this score on at some layer; the rest is counted below the table.</summary>
    private const double LeastScore = 0.05;

    // Cividis from dark to bright: ordered in lightness too, so that it reads without colours, and for those who see few.
    private static readonly Color[] s_scale =
    [
        new(0, 34, 78), new(33, 59, 110), new(76, 85, 108), new(108, 110, 114), new(142, 137, 120), new(178, 165, 112), new(217, 196, 88), new(254, 232, 56),
    ];

    public static void Print(LayerFunctionalityDocument document, TaskFindings task)
    {
        var cells = document.Layers.ToDictionary(x => x.Layer, x => x.Cells.Where(c => c.Task == task.Task).ToDictionary(c => c.Label));
        var rows = task.Profiles.Where(p => p.Score.Any(score => score >= LeastScore) || Statuses(p.Label).Any(s => s != CellStatus.NotEstablished))
            .OrderBy(p => p.CentreOfGravity?.Value ?? double.PositiveInfinity).ThenBy(p => p.Label, StringComparer.Ordinal).ToList();
        var table = Screen.Table($"{task.Task}: excess F1 by layer, labels by centre of gravity");
        table.AddColumn("label");
        foreach (var layer in document.Layers)
            table.AddColumn(new TableColumn(layer.Layer.ToString(CultureInfo.InvariantCulture)).Centered().Padding(0, 0));
        table.AddColumn(new TableColumn("centre").RightAligned());
        foreach (var profile in rows)
        {
            var centre = profile.CentreOfGravity is { } of ? of.Value.ToString("0.0", CultureInfo.InvariantCulture) + (of.Localised ? "" : " flat") : "";
            table.AddRow([Markup.Escape(profile.Label), .. document.Layers.Select(layer => Cell(cells[layer.Layer].GetValueOrDefault(profile.Label))), centre]);
        }
        AnsiConsole.Write(table);
        var left = task.Profiles.Count - rows.Count;
        AnsiConsole.MarkupLineInterpolated($"[grey]* established, ? suggestive, otherwise not established{(left == 0 ? "" : $"; {left} further {(left == 1 ? "label" : "labels")} below {LeastScore:0.00} at every layer")}[/]");
        AnsiConsole.WriteLine();

        IEnumerable<CellStatus> Statuses(string label) => cells.Values.Select(x => x.GetValueOrDefault(label)?.Status ?? CellStatus.NotEstablished);
    }

    private static string Cell(LabelCell? cell)
    {
        if (cell is null)
            return "";
        var mark = cell.Status switch { CellStatus.Established => '*', CellStatus.Suggestive => '?', _ => ' ' };
        var text = string.Create(CultureInfo.InvariantCulture, $" {cell.Excess,5:0.00}{mark}");
        if (!Screen.IsTerminal)
            return text;
        if (cell.Status == CellStatus.NotEstablished)
            return $"[grey]{text}[/]";
        var step = (int)(Math.Clamp(cell.Excess, 0, 0.999) * s_scale.Length);
        return $"[{(step >= s_scale.Length / 2 ? "black" : "white")} on {s_scale[step].ToMarkup()}]{text}[/]";
    }
}
