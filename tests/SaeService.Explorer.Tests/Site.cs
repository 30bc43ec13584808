using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Tests;
using SaeService.Contracts;
using SaeService.Explorer.Tests;
using SaeService.Storage;
using Xunit;

[assembly: AssemblyFixture(typeof(Site))]

namespace SaeService.Explorer.Tests;

/// <summary>The pages on a port of loopback in the open mode, over a Postgres with jobs of every kind; tests that change a job make one of their own.</summary>
public sealed class Site : ApiFixture
{
    private static readonly ExampleTask[] s_tasks =
        [new("pos", "NOUN", "VERB", "ADJ", "DET", "PROPN"), new("dep", "nsubj", "obj", "root", "amod"), new("ner", "PER", "LOC", "O")];

    internal static readonly ExampleJob Small = new("tiny", "mini", 4, s_tasks);

    /// <summary>Names, labels, tokens and contexts that others wrote, and did not mean well.</summary>
    internal static readonly ExampleJob Dangerous = new(Hostile.Markup, Hostile.Arabic + " " + Hostile.Controls, 3, new("pos", Hostile.Words), new($"misc:{Hostile.Markup}{Hostile.Controls}", Hostile.Hebrew, Hostile.Chinese))
    {
        Words = Hostile.Words,
    };

    internal static readonly ExampleJob Empty = new("tiny", "noise", 3, s_tasks[..1]) { Strength = 0.2 };

    protected override bool Listens => true;
    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string> { ["Access:Mode"] = "open", ["Limits:MaxDiskBytes"] = "2000000" };

    internal Job Finished { get; private set; } = null!;
    internal Job Another { get; private set; } = null!;
    internal Job Danger { get; private set; } = null!;
    internal Job Nothing { get; private set; } = null!;
    internal Job Running { get; private set; } = null!;
    internal Job Failed { get; private set; } = null!;
    internal Job Cancelled { get; private set; } = null!;
    internal Job Queued { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Finished = await Small.MakeAsync(this);
        Another = await (Small with { Model = "tiny-2" }).MakeAsync(this);
        Danger = await Dangerous.MakeAsync(this);
        Nothing = await Empty.MakeAsync(this);
        Queued = await Small.SubmitAsync(this);
        Running = await RunningAsync();
        Failed = await FailedAsync();
        Cancelled = await Small.SubmitAsync(this);
        using var answer = await Admin.PostAsync($"/v1/jobs/{Cancelled.Id}/cancel", null);
        Assert.True(answer.IsSuccessStatusCode);
    }

    /// <summary>A job whose first layers are done while the next is trained.</summary>
    internal async Task<Job> RunningAsync()
    {
        var job = await Small.SubmitAsync(this);
        await FinishedJob.LabelAsync(this, job, [0, 1]);
        await using var db = Database();
        var started = DateTimeOffset.UtcNow.AddMinutes(-2);
        await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Running).SetProperty(x => x.StartedAt, started));
        await db.Stages.Where(x => x.JobId == job.Id && (x.Kind == StageKind.Prepare || x.Kind == StageKind.Capture || x.Layer < 2))
            .ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, StageStatus.Succeeded).SetProperty(x => x.StartedAt, started).SetProperty(x => x.FinishedAt, started.AddSeconds(20)));
        await ProgressAsync(job.Id, 0.4, "step 400 of 1000");
        return job;
    }

    /// <summary>What a worker writes at a beat of its heart, while it trains layer 2.</summary>
    internal async Task ProgressAsync(Guid job, double fraction, string message)
    {
        await using var db = Database();
        await db.Stages.Where(x => x.JobId == job && x.Kind == StageKind.Train && x.Layer == 2).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, StageStatus.Running).SetProperty(x => x.Attempt, 1)
            .SetProperty(x => x.StartedAt, DateTimeOffset.UtcNow.AddMinutes(-1)).SetProperty(x => x.Fraction, fraction).SetProperty(x => x.TokensPerSecond, 52_000).SetProperty(x => x.Message, message)
            // Nobody renews it here, and nobody takes it.
            .SetProperty(x => x.LeaseExpiresAt, DateTimeOffset.UtcNow.AddDays(1)));
        db.JobEvents.Add(new JobEventRow { JobId = job, Type = "stage.progress", At = DateTimeOffset.UtcNow, Stage = StageKind.Train, Layer = 2, Attempt = 1, Message = message, Fraction = fraction });
        await db.SaveChangesAsync();
    }

    /// <summary>A job that failed in training, with what was kept and what to do.</summary>
    internal async Task<Job> FailedAsync()
    {
        var job = await Small.SubmitAsync(this);
        await using var db = Database();
        var problem = ProblemCodes.Create(ProblemCodes.InsufficientResources, "Layer 1 needs about 1,900 MiB of memory, and may use 954 MiB.") with
        {
            Stage = StageKind.Train,
            Layer = 1,
            Kept = "6 of 21 stages and everything they published",
            Remedy = "lower sae.expansion, or give the worker more memory, and retry",
        };
        await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Failed).SetProperty(x => x.StartedAt, DateTimeOffset.UtcNow.AddMinutes(-3))
            .SetProperty(x => x.FinishedAt, DateTimeOffset.UtcNow.AddMinutes(-1)).SetProperty(x => x.ErrorJson, JsonSerializer.Serialize(problem, Wire.Json)));
        await db.Stages.Where(x => x.JobId == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, StageStatus.Cancelled));
        await db.Stages.Where(x => x.JobId == job.Id && x.Kind == StageKind.Train && x.Layer == 1)
            .ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, StageStatus.Failed).SetProperty(x => x.StartedAt, DateTimeOffset.UtcNow.AddMinutes(-2)).SetProperty(x => x.FinishedAt, DateTimeOffset.UtcNow.AddMinutes(-1)));
        db.JobEvents.Add(new JobEventRow { JobId = job.Id, Type = "stage.failed", At = DateTimeOffset.UtcNow, Stage = StageKind.Train, Layer = 1, Attempt = 1, Message = problem.Detail });
        await db.SaveChangesAsync();
        return job;
    }

    /// <summary>Every kind of page, by a name for its pictures.</summary>
    internal IReadOnlyDictionary<string, string> Pages => new Dictionary<string, string>
    {
        ["start"] = "/",
        ["job"] = $"/jobs/{Finished.Id}",
        ["job-queued"] = $"/jobs/{Queued.Id}",
        ["job-running"] = $"/jobs/{Running.Id}",
        ["job-failed"] = $"/jobs/{Failed.Id}",
        ["job-cancelled"] = $"/jobs/{Cancelled.Id}",
        ["layers"] = $"/jobs/{Finished.Id}/layers",
        ["layers-change"] = $"/jobs/{Finished.Id}/layers?value=change",
        ["layers-nothing"] = $"/jobs/{Nothing.Id}/layers",
        ["layers-running"] = $"/jobs/{Running.Id}/layers",
        ["layer"] = $"/jobs/{Finished.Id}/layers/1",
        ["features"] = $"/jobs/{Finished.Id}/layers/1/features",
        ["features-none"] = $"/jobs/{Finished.Id}/layers/1/features?q=nothing-is-called-this",
        ["feature"] = $"/jobs/{Finished.Id}/layers/1/features/0",
        ["feature-dead"] = $"/jobs/{Finished.Id}/layers/1/features/100",
        ["figures"] = $"/jobs/{Finished.Id}/figures",
        ["inspect"] = $"/jobs/{Finished.Id}/inspect",
        ["data"] = $"/jobs/{Finished.Id}/data",
        ["data-running"] = $"/jobs/{Running.Id}/data",
        ["compare"] = "/compare",
        ["compare-two"] = $"/compare?left={Finished.Id}&right={Another.Id}",
        ["hostile-job"] = $"/jobs/{Danger.Id}",
        ["hostile-layers"] = $"/jobs/{Danger.Id}/layers",
        ["hostile-layer"] = $"/jobs/{Danger.Id}/layers/1",
        ["hostile-features"] = $"/jobs/{Danger.Id}/layers/1/features",
        ["hostile-feature"] = $"/jobs/{Danger.Id}/layers/1/features/0",
        ["hostile-figures"] = $"/jobs/{Danger.Id}/figures",
        ["hostile-inspect"] = $"/jobs/{Danger.Id}/inspect",
        ["hostile-data"] = $"/jobs/{Danger.Id}/data",
        ["hostile-compare"] = $"/compare?left={Danger.Id}&right={Finished.Id}",
    };
}
