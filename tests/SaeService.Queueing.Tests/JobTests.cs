using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;
using static SaeService.Queueing.Tests.QueueFixture;

namespace SaeService.Queueing.Tests;

public sealed class JobTests
{
    [Fact]
    public async Task A_job_runs_through_its_graph_to_success()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync(layers: 3, webhook: "https://example.org/hook");
        Assert.Equal([(await queue.StageAsync(job, StageKind.Prepare)).Id], queue.Rung());
        await queue.CompleteAsync(job, StageKind.Prepare);
        await queue.CompleteAsync(job, StageKind.Capture);
        Assert.Equal([(StageKind.Train, 0), (StageKind.Train, 1), (StageKind.Train, 2), (StageKind.Inform, 1)],
            (await queue.StagesAsync(job)).Where(x => x.Status == StageStatus.Ready).Select(x => (x.Kind, x.Layer!.Value)));
        for (var i = 0; i < 30 && (await queue.JobAsync(job)).Status == JobStatus.Running; i++)
        {
            var ready = (await queue.StagesAsync(job)).First(x => x.Status == StageStatus.Ready);
            using var lease = await queue.ClaimAsync(job, ready.Kind, ready.Layer);
            Assert.Equal([0, 1, 2], lease.Layers);
            Assert.Equal("tiny", lease.Request.Model.Id);
            await lease.SucceedAsync([], async (db, ct) =>
                await db.Jobs.Where(x => x.Id == job).ExecuteUpdateAsync(set => set.SetProperty(x => x.Document, new byte[] { 1, 2 }), ct), Token);
        }
        var row = await queue.JobAsync(job);
        Assert.Equal(JobStatus.Succeeded, row.Status);
        Assert.Equal([1, 2], row.Document!);
        var events = await queue.EventsAsync(job);
        Assert.Equal(18, events.Count(x => x == "stage.succeeded"));
        Assert.Equal("job.succeeded", events[^1]);

        // Every stage was rung for once.
        Assert.Equal((await queue.StagesAsync(job)).Select(x => x.Id).Order(), queue.Rung().Order());
        var seen = (await queue.Reader.GetAsync(job, cancellation: Token))!;
        Assert.Equal((1d, 18, 18, (StageKind?)null), (seen.Progress.Fraction, seen.Progress.Done, seen.Progress.Total, seen.Stage));
        Assert.Null(seen.Request.Webhook!.Secret);

        await using var db = queue.Open();
        var delivery = await db.WebhookDeliveries.SingleAsync(Token);
        Assert.Equal("job.succeeded", JsonDocument.Parse(delivery.Payload).RootElement.GetProperty("type").GetString());
        Assert.Equal("whsec_secret", delivery.Secret);
    }

    [Fact]
    public async Task Stages_that_finish_at_once_unlock_what_waits_for_them_exactly_once()
    {
        await using var queue = await CreateAsync();
        const int layers = 8;
        var job = await queue.SubmitAsync(layers);
        await queue.CompleteAsync(job, StageKind.Prepare);
        await queue.CompleteAsync(job, StageKind.Capture);
        await queue.CompleteAsync(job, StageKind.Inform, layers / 2);
        while (true)
        {
            var ready = (await queue.StagesAsync(job)).Where(x => x.Status == StageStatus.Ready && x.Kind != StageKind.Conclude).ToList();
            if (ready.Count == 0)
                break;
            var leases = new List<StageLease>();
            foreach (var stage in ready)
                leases.Add(await queue.ClaimAsync(job, stage.Kind, stage.Layer, owner: $"worker-{leases.Count}"));
            Assert.All(await Task.WhenAll(leases.Select(x => x.SucceedAsync([], cancellation: Token))), Assert.True);
            leases.ForEach(x => x.Dispose());
        }
        // A ring may fail, on a machine that is very busy; what is promised is that the reconciler makes up for it.
        await queue.Reconciler.ReconcileAsync(Token);
        var conclude = await queue.StageAsync(job, StageKind.Conclude);
        Assert.Equal(StageStatus.Ready, conclude.Status);
        Assert.NotNull(conclude.HangfireJobId);
        await queue.CompleteAsync(job, StageKind.Conclude);
        Assert.Equal(JobStatus.Succeeded, (await queue.JobAsync(job)).Status);
        Assert.All(await queue.StagesAsync(job), x => Assert.Equal(1, x.Attempt));
    }

    [Fact]
    public async Task The_same_idempotency_key_gives_the_same_job()
    {
        await using var queue = await CreateAsync();
        var key = new Idempotency("k", [1]);
        var first = await queue.Queue.SubmitAsync(Request(), [0], null, key, cancellation: Token);
        var second = await queue.Queue.SubmitAsync(Request(), [0], null, key, cancellation: Token);
        Assert.Equal((false, true, first.Job.Id), (first.Replayed, second.Replayed, second.Job.Id));
        Assert.Equal(first.Job.Id, (await queue.Queue.FindReplayAsync(null, key, Token))!.Id);
        Assert.Null(await queue.Queue.FindReplayAsync(Guid.NewGuid(), key, Token));
        var other = await Assert.ThrowsAsync<ProblemException>(
            () => queue.Queue.SubmitAsync(Request(), [0], null, key with { BodySha256 = [2] }, cancellation: Token));
        Assert.Equal(ProblemCodes.IdempotencyMismatch, other.Code);

        // At once: one job, and whoever did not wait for it is told so.
        var at = new Idempotency("at once", [1]);
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(async _ =>
        {
            try
            {
                return (Guid?)(await queue.Queue.SubmitAsync(Request(), [0], null, at, cancellation: Token)).Job.Id;
            }
            catch (ProblemException e) when (e.Code == ProblemCodes.IdempotencyInFlight)
            {
                return null;
            }
        }));
        Assert.Single(answers.OfType<Guid>().Distinct());
        await using var db = queue.Open();
        Assert.Equal(2, await db.Jobs.CountAsync(Token));
    }

    [Fact]
    public async Task A_key_has_at_most_so_many_queued_jobs_however_many_ask_at_once()
    {
        await using var queue = await CreateAsync();
        var key = Guid.NewGuid();
        var refused = 0;
        await Task.WhenAll(Enumerable.Range(0, 12).Select(async _ =>
        {
            try
            {
                await queue.Queue.SubmitAsync(Request(), [0], key, maxQueued: 3, cancellation: Token);
            }
            catch (ProblemException e) when (e.Code == ProblemCodes.TooManyQueuedJobs)
            {
                Interlocked.Increment(ref refused);
            }
        }));
        Assert.Equal(9, refused);
        await queue.Queue.SubmitAsync(Request(), [0], Guid.NewGuid(), maxQueued: 3, cancellation: Token);
    }

    [Fact]
    public async Task A_queued_job_is_cancelled_at_once_and_can_be_tried_again()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        Assert.Equal(JobStatus.Cancelled, await queue.Queue.CancelAsync(job, Token));
        Assert.Equal(JobStatus.Cancelled, await queue.Queue.CancelAsync(job, Token));
        Assert.All(await queue.StagesAsync(job), x => Assert.Equal(StageStatus.Cancelled, x.Status));
        Assert.Null(await queue.Leases.TryClaimAsync((await queue.StageAsync(job, StageKind.Prepare)).Id, "a", Token));
        Assert.Equal(["job.queued", "job.cancelling", "job.cancelled"], await queue.EventsAsync(job));

        Assert.Equal(2, await queue.Queue.RetryAsync(job, Token));
        await queue.CompleteAsync(job, StageKind.Prepare);
        Assert.Equal(StageStatus.Ready, (await queue.StageAsync(job, StageKind.Capture)).Status);
        Assert.Equal(ProblemCodes.Conflict, (await Assert.ThrowsAsync<ProblemException>(() => queue.Queue.RetryAsync(job, Token))).Code);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_running_job_is_cancelled_once_its_worker_has_let_go(bool workerLives)
    {
        await using var queue = await CreateAsync(new QueueOptions { HeartbeatInterval = TimeSpan.FromMilliseconds(50) });
        var job = await queue.SubmitAsync();
        await queue.CompleteAsync(job, StageKind.Prepare);
        using var lease = await queue.ClaimAsync(job, StageKind.Capture);
        Assert.Equal(JobStatus.Cancelling, await queue.Queue.CancelAsync(job, Token));
        Assert.Equal(ProblemCodes.Conflict, (await Assert.ThrowsAsync<ProblemException>(() => queue.Queue.RetryAsync(job, Token))).Code);
        if (workerLives)
        {
            await LeaseTests.EventuallyAsync(() => Task.FromResult(lease.Interrupted.IsCancellationRequested));
            Assert.Equal(StageInterruption.Cancelled, lease.Interruption);
            Assert.True(await lease.ReleaseAsync(Token));
        }
        else
        {
            lease.Dispose();
            await queue.ExpireAsync(lease.StageId);
            await queue.Reconciler.ReconcileAsync(Token);
        }
        Assert.Equal(JobStatus.Cancelled, (await queue.JobAsync(job)).Status);
        Assert.Equal(StageStatus.Cancelled, (await queue.StageAsync(job, StageKind.Capture)).Status);
        Assert.Equal(StageStatus.Succeeded, (await queue.StageAsync(job, StageKind.Prepare)).Status);
        await queue.Queue.RetryAsync(job, Token);
        using var again = await queue.ClaimAsync(job, StageKind.Capture);
        Assert.Equal(2, again.Attempt);
    }

    [Fact]
    public async Task A_transient_failure_is_tried_again_later_and_the_third_fails_the_job()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var problem = ProblemCodes.Create(ProblemCodes.InsufficientResources, "out of memory");
        for (var failure = 1; failure <= 3; failure++)
        {
            var before = DateTimeOffset.UtcNow;
            using var lease = await queue.ClaimAsync(job, StageKind.Prepare);
            Assert.True(await lease.FailAsync(problem, transient: true, Token));
            var stage = await queue.StageAsync(job, StageKind.Prepare);
            Assert.Equal(failure, stage.Failures);
            if (failure == 3)
                break;
            Assert.Equal(StageStatus.Ready, stage.Status);
            Assert.InRange((stage.NotBefore!.Value - before).TotalSeconds, 5 * Math.Pow(4, failure - 1), (5 * Math.Pow(4, failure - 1)) + 30);
            Assert.Null(await queue.Leases.TryClaimAsync(stage.Id, "early", Token));
            await queue.DueAsync(stage.Id);
        }
        var row = await queue.JobAsync(job);
        Assert.Equal(JobStatus.Failed, row.Status);
        var error = JsonSerializer.Deserialize<Problem>(row.ErrorJson!, Wire.Json)!;
        Assert.Equal((ProblemCodes.InsufficientResources, StageKind.Prepare, "out of memory"), (error.Code, error.Stage, error.Detail));
        Assert.NotNull(error.Kept);
        Assert.Equal(
            [
                "job.queued", "job.started", "stage.started", "stage.retrying", "stage.started", "stage.retrying", "stage.started", "stage.failed",
                "job.failed",
            ],
            await queue.EventsAsync(job));
    }

    [Fact]
    public async Task A_permanent_failure_keeps_what_succeeded_and_stops_the_rest()
    {
        await using var queue = await CreateAsync(new QueueOptions { HeartbeatInterval = TimeSpan.FromMilliseconds(50) });
        var job = await queue.SubmitAsync();
        await queue.CompleteAsync(job, StageKind.Prepare);
        await queue.CompleteAsync(job, StageKind.Capture);
        using var other = await queue.ClaimAsync(job, StageKind.Train, 0, "other");
        using var lease = await queue.ClaimAsync(job, StageKind.Train, 1);
        Assert.True(await lease.FailAsync(ProblemCodes.Create(ProblemCodes.AlignmentFailed), transient: false, Token));
        await LeaseTests.EventuallyAsync(() => Task.FromResult(other.Interrupted.IsCancellationRequested));
        Assert.Equal(ProblemCodes.Conflict, (await Assert.ThrowsAsync<ProblemException>(() => queue.Queue.DeleteAsync(job, Token))).Code);

        // A retry while the other worker has not let go yet: its stage must not stay cancelled.
        await queue.Queue.RetryAsync(job, Token);
        Assert.True(await other.ReleaseAsync(Token));
        var stages = await queue.StagesAsync(job);
        Assert.Equal([StageStatus.Succeeded, StageStatus.Succeeded], stages.Take(2).Select(x => x.Status));
        Assert.Equal([StageStatus.Ready, StageStatus.Ready], stages.Where(x => x.Kind == StageKind.Train).Select(x => x.Status));
        Assert.All(stages, x => Assert.Equal(0, x.Failures));
    }

    [Fact]
    public async Task Only_an_ended_job_is_deleted_and_nothing_of_it_stays()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var kept = (await queue.Queue.SubmitAsync(Request(), [0], null, new Idempotency("k", [1]), cancellation: Token)).Job.Id;
        Assert.Equal(ProblemCodes.Conflict, (await Assert.ThrowsAsync<ProblemException>(() => queue.Queue.DeleteAsync(job, Token))).Code);
        Assert.Equal(ProblemCodes.NotFound, (await Assert.ThrowsAsync<ProblemException>(() => queue.Queue.DeleteAsync(Guid.NewGuid(), Token))).Code);
        using (var writer = queue.Artifacts.Create(ArtifactStore.KeyOf(job, StageKind.Prepare, null, 1, "corpus")))
        {
            writer.Stream.Write("x"u8);
            writer.Complete();
        }
        await queue.Queue.CancelAsync(job, Token);
        await queue.Queue.DeleteAsync(job, Token);
        Assert.Null(await queue.Reader.GetAsync(job, cancellation: Token));
        Assert.Empty(await queue.StagesAsync(job));
        Assert.Empty(await queue.EventsAsync(job));
        Assert.False(Directory.Exists(Path.Combine(queue.Artifacts.Root, job.ToString("D"))));
        Assert.NotNull(await queue.Reader.GetAsync(kept, cancellation: Token));
    }

    [Fact]
    public async Task Lists_page_newest_first_and_filter()
    {
        await using var queue = await CreateAsync();
        var key = Guid.NewGuid();
        var ids = new List<Guid>();
        for (var i = 0; i < 5; i++)
            ids.Add((await queue.Queue.SubmitAsync(Request(), [0], i == 4 ? null : key, cancellation: Token)).Job.Id);
        await queue.Queue.CancelAsync(ids[1], Token);

        var seen = new List<Guid>();
        string? after = null;
        do
        {
            var page = await queue.Reader.ListAsync(new JobFilter(key), 3, after, Token);
            Assert.Equal(page.HasMore, page.NextAfter is not null);
            seen.AddRange(page.Data.Select(x => x.Id));
            after = page.NextAfter;
        }
        while (after is not null);
        Assert.Equal(ids.Take(4).OrderDescending(), seen);
        Assert.Equal([ids[1]], (await queue.Reader.ListAsync(new JobFilter(Status: JobStatus.Cancelled), 10, null, Token)).Data.Select(x => x.Id));
        Assert.Empty((await queue.Reader.ListAsync(new JobFilter(ModelId: "other"), 10, null, Token)).Data);
        await Assert.ThrowsAsync<ProblemException>(() => queue.Reader.ListAsync(new JobFilter(), 10, "no cursor", Token));
        Assert.Null(await queue.Reader.GetAsync(ids[4], key, Token));
    }
}
