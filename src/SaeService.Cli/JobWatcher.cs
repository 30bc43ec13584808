using SaeService.Contracts;
using Spectre.Console;

namespace SaeService.Cli;

/// <summary>Follows a job to its end: a progress bar, and one a layer, in a terminal, a line a change elsewhere.</summary>
public static class JobWatcher
{
    public static async Task<Job> WatchAsync(ServiceClient client, Guid id, CancellationToken ct)
    {
        return Screen.IsTerminal ? await WatchWithBarsAsync(client, id, ct) : await WatchInLinesAsync(client, id, ct);
    }

    public static bool Ended(Job job) => job.Status is JobStatus.Succeeded or JobStatus.Failed or JobStatus.Cancelled;

    private static async Task<Job> WatchWithBarsAsync(ServiceClient client, Guid id, CancellationToken ct)
    {
        var job = await client.JobAsync(id, ct);
        await AnsiConsole.Live(JobTable.Progress(job)).AutoClear(true).Overflow(VerticalOverflow.Crop).StartAsync(async live =>
        {
            while (!Ended(job))
            {
                await Task.Delay(500, ct);
                job = await client.JobAsync(id, ct);
                live.UpdateTarget(JobTable.Progress(job));
            }
        });
        return job;
    }

    private static async Task<Job> WatchInLinesAsync(ServiceClient client, Guid id, CancellationToken ct)
    {
        var last = "";
        while (true)
        {
            var job = await client.JobAsync(id, ct);
            var now = $"{job.Status.ToString().ToLowerInvariant()} {job.Stage?.Name()} {job.Progress.Done}/{job.Progress.Total}";
            if (now != last)
                Console.WriteLine($"{job.Progress.Fraction,6:P0}  {Describe(job)}");
            last = now;
            if (Ended(job))
                return job;
            await Task.Delay(500, ct);
        }
    }

    public static string Describe(Job job)
    {
        if (job.Status == JobStatus.Queued)
            return "waiting for a worker";
        if (job.Stage is not { } stage)
            return job.Status.ToString().ToLowerInvariant();
        var layers = job.Layers.Where(l => l.Status == StageStatus.Running).Select(l => l.Layer).ToList();
        var where = layers.Count == 0 ? "" : $", layer {string.Join(", ", layers)}";
        var pace = job.Progress.TokensPerSecond is { } tokens ? $", {tokens:N0} tokens/s" : "";
        var eta = job.Progress.EtaSeconds is { } seconds ? $", about {TimeSpan.FromSeconds(seconds):m\\:ss} left" : "";
        return $"{stage.Name()}{where} ({job.Progress.Done} of {job.Progress.Total} stages{pace}{eta})";
    }
}
