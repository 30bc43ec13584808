using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SaeService.Contracts;
using SaeService.Corpora;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary><c>sae data inspect</c>: what the service would understand of a data set, without the service.</summary>
public static class DataCommands
{
    private const int ShownLabels = 12, ShownWords = 40, ShownLines = 20;

    /// <summary>What is printed, or written as JSON.</summary>
    private sealed record Inspection(string Path, string Format, IReadOnlyList<string> Splits, IReadOnlyList<InspectedFile> Files, DatasetStatistics Statistics, InspectedSentence? First);

    private sealed record InspectedFile(string Name, string Split, long Bytes);

    private sealed record InspectedSentence(string Id, string Document, string Text, bool TextReconstructed, IReadOnlyList<string> Words, IReadOnlyDictionary<string, string?[]> Labels);

    public static Command Data()
    {
        var path = new Argument<string>("path") { Description = "A file, or a folder with a file or more for each split" };
        var json = new Option<bool>("--json") { Description = "Write JSON instead of tables" };
        var tasks = new Option<string?>("--tasks") { Description = "Tasks to count instead of the format's own, joined by commas: pos,feats:Number,column:3" };
        var inspect = new Command("inspect", "Read a data set whole and say what was understood of it") { path, json, tasks };
        inspect.SetAction((parsed, ct) => Task.Run(() =>
        {
            var asked = parsed.GetValue(tasks)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct().ToArray();
            var found = Inspect(parsed.GetValue(path)!, asked, ct);
            if (parsed.GetValue(json))
                Console.WriteLine(JsonSerializer.Serialize(found, Wire.IndentedJson));
            else
                Print(found);
            return 0;
        }, ct));
        return new Command("data", "Labelled data sets") { inspect };
    }

    private static Inspection Inspect(string path, string[]? asked, CancellationToken ct)
    {
        try
        {
            var folder = DatasetFolder.Open(path);
            Sentence? first = null;
            var sentences = folder.Read(settings: new ReadSettings { Tasks = asked, Further = true }).Select(sentence =>
            {
                first ??= sentence;
                return sentence;
            });
            var statistics = DatasetStatistics.Compute(sentences, cancellation: ct, asked: asked);
            foreach (var task in asked ?? [])
                if (!statistics.Tasks.Any(t => t.Task == task))
                    throw new CliException($"no word has a label of task '{task}'; there are {string.Join(", ", statistics.Tasks.Select(t => t.Task).Concat(statistics.Further.Select(t => t.Task)))}");
            return new(Path.GetFullPath(path), folder.Format.ToString().ToLowerInvariant(), folder.Splits, [.. folder.Files.Select(f => new InspectedFile(f.Name, f.Split, f.Bytes))],
                statistics, first is null ? null : new(first.Id, first.Document, first.Text, first.TextReconstructed, [.. first.Words.Select(w => w.Form)], first.Labels));
        }
        catch (CorpusException e)
        {
            // As compilers say it, so that editors find the place.
            throw new CliException(e.File is null ? e.Problem : $"{string.Join(':', new object?[] { e.File, e.Line, e.Column }.Where(part => part is not null))}: {e.Problem}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliException(e.Message, e);
        }
    }

    private static void Print(Inspection found)
    {
        var counted = found.Statistics;
        AnsiConsole.MarkupLineInterpolated($"[bold]{found.Path}[/]  {found.Format}, {string.Join(" + ", found.Splits)}, {found.Files.Count} file{(found.Files.Count == 1 ? "" : "s")}, {found.Files.Sum(f => f.Bytes) / 1e6:F1} MB");
        AnsiConsole.MarkupLineInterpolated($"{counted.Documents:N0} documents, {counted.Sentences:N0} sentences, {counted.Words:N0} words");
        if (counted.Tasks.Count > 0)
            AnsiConsole.Write(Tasks(counted));
        foreach (var task in counted.Tasks)
            AnsiConsole.MarkupLineInterpolated($"[bold]{task.Task}[/]  {string.Join(", ", task.Labels.Take(ShownLabels).Select(l => $"{l.Key} {l.Value}"))}{(task.Labels.Count > ShownLabels ? ", …" : "")}");
        List("can be asked for too", counted.Further.Select(t => $"{t.Task} ({t.Labels} labels, {t.Labelled:N0} words{(t.BuiltIn ? ", built in" : "")})"));
        List("labels on nearly the same words", counted.Aliases.Select(a => string.Create(CultureInfo.InvariantCulture, $"{a.Left} = {a.Right} ({a.Jaccard:F3})")));
        List("to be aware of", counted.Warnings);
        if (found.First is { } first)
        {
            AnsiConsole.MarkupLineInterpolated($"[bold]{first.Id}[/] [grey]in {first.Document}{(first.TextReconstructed ? ", text joined from its words" : "")}[/]");
            AnsiConsole.MarkupLineInterpolated($"{(first.Text.Length > 500 ? first.Text[..500] + "…" : first.Text)}");
            if (first.Words.Count > 0)
                AnsiConsole.Write(Words(first));
        }
    }

    private static Table Tasks(DatasetStatistics counted)
    {
        var table = Screen.Table().AddColumns("task", "labelled", "labels", "H bits", "majority", "type baseline", "ambiguous types");
        foreach (var task in counted.Tasks)
            table.AddRow(Markup.Escape(task.Task), $"{task.Labelled:N0}", $"{task.Labels.Count}", Number(task.EntropyBits, 2), Number(task.Majority), Number(task.TypeBaselineAccuracy), Number(task.AmbiguousTypeShare));
        return table;
    }

    private static Table Words(InspectedSentence first)
    {
        var table = Screen.Table().AddColumn("word").AddColumns([.. first.Labels.Keys.Select(Markup.Escape)]);
        for (var w = 0; w < Math.Min(first.Words.Count, ShownWords); w++)
            table.AddRow([Markup.Escape(first.Words[w]), .. first.Labels.Values.Select(column => column[w] is { } label ? Markup.Escape(label) : "[grey]-[/]")]);
        return first.Words.Count > ShownWords ? table.Caption($"{first.Words.Count - ShownWords} more words") : table;
    }

    private static void List(string title, IEnumerable<string> entries)
    {
        var shown = entries.ToList();
        if (shown.Count == 0)
            return;
        AnsiConsole.MarkupLineInterpolated($"[bold]{title}[/]");
        foreach (var entry in shown.Take(ShownLines))
            AnsiConsole.MarkupLineInterpolated($"  {entry}");
        if (shown.Count > ShownLines)
            AnsiConsole.MarkupLineInterpolated($"  [grey]and {shown.Count - ShownLines} more[/]");
    }

    private static string Number(double value, int digits = 3) => value.ToString("F" + digits, CultureInfo.InvariantCulture);
}
