using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary>The layer-functionality document as tables for the terminal.</summary>
public static class LayerTable
{
    /// <summary>Labels named in a cell before "and so many more".</summary>
    private const int Shown = 5;

    public static void Print(LayerFunctionalityDocument document)
    {
        Screen.Prepare();
        var model = document.Provenance.Model;
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{model.Name}[/] ({model.Family}, {model.Layers} blocks, d = {model.DModel}) on [bold]{document.Provenance.Data.Name}[/]: {document.Counts.Aligned:N0} words of {document.Counts.Sentences:N0} sentences");
        AnsiConsole.WriteLine();
        AnsiConsole.Write(Information(document));
        AnsiConsole.WriteLine();
        AnsiConsole.Write(Functions(document));
        AnsiConsole.MarkupLine("[grey]F1: held out, of any of the layer's consistent features for the label firing; in brackets: over the best of random directions and word lists[/]");
        AnsiConsole.WriteLine();
        foreach (var task in document.Tasks)
            HeatMap.Print(document, task);
        foreach (var layer in document.Layers)
            AnsiConsole.MarkupLineInterpolated($"[bold]{Name(layer)}[/]  {layer.Summary.Plain} [grey]({layer.Summary.Confidence})[/]");
        AnsiConsole.WriteLine();
    }

    private static Table Information(LayerFunctionalityDocument document)
    {
        var table = Screen.Table("Held-out information between hidden representation and labels, bits (share of the label entropy; 95 % interval)");
        table.AddColumn("layer");
        foreach (var task in document.Tasks)
            table.AddColumn(new TableColumn($"{Markup.Escape(task.Task)}  H = {task.EntropyBits:F2}, word list {task.TypeInformationBits:F2}"));
        table.AddColumn("SAE: FVU / L0 / dead");
        foreach (var layer in document.Layers)
        {
            var sae = document.Provenance.Sae.First(s => s.Layer == layer.Layer);
            var cells = document.Tasks.Select(task =>
            {
                var information = task.Layers.First(l => l.Layer == layer.Layer);
                var interval = information.IvBits.Ci95;
                return $"{information.IvBits.Value:F2} ({information.Normalised:P0}) [[{interval[0]:F2}, {interval[1]:F2}]]";
            });
            table.AddRow([Name(layer), .. cells, $"{sae.Fvu:F3} / {sae.L0:F0} / {sae.Dead:P0}"]);
        }
        return table;
    }

    private static Table Functions(LayerFunctionalityDocument document)
    {
        var table = Screen.Table("What each layer has separate features for");
        table.AddColumn("layer");
        foreach (var task in document.Tasks)
            table.AddColumn(Markup.Escape(task.Task));
        foreach (var layer in document.Layers)
        {
            var cells = document.Tasks.Select(task =>
            {
                var found = layer.Functionalities.Where(f => f.Task == task.Task).OrderBy(f => f.Rank).ToList();
                var established = found.Where(f => f.Status == CellStatus.Established).ToList();
                var suggestive = found.Where(f => f.Status == CellStatus.Suggestive).Select(f => f.Label).ToList();
                var lines = established.Take(Shown).Select(f =>
                    $"{Markup.Escape(f.Label)} F1 {f.Encodes.UnionF1:F2} ({f.Encodes.Excess.Value:+0.00;-0.00}), {f.Features.Count} {(f.Features.Count == 1 ? "feature" : "features")}").ToList();
                if (established.Count == 0)
                    lines.Add("none established");
                if (established.Count > Shown)
                    lines.Add($"and {established.Count - Shown} more");
                if (suggestive.Count > 0)
                    lines.Add($"[grey]suggestive: {Markup.Escape(string.Join(", ", suggestive.Take(Shown)))}{(suggestive.Count > Shown ? " …" : "")}[/]");
                // A cell of one line where lines are cut by other programs.
                return string.Join(Screen.IsTerminal ? "\n" : "; ", lines);
            });
            table.AddRow([Name(layer), .. cells]);
        }
        return table;
    }

    private static string Name(LayerFindings layer) => $"{layer.Layer} {layer.HookPoint}";
}
