using Hangfire;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;
using static SaeService.Queueing.Tests.QueueFixture;

namespace SaeService.Queueing.Tests;

public sealed class ReconcilerTests
{
    [Fact]
    public async Task A_ready_stage_that_no_queue_holds_is_rung_again()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var stage = (await queue.StageAsync(job, StageKind.Prepare)).Id;
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal([stage], queue.Rung());

        // The process died between commit and enqueue.
        await ExecuteAsync(queue, "DELETE FROM hangfire.jobqueue; UPDATE stages SET hangfire_job_id = NULL");
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal([stage], queue.Rung());

        // The process died between fetching the Hangfire job and claiming the stage: quiet for a while, then rung.
        await ExecuteAsync(queue, "UPDATE hangfire.jobqueue SET fetchedat = now()");
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal(1L, await CountAsync(queue));
        await ExecuteAsync(queue, "UPDATE stages SET enqueued_at = now() - interval '1 minute'");
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal(2L, await CountAsync(queue));

        // Waiting long in a queue is no reason to ring again.
        await ExecuteAsync(queue, "UPDATE stages SET enqueued_at = now() - interval '1 hour'");
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal(2L, await CountAsync(queue));
    }

    [Fact]
    public async Task A_lost_workers_stage_goes_back_and_the_third_loss_fails_the_job_by_name()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        await queue.CompleteAsync(job, StageKind.Prepare);
        await queue.CompleteAsync(job, StageKind.Capture);
        for (var loss = 1; loss <= 3; loss++)
        {
            using var lease = await queue.ClaimAsync(job, StageKind.Train, 1, $"worker-{loss}");
            lease.Dispose();
            await queue.Reconciler.ReconcileAsync(Token);
            Assert.Equal(StageStatus.Running, (await queue.StageAsync(job, StageKind.Train, 1)).Status);
            await queue.ExpireAsync(lease.StageId);
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => queue.Leases.TakeBackExpiredAsync(Token)));
            var stage = await queue.StageAsync(job, StageKind.Train, 1);
            Assert.Equal((loss, loss == 3 ? StageStatus.Failed : StageStatus.Ready), (stage.Failures, stage.Status));
        }
        var seen = (await queue.Reader.GetAsync(job, cancellation: Token))!;
        Assert.Equal((JobStatus.Failed, ProblemCodes.WorkerLost, StageKind.Train, 1), (seen.Status, seen.Error!.Code, seen.Error.Stage, seen.Error.Layer));
        Assert.Contains("stage train of layer 1", seen.Error.Detail);
        Assert.Equal(2, (await queue.EventsAsync(job)).Count(x => x == "stage.retrying"));
    }

    [Fact]
    public async Task Reconcilers_of_many_processes_do_the_work_once()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        await ExecuteAsync(queue, "DELETE FROM hangfire.jobqueue; UPDATE stages SET hangfire_job_id = NULL");
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => queue.Reconciler.ReconcileAsync(Token)));
        Assert.Equal([(await queue.StageAsync(job, StageKind.Prepare)).Id], queue.Rung());
    }

    [Fact]
    public async Task Old_idempotency_keys_are_forgotten()
    {
        await using var queue = await CreateAsync();
        var key = new Idempotency("k", [1]);
        await queue.Queue.SubmitAsync(Request(), [0], null, key, cancellation: Token);
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.NotNull(await queue.Queue.FindReplayAsync(null, key, Token));
        await ExecuteAsync(queue, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours'");
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Null(await queue.Queue.FindReplayAsync(null, key, Token));
    }

    [Fact]
    public async Task Files_of_dead_writers_are_removed_now_and_then()
    {
        await using var queue = await CreateAsync(new QueueOptions { OrphanAge = TimeSpan.FromHours(2) });
        using var young = Orphan(TimeSpan.FromHours(1));
        using var old = Orphan(TimeSpan.FromHours(3));
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal((true, false), (File.Exists(young.TemporaryPath), File.Exists(old.TemporaryPath)));
        using var next = Orphan(TimeSpan.FromHours(3));
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.True(File.Exists(next.TemporaryPath));

        ArtifactWriter Orphan(TimeSpan age)
        {
            var writer = queue.Artifacts.Create($"datasets/{Guid.NewGuid():N}");
            writer.Stream.Write([1]);
            writer.Stream.Flush();
            File.SetLastWriteTimeUtc(writer.TemporaryPath, TimeProvider.System.GetUtcNow().UtcDateTime - age);
            return writer;
        }
    }

    [Fact]
    public async Task Followers_of_a_job_are_woken_by_its_events_and_by_no_others()
    {
        await using var queue = await CreateAsync();
        var signals = queue.Get<JobSignals>();
        await signals.StartAsync(Token);
        var job = await queue.SubmitAsync();
        using var follower = signals.Follow(job);
        var other = await queue.SubmitAsync();
        using var idle = signals.Follow(other);
        // Signals of the submissions and of the first connection may still come.
        while (await follower.WaitAsync(TimeSpan.FromMilliseconds(500), Token) || await idle.WaitAsync(TimeSpan.Zero, Token))
            continue;
        await queue.Queue.CancelAsync(job, Token);
        Assert.True(await follower.WaitAsync(TimeSpan.FromSeconds(30), Token));
        Assert.False(await idle.WaitAsync(TimeSpan.Zero, Token));
        await signals.StopAsync(Token);
    }

    [Fact]
    public async Task Hangfire_runs_the_stage_runner_of_the_worker()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var stored = queue.Get<JobStorage>().GetMonitoringApi().EnqueuedJobs(HangfireSetup.Queue, 0, 10).Single().Value.Job;
        Assert.Equal((typeof(IStageRunner), nameof(IStageRunner.Run)), (stored.Type, stored.Method.Name));
        Assert.Equal((await queue.StageAsync(job, StageKind.Prepare)).Id, stored.Args[0]);
        var retry = Assert.Single(stored.Method.GetCustomAttributes(typeof(AutomaticRetryAttribute), true));
        Assert.Equal(0, ((AutomaticRetryAttribute)retry).Attempts);
    }

    private static async Task ExecuteAsync(QueueFixture queue, string sql)
    {
        await using var db = queue.Open();
        await db.Database.ExecuteSqlRawAsync(sql, Token);
    }

    private static async Task<long> CountAsync(QueueFixture queue)
    {
        await using var db = queue.Open();
        return await db.Database.SqlQuery<long>($"SELECT count(*) AS \"Value\" FROM hangfire.jobqueue").SingleAsync(Token);
    }
}
