using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>Grants stages to workers, each to one at a time, and takes back those of workers that were lost.</summary>
public sealed class StageLeases(IDbContextFactory<SaeDbContext> contexts, NpgsqlDataSource source, Doorbell doorbell, ArtifactStore artifacts,
    QueueOptions options, ILogger<StageLease> logger)
{
    /// <summary>
    /// Claims a stage: ready and not to be waited for, or running with a lease that has expired. The claim is a compare-and-set, so of any
    /// number of callers one gets it.
    /// </summary>
    /// <param name="owner">Unlike any other process's, past or present: node, process id and something random.</param>
    /// <param name="shutdown">Interrupts the lease when the process is asked to stop.</param>
    /// <returns>Null where there is nothing to do: taken, finished, cancelled, unknown or not due.</returns>
    public async Task<StageLease?> TryClaimAsync(Guid stageId, string owner, CancellationToken shutdown = default)
    {
        await using var db = await contexts.CreateDbContextAsync(shutdown);
        var jobId = await db.Stages.Where(x => x.Id == stageId).Select(x => (Guid?)x.JobId).SingleOrDefaultAsync(shutdown);
        if (jobId is null)
            return null;
        await using var transaction = await db.Database.BeginTransactionAsync(shutdown);
        var status = await JobTransitions.LockAsync(db, jobId.Value, shutdown);
        if (status is null)
            return null;
        await TakeBackAsync(db, status.Value, stageId, shutdown);
        var claimed = status is JobStatus.Queued or JobStatus.Running ? await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE stages SET status = 'Running', attempt = attempt + 1, lease_owner = {owner}, lease_expires_at = clock_timestamp() + {options.LeaseDuration},
                started_at = clock_timestamp(), finished_at = NULL, fraction = 0, tokens_per_second = NULL, message = NULL
            WHERE id = {stageId} AND status = 'Ready' AND (not_before IS NULL OR not_before <= clock_timestamp())
            """, shutdown) : 0;
        if (claimed == 0)
        {
            await transaction.CommitAsync(shutdown);
            return null;
        }
        var stage = await db.Stages.AsNoTracking().SingleAsync(x => x.Id == stageId, shutdown);
        var job = await db.Jobs.AsNoTracking().Select(JobReader.WithoutDocument).SingleAsync(x => x.Id == jobId, shutdown);
        if (status == JobStatus.Queued)
        {
            await db.Database.ExecuteSqlAsync($"UPDATE jobs SET status = 'Running', started_at = clock_timestamp() WHERE id = {job.Id}", shutdown);
            JobTransitions.Emit(db, job.Id, "job.started", attempt: job.Attempt);
        }
        JobTransitions.Emit(db, job.Id, "stage.started", stage);
        await db.SaveChangesAsync(shutdown);
        var request = JsonSerializer.Deserialize<JobRequest>(job.RequestJson, Wire.Json)!;
        await transaction.CommitAsync(shutdown);
        return new StageLease(contexts, source, doorbell, artifacts, options, logger, stage, request, job.Layers, shutdown);
    }

    /// <summary>
    /// Claims what is best worked on, for a worker that a ring has woken: of the oldest job with anything ready, the stage furthest along, so that
    /// jobs and their layers are finished one after another and not all of them at the same late time. A ring leads to one claim at most, whatever
    /// stage it was for; and as each ready stage has rung once, as many stages are claimed as are ready.
    /// </summary>
    /// <param name="rung">The stage that rang: claimed where none is ready, if its worker was lost.</param>
    /// <returns>Null where there is nothing to do.</returns>
    public async Task<StageLease?> TryClaimNextAsync(Guid rung, string owner, CancellationToken shutdown = default)
    {
        var kinds = Enum.GetNames<StageKind>();
        while (true)
        {
            await using var command = source.CreateCommand(
                """
                SELECT s.id FROM stages s JOIN jobs j ON j.id = s.job_id
                WHERE s.status = 'Ready' AND (s.not_before IS NULL OR s.not_before <= clock_timestamp()) AND j.status IN ('Queued', 'Running')
                ORDER BY j.created_at, j.id, array_position($1, s.kind::text) DESC, s.layer LIMIT 1
                """);
            command.Parameters.Add(new() { Value = kinds });
            if (await command.ExecuteScalarAsync(shutdown) is not Guid best)
                return await TryClaimAsync(rung, owner, shutdown);
            // Where another worker was faster, the stage is ready no more and the next look finds another or none.
            if (await TryClaimAsync(best, owner, shutdown) is { } lease)
                return lease;
        }
    }

    /// <summary>Takes back every running stage whose lease has expired.</summary>
    /// <returns>How many.</returns>
    public async Task<int> TakeBackExpiredAsync(CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        var expired = await db.Stages.Where(x => x.Status == StageStatus.Running && x.LeaseExpiresAt < DateTimeOffset.UtcNow)
            .Select(x => new { x.Id, x.JobId }).ToListAsync(cancellation);
        var taken = 0;
        foreach (var stage in expired)
        {
            await using (var transaction = await db.Database.BeginTransactionAsync(cancellation))
            {
                if (await JobTransitions.LockAsync(db, stage.JobId, cancellation) is not { } status)
                    continue;
                if (await TakeBackAsync(db, status, stage.Id, cancellation))
                    taken++;
                await transaction.CommitAsync(cancellation);
            }
            await doorbell.RingAsync(stage.JobId, cancellation);
        }
        return taken;
    }

    // The job's row is locked.
    private async Task<bool> TakeBackAsync(SaeDbContext db, JobStatus job, Guid stageId, CancellationToken cancellation)
    {
        var stage = await db.Stages.AsNoTracking()
            .SingleOrDefaultAsync(x => x.Id == stageId && x.Status == StageStatus.Running && x.LeaseExpiresAt < DateTimeOffset.UtcNow, cancellation);
        if (stage is null)
            return false;
        var where = stage.Layer is { } layer ? $"stage {stage.Kind.Name()} of layer {layer}" : $"stage {stage.Kind.Name()}";
        var last = stage.Failures + 1 >= options.MaxFailures;
        var detail = last
            ? $"The worker was lost in {where}, attempt {stage.Attempt}, after earlier failures. "
                + $"Most often such a process ran out of memory or its native library aborted."
            : $"The worker was lost in {where}, attempt {stage.Attempt}.";
        await JobTransitions.FailAttemptAsync(
            db, job, stage, ProblemCodes.Create(ProblemCodes.WorkerLost, detail), transient: true, TimeSpan.Zero, options, cancellation);
        return true;
    }
}
