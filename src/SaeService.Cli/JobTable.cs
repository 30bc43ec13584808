using System.Globalization;
using SaeService.Contracts;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace SaeService.Cli;

/// <summary>Jobs and their progress for the terminal.</summary>
internal static class JobTable
{
    public static void Print(IReadOnlyList<Job> jobs)
    {
        var table = Screen.Table("Jobs, newest first").AddColumns("job", "status", "done", "model", "data set", "tasks", "mode", "submitted");
        foreach (var job in jobs)
            table.AddRow(job.Id.ToString(), Status(job), job.Progress.Fraction.ToString("P0", CultureInfo.InvariantCulture), Markup.Escape(job.Request.Model.Id),
                Markup.Escape(job.Request.Dataset.Id), Markup.Escape(string.Join(", ", job.Request.Tasks ?? [])), job.Request.Mode ?? "",
                job.CreatedAt.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture));
        AnsiConsole.Write(table);
    }

    /// <summary>Of a job that has no document: how far each layer is, and what went wrong.</summary>
    public static void Print(Job job)
    {
        Screen.Prepare();
        AnsiConsole.MarkupLineInterpolated($"[bold]{job.Request.Model.Id}[/] on [bold]{job.Request.Dataset.Id}[/]");
        AnsiConsole.Write(Progress(job));
        if (job.Error is not { } error)
            return;
        var where = error.Stage is { } stage ? $" in {stage.Name()}{(error.Layer is { } layer ? $" of layer {layer}" : "")}" : "";
        AnsiConsole.MarkupLineInterpolated($"[red]failed{where}:[/] {error.Detail}");
        foreach (var line in new[] { error.Kept, error.Remedy }.OfType<string>())
            AnsiConsole.MarkupLineInterpolated($"{line}");
    }

    /// <summary>The whole job in a line, and a bar a layer.</summary>
    public static IRenderable Progress(Job job)
    {
        const int Width = 24;
        var grid = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn(new GridColumn().NoWrap()).AddColumn(new GridColumn());
        grid.AddRow(Status(job), Bar(job.Progress.Fraction, Width), Markup.Escape(JobWatcher.Describe(job)));
        foreach (var layer in job.Layers)
            grid.AddRow($"layer {layer.Layer}", Bar(layer.Fraction, Width), Markup.Escape(Describe(layer)));
        return grid;
    }

    private static string Bar(double fraction, int width) =>
        $"[blue]{Screen.Bar(fraction, width)}[/] {fraction.ToString("P0", CultureInfo.InvariantCulture),5}";

    private static string Describe(LayerProgress layer) => layer.Stage is not { } stage ? "waiting"
        : stage.Name() + (layer.Status == StageStatus.Succeeded ? " done" : "")
            + (layer.Fvu is { } fvu ? string.Create(CultureInfo.InvariantCulture, $", FVU {fvu:0.000}") : "")
            + (layer.Message is { } message ? $", {message}" : "");

    private static string Status(Job job)
    {
        var word = job.Status.ToString().ToLowerInvariant();
        var colour = job.Status switch { JobStatus.Succeeded => "green", JobStatus.Failed => "red", JobStatus.Running => "blue", _ => "grey" };
        return $"[{colour}]{word}[/]";
    }
}
