using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary>Two jobs side by side, as tables for the terminal.</summary>
public static class CompareTable
{
    public static void Print(Comparison comparison)
    {
        Screen.Prepare();
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{comparison.Left.Model}[/] on {comparison.Left.Dataset}  →  [bold]{comparison.Right.Model}[/] on {comparison.Right.Dataset}");
        AnsiConsole.WriteLine();
        var labels = Screen.Table("Labels that are established in either")
            .AddColumns("label", "change", "layers left", "layers right", "centre, relative depth", "largest change of F1");
        foreach (var label in comparison.Labels.Where(l => l.Change != LabelChange.Absent))
        {
            var cell = label.Cells.MaxBy(c => Math.Abs(c.UnionF1.Value));
            labels.AddRow(Markup.Escape($"{label.Task}:{label.Label}"), label.Change.ToString().ToLowerInvariant(), string.Join(", ", label.LeftEstablished),
                string.Join(", ", label.RightEstablished), Difference(label.CentreDifference),
                cell is null ? "" : $"{Difference(cell.UnionF1)} at {cell.LeftLayer}{(cell.RightLayer == cell.LeftLayer ? "" : $" → {cell.RightLayer}")}");
        }
        AnsiConsole.Write(labels);
        AnsiConsole.WriteLine();
        var information = Screen.Table("Information, bits: right minus left").AddColumn("layers");
        var tasks = comparison.Information.Select(i => i.Task).Distinct().ToList();
        foreach (var task in tasks)
            information.AddColumn(Markup.Escape(task));
        foreach (var pair in comparison.Layers)
            information.AddRow([pair.Left == pair.Right ? $"{pair.Left}" : $"{pair.Left} → {pair.Right}", .. tasks.Select(task =>
                Difference(comparison.Information.FirstOrDefault(i => i.Task == task && i.LeftLayer == pair.Left && i.RightLayer == pair.Right)?.IvBits))]);
        AnsiConsole.Write(information);
        AnsiConsole.WriteLine();
        foreach (var caveat in comparison.Caveats)
            AnsiConsole.MarkupLineInterpolated($"[grey]{caveat}[/]");
    }

    private static string Difference(Estimate? of) => of is null ? ""
        : of.Ci95 is [var low, var high] ? $"{of.Value:+0.00;-0.00;0.00} [[{low:0.00}, {high:0.00}]]"
        : $"{of.Value:+0.00;-0.00;0.00}";
}
