using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;
using static SaeService.Queueing.Tests.QueueFixture;

namespace SaeService.Queueing.Tests;

public sealed class LeaseTests
{
    [Fact]
    public async Task Of_many_claims_at_once_one_is_granted()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var stage = await queue.StageAsync(job, StageKind.Prepare);
        var leases = await Task.WhenAll(Enumerable.Range(0, 24).Select(i => queue.Leases.TryClaimAsync(stage.Id, $"worker-{i}", Token)));
        using var lease = Assert.Single(leases, x => x is not null)!;
        stage = await queue.StageAsync(job, StageKind.Prepare);
        Assert.Equal((StageStatus.Running, 1, 1), (stage.Status, stage.Attempt, lease.Attempt));
        Assert.Equal(JobStatus.Running, (await queue.JobAsync(job)).Status);
        Assert.Equal(["job.queued", "job.started", "stage.started"], await queue.EventsAsync(job));
    }

    [Fact]
    public async Task Neither_a_waiting_nor_an_unknown_nor_a_finished_stage_is_granted()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        await queue.CompleteAsync(job, StageKind.Prepare);
        Assert.Null(await queue.Leases.TryClaimAsync((await queue.StageAsync(job, StageKind.Prepare)).Id, "a", Token));
        Assert.Null(await queue.Leases.TryClaimAsync((await queue.StageAsync(job, StageKind.Conclude)).Id, "a", Token));
        Assert.Null(await queue.Leases.TryClaimAsync(Guid.NewGuid(), "a", Token));
    }

    [Fact]
    public async Task A_ring_leads_to_the_oldest_jobs_furthest_stage()
    {
        await using var queue = await CreateAsync();
        var older = await queue.SubmitAsync();
        await queue.CompleteAsync(older, StageKind.Prepare);
        var younger = await queue.SubmitAsync();
        await queue.CompleteAsync(older, StageKind.Capture);
        // Reference layer of two is 1; what is published makes more ready on the way.
        var rung = (await queue.StageAsync(younger, StageKind.Prepare)).Id;
        var order = new List<(Guid, StageKind, int?)>();
        while (await queue.Leases.TryClaimNextAsync(rung, "worker", Token) is { } lease)
            using (lease)
            {
                order.Add((lease.JobId, lease.Kind, lease.Layer));
                if (lease.JobId == younger)
                    continue;
                Assert.True(await lease.SucceedAsync([], cancellation: Token));
            }
        Assert.Equal(
            [
                (older, StageKind.Inform, 1), (older, StageKind.Inform, 0),
                (older, StageKind.Train, 0), (older, StageKind.Encode, 0), (older, StageKind.Label, 0), (older, StageKind.Control, 0),
                (older, StageKind.Train, 1), (older, StageKind.Encode, 1), (older, StageKind.Label, 1), (older, StageKind.Control, 1),
                (older, StageKind.Conclude, null), (younger, StageKind.Prepare, null),
            ], order);
    }

    [Fact]
    public async Task As_many_rings_at_once_as_stages_are_ready_claim_each_of_them_once()
    {
        await using var queue = await CreateAsync();
        for (var job = 0; job < 3; job++)
        {
            var id = await queue.SubmitAsync(layers: 3);
            await queue.CompleteAsync(id, StageKind.Prepare);
            await queue.CompleteAsync(id, StageKind.Capture);
        }
        await using var db = queue.Open();
        var ready = await db.Stages.Where(x => x.Status == StageStatus.Ready).Select(x => x.Id).ToListAsync(Token);
        Assert.Equal(3 * 4, ready.Count);
        Assert.Equal(ready.Order(), queue.Rung().Intersect(ready).Order());
        var leases = await Task.WhenAll(ready.Select((stage, i) => queue.Leases.TryClaimNextAsync(stage, $"worker-{i}", Token)));
        Assert.Equal(ready.Order(), leases.Select(x => x!.StageId).Order());
        Assert.Null(await queue.Leases.TryClaimNextAsync(ready[0], "late", Token));
        foreach (var lease in leases)
            lease!.Dispose();
    }

    [Fact]
    public async Task A_ring_with_nothing_ready_takes_over_from_its_lost_worker_and_leaves_what_is_not_due()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        using var lost = await queue.ClaimAsync(job, StageKind.Prepare);
        lost.Dispose();
        Assert.Null(await queue.Leases.TryClaimNextAsync(lost.StageId, "other", Token));
        await queue.ExpireAsync(lost.StageId);
        using var second = await queue.Leases.TryClaimNextAsync(lost.StageId, "other", Token);
        Assert.Equal((lost.StageId, 2), (second!.StageId, second.Attempt));
        Assert.True(await second.FailAsync(ProblemCodes.Create(ProblemCodes.Internal), transient: true, Token));
        Assert.Null(await queue.Leases.TryClaimNextAsync(lost.StageId, "other", Token));
        await queue.DueAsync(lost.StageId);
        using var third = await queue.Leases.TryClaimNextAsync(Guid.NewGuid(), "other", Token);
        Assert.Equal(lost.StageId, third!.StageId);
    }

    [Fact]
    public async Task An_attempt_that_was_taken_over_writes_nothing()
    {
        await using var queue = await CreateAsync(new QueueOptions { HeartbeatInterval = TimeSpan.FromMinutes(5) });
        var job = await queue.SubmitAsync();
        using var frozen = await queue.ClaimAsync(job, StageKind.Prepare, owner: "same name");
        await queue.ExpireAsync(frozen.StageId);
        using var second = await queue.ClaimAsync(job, StageKind.Prepare, owner: "same name");
        Assert.Equal(2, second.Attempt);

        var published = false;
        Assert.False(await frozen.SucceedAsync([Write(queue, frozen, "codes")], (_, _) => Task.FromResult(published = true), Token));
        Assert.False(published);
        Assert.Equal(StageInterruption.Lost, frozen.Interruption);
        Assert.False(await frozen.FailAsync(ProblemCodes.Create(ProblemCodes.Internal), transient: false, Token));
        Assert.False(await frozen.ReleaseAsync(Token));
        var running = await queue.StageAsync(job, StageKind.Prepare);
        Assert.Equal((StageStatus.Running, 2), (running.Status, running.Attempt));

        var codes = Write(queue, second, "codes");
        Assert.True(await second.SucceedAsync([codes], cancellation: Token));
        await using var db = queue.Open();
        var artifact = await db.Artifacts.SingleAsync(Token);
        Assert.Equal((codes.Key, 2, codes.Sha256), (artifact.Key, artifact.Attempt, artifact.Sha256));
        Assert.False(queue.Artifacts.Exists(frozen.KeyOf("codes")));
        using var next = await queue.ClaimAsync(job, StageKind.Capture);
        Assert.Equal(codes.Key, await next.PublishedKeyAsync(StageKind.Prepare, null, "codes", Token));
        await Assert.ThrowsAsync<InvalidOperationException>(() => next.PublishedKeyAsync(StageKind.Prepare, null, "other", Token));
    }

    [Fact]
    public async Task The_heartbeat_keeps_a_lease_and_notices_when_it_is_lost()
    {
        await using var queue = await CreateAsync(new QueueOptions
        {
            LeaseDuration = TimeSpan.FromSeconds(3),
            HeartbeatInterval = TimeSpan.FromMilliseconds(100),
            ProgressInterval = TimeSpan.FromMilliseconds(20),
        });
        var job = await queue.SubmitAsync();
        using var lease = await queue.ClaimAsync(job, StageKind.Prepare);
        var first = (await queue.StageAsync(job, StageKind.Prepare)).LeaseExpiresAt;
        await EventuallyAsync(async () => (await queue.StageAsync(job, StageKind.Prepare)).LeaseExpiresAt > first);
        Assert.False(lease.Interrupted.IsCancellationRequested);
        // It says what its process holds, too.
        Assert.InRange((await queue.StageAsync(job, StageKind.Prepare)).PeakBytes ?? 0, 1 << 20, long.MaxValue);

        await using (var db = queue.Open())
            await db.Database.ExecuteSqlAsync($"UPDATE stages SET attempt = attempt + 1 WHERE id = {lease.StageId}", Token);
        await EventuallyAsync(() => Task.FromResult(lease.Interrupted.IsCancellationRequested));
        Assert.Equal(StageInterruption.Lost, lease.Interruption);
    }

    [Fact]
    public async Task Progress_reaches_the_stage_and_the_events_and_is_throttled()
    {
        await using var queue = await CreateAsync(new QueueOptions { ProgressInterval = TimeSpan.FromMilliseconds(20) });
        var job = await queue.SubmitAsync();
        using var lease = await queue.ClaimAsync(job, StageKind.Prepare);
        for (var i = 0; i <= 1000; i++)
            lease.ReportProgress(i * 0.0005, 1234, "aligning");
        await EventuallyAsync(async () => (await queue.StageAsync(job, StageKind.Prepare)).Fraction == 0.5);
        var stage = await queue.StageAsync(job, StageKind.Prepare);
        Assert.Equal((1234d, "aligning"), (stage.TokensPerSecond, stage.Message));
        var events = await queue.Reader.EventsAsync(job, 0, 1000, Token);
        Assert.InRange(events.Count(x => x.Type == "stage.progress"), 1, 12);
        Assert.Equal(events.OrderBy(x => x.Id).Select(x => x.Id), events.Select(x => x.Id));

        var seen = await queue.Reader.GetAsync(job, cancellation: Token);
        Assert.Equal(0.5 * stage.Weight, seen!.Progress.Fraction, 9);
        Assert.Equal(1234, seen.Progress.TokensPerSecond);
        Assert.Equal(StageKind.Prepare, seen.Stage);
    }

    [Fact]
    public async Task What_is_said_in_a_stage_shorter_than_a_beat_is_an_event_too()
    {
        await using var queue = await CreateAsync(new QueueOptions { ProgressInterval = TimeSpan.FromMinutes(1) });
        var job = await queue.SubmitAsync();
        using (var lease = await queue.ClaimAsync(job, StageKind.Prepare))
        {
            lease.ReportProgress(0.4, message: "resumed from the checkpoint");
            lease.ReportProgress(0.5, message: "resumed from the checkpoint");
            lease.ReportProgress(0.6);
            lease.ReportProgress(0.7, message: "something else");
            Assert.True(await lease.SucceedAsync([], cancellation: Token));
        }
        var said = (await queue.Reader.EventsAsync(job, 0, 1000, Token)).Where(x => x.Type == "stage.progress").ToList();
        Assert.Equal([("resumed from the checkpoint", 0.5), ("something else", 0.7)], said.Select(x => (x.Message, x.Fraction!.Value)));
        Assert.All(said, x => Assert.Equal(StageKind.Prepare, x.Stage));
    }

    [Fact]
    public async Task What_is_said_between_two_beats_and_overtaken_is_an_event_too()
    {
        await using var queue = await CreateAsync(new QueueOptions { ProgressInterval = TimeSpan.FromMilliseconds(300) });
        var job = await queue.SubmitAsync();
        using var lease = await queue.ClaimAsync(job, StageKind.Prepare);
        lease.ReportProgress(0.5, message: "resumed from the checkpoint");
        lease.ReportProgress(0.7, message: "something else");
        var deadline = Environment.TickCount64 + 20_000;
        string?[] said = [];
        while (said.Length < 2 && Environment.TickCount64 < deadline)
        {
            await Task.Delay(50, Token);
            said = [.. (await queue.Reader.EventsAsync(job, 0, 1000, Token)).Where(x => x.Type == "stage.progress").Select(x => x.Message)];
        }
        Assert.Equal(["resumed from the checkpoint", "something else"], said);
    }

    [Fact]
    public async Task Shutdown_gives_the_stage_back_without_counting_a_failure()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        using var shutdown = new CancellationTokenSource();
        using var lease = await queue.ClaimAsync(job, StageKind.Prepare, shutdown: shutdown);
        await shutdown.CancelAsync();
        Assert.Equal((true, StageInterruption.Shutdown), (lease.Interrupted.IsCancellationRequested, lease.Interruption));
        Assert.True(await lease.ReleaseAsync(Token));
        var stage = await queue.StageAsync(job, StageKind.Prepare);
        Assert.Equal((StageStatus.Ready, 0), (stage.Status, stage.Failures));
        using var again = await queue.ClaimAsync(job, StageKind.Prepare);
        Assert.Equal(2, again.Attempt);
    }

    [Fact]
    public async Task A_publication_that_throws_leaves_nothing_and_the_attempt_can_still_fail()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        using var lease = await queue.ClaimAsync(job, StageKind.Prepare);
        await Assert.ThrowsAsync<FormatException>(() => lease.SucceedAsync([], async (db, ct) =>
        {
            db.WebhookDeliveries.Add(new WebhookDeliveryRow { Id = Guid.NewGuid(), JobId = job, Url = "u", Payload = "{}" });
            await db.SaveChangesAsync(ct);
            throw new FormatException();
        }, Token));
        await using var check = queue.Open();
        Assert.Equal(0, await check.WebhookDeliveries.CountAsync(Token));
        Assert.True(await lease.FailAsync(ProblemCodes.Create(ProblemCodes.Internal, "it broke"), transient: false, Token));
        Assert.Equal(JobStatus.Failed, (await queue.JobAsync(job)).Status);
    }

    private static StoredArtifact Write(QueueFixture queue, StageLease lease, string name)
    {
        using var writer = queue.Artifacts.Create(lease.KeyOf(name));
        writer.Stream.Write("x"u8);
        return writer.Complete();
    }

    internal static async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        for (var i = 0; i < 1500; i++)
        {
            if (await condition())
                return;
            await Task.Delay(20, Token);
        }
        Assert.Fail("it did not happen in 30 seconds");
    }
}
