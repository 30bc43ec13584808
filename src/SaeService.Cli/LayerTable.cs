using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary>The layer-functionality document as tables for the terminal.</summary>
public static class LayerTable
{
    public static void Print(LayerFunctionalityDocument document)
    {
        // Away from a terminal there is no width to fit: let no cell be cut.
        if (Console.IsOutputRedirected)
            AnsiConsole.Profile.Width = 160;
        var model = document.Provenance.Model;
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{model.Name}[/] ({model.Family}, {model.Layers} blocks, d = {model.DModel}) on [bold]{document.Provenance.Data.Name}[/]: {document.Counts.Aligned:N0} words of {document.Counts.Sentences:N0} sentences");
        AnsiConsole.WriteLine();
        AnsiConsole.Write(Information(document));
        AnsiConsole.WriteLine();
        AnsiConsole.Write(Functions(document));
        AnsiConsole.MarkupLine("[grey]label +excess: held-out F1 of the layer's features for that label over the best of random directions and word lists; (n): features; * suggestive only[/]");
        AnsiConsole.WriteLine();
        foreach (var layer in document.Layers)
            AnsiConsole.MarkupLineInterpolated($"[bold]{Name(layer)}[/]  {layer.Summary.Plain} [grey]({layer.Summary.Confidence})[/]");
        AnsiConsole.WriteLine();
    }

    private static Table Information(LayerFunctionalityDocument document)
    {
        var table = new Table().Title("Held-out information between hidden representation and labels, bits (share of the label entropy; 95 % interval)").RoundedBorder();
        table.AddColumn("layer");
        foreach (var task in document.Tasks)
            table.AddColumn(new TableColumn($"{task.Task}  H = {task.EntropyBits:F2}, word list {task.TypeInformationBits:F2}"));
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
        var table = new Table().Title("What each layer has separate features for").RoundedBorder();
        table.AddColumn("layer");
        foreach (var task in document.Tasks)
            table.AddColumn(task.Task);
        foreach (var layer in document.Layers)
        {
            var cells = document.Tasks.Select(task =>
            {
                var found = layer.Functionalities.Where(f => f.Task == task.Task).ToList();
                if (found.Count == 0)
                    return "[grey]none established[/]";
                return string.Join(", ", found.OrderBy(f => f.Status).ThenBy(f => f.Rank).Take(6).Select(f =>
                    $"{Markup.Escape(f.Label)}{(f.Status == CellStatus.Established ? "" : "*")} {f.Encodes.Excess.Value:+0.00;-0.00} ({f.Features.Count})"))
                    + (found.Count > 6 ? $" [grey]and {found.Count - 6} more[/]" : "");
            });
            table.AddRow([Name(layer), .. cells]);
        }
        return table;
    }

    private static string Name(LayerFindings layer) => $"{layer.Layer} {layer.HookPoint}";
}
