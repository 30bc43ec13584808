using Hangfire;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>Tells Hangfire that stages are ready. Ringing twice is harmless, and a ring that fails is made up for by <see cref="Reconciler"/>.</summary>
public sealed partial class Doorbell(IDbContextFactory<SaeDbContext> contexts, IBackgroundJobClient client, ILogger<Doorbell> logger)
{
    /// <summary>Rings for the ready stages of a job that have not been rung for.</summary>
    public async Task RingAsync(Guid jobId, CancellationToken cancellation = default)
    {
        try
        {
            await using var db = await contexts.CreateDbContextAsync(cancellation);
            var ready = await db.Stages
                .Where(x => x.JobId == jobId && x.Status == Contracts.StageStatus.Ready && x.HangfireJobId == null
                    && (x.NotBefore == null || x.NotBefore <= DateTimeOffset.UtcNow))
                .OrderBy(x => x.Ordinal).Select(x => x.Id).ToListAsync(cancellation);
            foreach (var stageId in ready)
                await RingStageAsync(db, stageId, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // What made the stages ready is committed; the reconciler rings again.
            NotRung(logger, jobId, error);
        }
    }

    internal async Task RingStageAsync(SaeDbContext db, Guid stageId, CancellationToken cancellation)
    {
        var hangfireJobId = client.Enqueue<IStageRunner>(runner => runner.Run(stageId, CancellationToken.None));
        await db.Database.ExecuteSqlAsync(
            $"UPDATE stages SET hangfire_job_id = {hangfireJobId}, enqueued_at = clock_timestamp() WHERE id = {stageId} AND status = 'Ready'", cancellation);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not enqueue the ready stages of job {JobId}; the reconciler will")]
    private static partial void NotRung(ILogger logger, Guid jobId, Exception error);
}
