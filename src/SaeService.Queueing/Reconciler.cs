using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// Makes up for whatever a dead process left half done: rings for ready stages that no queue holds, takes back stages of lost workers,
/// settles cancelled jobs, removes files of dead writers and inspections that nobody waits for. Runs in every process; one of them at a time does the work.
/// </summary>
public sealed partial class Reconciler(IDbContextFactory<SaeDbContext> contexts, NpgsqlDataSource source, StageLeases leases, Doorbell doorbell,
    ArtifactStore artifacts, QueueOptions options, ILogger<Reconciler> logger) : BackgroundService
{
    private const long LockKey = 0x736165_0002;
    private long? _swept;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.ReconcileInterval);
        do
        {
            try
            {
                await ReconcileAsync(stoppingToken);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                // Postgres may be away for a while; the next round finds it back.
                RoundFailed(logger, error);
            }
        }
        while (await WaitAsync(timer, stoppingToken));
    }

    /// <summary>One round. Does nothing where another process is at it.</summary>
    public async Task ReconcileAsync(CancellationToken cancellation = default)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var take = new NpgsqlCommand("SELECT pg_try_advisory_lock($1)", connection) { Parameters = { new() { Value = LockKey } } };
        if (!(bool)(await take.ExecuteScalarAsync(cancellation))!)
            return;
        try
        {
            if (await leases.TakeBackExpiredAsync(cancellation) is > 0 and var taken)
                TakenBack(logger, taken);
            await using var db = await contexts.CreateDbContextAsync(cancellation);
            await SettleAsync(db, cancellation);
            await RingAsync(db, cancellation);
            var forgotten = DateTimeOffset.UtcNow - options.IdempotencyRetention;
            await db.IdempotencyKeys.Where(x => x.CreatedAt < forgotten).ExecuteDeleteAsync(cancellation);
            // Of an interface that died waiting; any other deletes its own.
            await db.Database.ExecuteSqlAsync($"DELETE FROM inspections WHERE expires_at < clock_timestamp() - interval '1 minute'", cancellation);
            if (_swept is not { } swept || TimeProvider.System.GetElapsedTime(swept) >= options.SweepInterval)
            {
                _swept = TimeProvider.System.GetTimestamp();
                if (artifacts.RemoveOrphans(options.OrphanAge) is > 0 and var removed)
                    Swept(logger, removed);
            }
        }
        finally
        {
            await using var release = new NpgsqlCommand("SELECT pg_advisory_unlock($1)", connection) { Parameters = { new() { Value = LockKey } } };
            await release.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private static async Task SettleAsync(SaeDbContext db, CancellationToken cancellation)
    {
        var cancelling = await db.Jobs.Where(x => x.Status == JobStatus.Cancelling).Select(x => x.Id).ToListAsync(cancellation);
        foreach (var jobId in cancelling)
        {
            await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
            if (await JobTransitions.LockAsync(db, jobId, cancellation) is { } status)
                await JobTransitions.SettleAsync(db, status, jobId, cancellation);
            await transaction.CommitAsync(cancellation);
        }
    }

    // A ring is lost with a process that dies between commit and enqueue, or between fetching the Hangfire job and claiming the stage. Hangfire
    // redelivers the latter only after minutes, and behind every fresh job, so its queue table is asked whether the ring is still to be heard.
    private async Task RingAsync(SaeDbContext db, CancellationToken cancellation)
    {
        var silent = await db.Stages.FromSql(
            $"""
            SELECT s.*, s.xmin FROM stages s
            WHERE s.status = 'Ready' AND (s.not_before IS NULL OR s.not_before <= clock_timestamp())
              AND (s.hangfire_job_id IS NULL
                OR (s.enqueued_at < clock_timestamp() - {options.RingAgainAfter}
                  AND NOT EXISTS (SELECT 1 FROM hangfire.jobqueue q WHERE q.jobid = s.hangfire_job_id::bigint AND q.fetchedat IS NULL)))
            ORDER BY s.job_id, s.ordinal LIMIT 1000
            """).AsNoTracking().ToListAsync(cancellation);
        foreach (var stage in silent)
            await doorbell.RingStageAsync(db, stage.Id, cancellation);
    }

    private static async Task<bool> WaitAsync(PeriodicTimer timer, CancellationToken stopping)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stopping);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A round of reconciliation failed")]
    private static partial void RoundFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed {Count} unfinished files of writers that died")]
    private static partial void Swept(ILogger logger, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Took back {Count} stages of lost workers")]
    private static partial void TakenBack(ILogger logger, int count);
}
