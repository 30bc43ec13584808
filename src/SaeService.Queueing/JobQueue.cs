using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <param name="Key">The client's, at most 255 characters.</param>
/// <param name="BodySha256">Of the request's body as it was sent.</param>
public sealed record Idempotency(string Key, byte[] BodySha256);

/// <param name="Replayed">True where an earlier request with the same idempotency key made the job.</param>
public sealed record Submission(JobRow Job, bool Replayed);

/// <summary>What clients do to jobs.</summary>
public sealed class JobQueue(IDbContextFactory<SaeDbContext> contexts, Doorbell doorbell, ArtifactStore artifacts)
{
    /// <summary>Writes the job, its stages and its first event in one transaction, then rings.</summary>
    /// <param name="resolved">The request with every default filled in.</param>
    /// <param name="layers">The layers asked for, ascending, each once.</param>
    /// <param name="apiKeyId">Whose job it is; null in the local mode.</param>
    /// <param name="maxQueued">Most jobs of this key that may be queued; null: any number.</param>
    /// <param name="estimate">Kept with the job.</param>
    /// <exception cref="ProblemException">
    /// <see cref="ProblemCodes.IdempotencyMismatch"/>, <see cref="ProblemCodes.IdempotencyInFlight"/>, <see cref="ProblemCodes.TooManyQueuedJobs"/>.
    /// </exception>
    public async Task<Submission> SubmitAsync(JobRequest resolved, IReadOnlyList<int> layers, Guid? apiKeyId, Idempotency? idempotency = null,
        int? maxQueued = null, JobEstimate? estimate = null, CancellationToken cancellation = default)
    {
        var owner = apiKeyId ?? Guid.Empty;
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        if (idempotency is not null)
        {
            // Two requests with one key at once: the second must not wait for the first, and must not make a second job.
            var name = $"idempotency/{owner:N}/{idempotency.Key}";
            var alone = await db.Database
                .SqlQuery<bool>($"SELECT pg_try_advisory_xact_lock(hashtextextended({name}, 0)) AS \"Value\"").SingleAsync(cancellation);
            if (!alone)
                throw new ProblemException(ProblemCodes.IdempotencyInFlight,
                    $"A request with the idempotency key '{idempotency.Key}' is being worked on; ask again.");
            if (await FindReplayAsync(db, owner, idempotency, cancellation) is { } earlier)
                return new Submission(earlier, Replayed: true);
        }
        if (maxQueued is { } most)
        {
            // Counted under a lock of the key's owner: requests at once must not all see room for one more.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({"queued/" + owner.ToString("N")}, 0))", cancellation);
            var queued = await db.Jobs.CountAsync(x => x.ApiKeyId == apiKeyId && x.Status == JobStatus.Queued, cancellation);
            if (queued >= most)
                throw new ProblemException(ProblemCodes.TooManyQueuedJobs,
                    $"{queued} jobs of this key are queued, and {most} may be. Wait for one to start, or cancel one.");
        }

        var job = new JobRow
        {
            Id = Guid.CreateVersion7(),
            Status = JobStatus.Queued,
            ApiKeyId = apiKeyId,
            RequestJson = StorableText.Json(JsonSerializer.Serialize(resolved, Wire.Json)),
            EstimateJson = estimate is null ? null : StorableText.Json(JsonSerializer.Serialize(estimate, Wire.Json)),
            ModelId = resolved.Model.Id,
            DatasetId = resolved.Dataset.Id,
            Layers = [.. layers],
            CreatedAt = TimeProvider.System.GetUtcNow(),
        };
        db.Jobs.Add(job);
        await db.SaveChangesAsync(cancellation);
        db.Stages.AddRange(StagePlan.Create(job.Id, layers, resolved.Mode ?? "standard", resolved.Hook ?? "resid_post", resolved.Sae is { ArePretrained: true }));
        if (idempotency is not null)
            db.IdempotencyKeys.Add(new IdempotencyKeyRow
            {
                Owner = owner,
                Key = idempotency.Key,
                BodySha256 = idempotency.BodySha256,
                JobId = job.Id,
                CreatedAt = job.CreatedAt,
            });
        JobTransitions.Emit(db, job.Id, "job.queued", attempt: job.Attempt);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        await doorbell.RingAsync(job.Id, cancellation);
        return new Submission(job, Replayed: false);
    }

    /// <summary>
    /// The job that an earlier request with this idempotency key made, or null. Asked before validation: a replay is answered as the first
    /// request was, even where the model has gone since.
    /// </summary>
    /// <exception cref="ProblemException"><see cref="ProblemCodes.IdempotencyMismatch"/>.</exception>
    public async Task<JobRow?> FindReplayAsync(Guid? apiKeyId, Idempotency idempotency, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        return await FindReplayAsync(db, apiKeyId ?? Guid.Empty, idempotency, cancellation);
    }

    /// <summary>Stages that have not begun are cancelled at once; those at work see it at their next heartbeat. Asking again changes nothing.</summary>
    /// <returns>The job's status now: cancelling or cancelled.</returns>
    /// <exception cref="ProblemException"><see cref="ProblemCodes.NotFound"/>, or <see cref="ProblemCodes.Conflict"/>: it has succeeded or failed.</exception>
    public async Task<JobStatus> CancelAsync(Guid jobId, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        var status = await JobTransitions.LockAsync(db, jobId, cancellation) ?? throw NotFound(jobId);
        if (status is JobStatus.Cancelling or JobStatus.Cancelled)
            return status;
        if (status is JobStatus.Succeeded or JobStatus.Failed)
            throw new ProblemException(ProblemCodes.Conflict, $"The job has {status.ToString().ToLowerInvariant()}; there is nothing to cancel.");
        await JobTransitions.CancelUnstartedAsync(db, jobId, cancellation);
        await db.Jobs.Where(x => x.Id == jobId).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Cancelling), cancellation);
        JobTransitions.Emit(db, jobId, "job.cancelling");
        await db.SaveChangesAsync(cancellation);
        await JobTransitions.SettleAsync(db, JobStatus.Cancelling, jobId, cancellation);
        var now = await db.Jobs.Where(x => x.Id == jobId).Select(x => x.Status).SingleAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return now;
    }

    /// <summary>Starts a failed or cancelled job again: what succeeded is kept, the rest is to be done.</summary>
    /// <returns>The job's attempt now.</returns>
    /// <exception cref="ProblemException">
    /// <see cref="ProblemCodes.NotFound"/>, or <see cref="ProblemCodes.Conflict"/>: it has not failed or been cancelled.
    /// </exception>
    public async Task<int> RetryAsync(Guid jobId, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        var status = await JobTransitions.LockAsync(db, jobId, cancellation) ?? throw NotFound(jobId);
        if (status is not (JobStatus.Failed or JobStatus.Cancelled))
            throw new ProblemException(ProblemCodes.Conflict,
                $"Only a failed or cancelled job can be tried again; this one is {status.ToString().ToLowerInvariant()}.");
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE stages SET status = 'Waiting', failures = 0, not_before = NULL, error = NULL, fraction = 0, message = NULL, tokens_per_second = NULL,
                hangfire_job_id = NULL, enqueued_at = NULL, started_at = NULL, finished_at = NULL
            WHERE job_id = {jobId} AND status IN ('Failed', 'Cancelled')
            """, cancellation);
        await JobTransitions.UnlockAsync(db, jobId, cancellation);
        await db.Database.ExecuteSqlAsync(
            $"UPDATE jobs SET status = 'Queued', attempt = attempt + 1, error = NULL, started_at = NULL, finished_at = NULL WHERE id = {jobId}", cancellation);
        // A stage of a failed job may still be at work elsewhere: then the job runs already.
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE jobs SET status = 'Running', started_at = clock_timestamp()
            WHERE id = {jobId} AND EXISTS (SELECT 1 FROM stages WHERE job_id = {jobId} AND status = 'Running')
            """, cancellation);
        var attempt = await db.Jobs.Where(x => x.Id == jobId).Select(x => x.Attempt).SingleAsync(cancellation);
        JobTransitions.Emit(db, jobId, "job.retried", attempt: attempt);
        await db.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        await doorbell.RingAsync(jobId, cancellation);
        return attempt;
    }

    /// <summary>Removes an ended job: its rows, then its artifacts.</summary>
    /// <exception cref="ProblemException"><see cref="ProblemCodes.NotFound"/>, or <see cref="ProblemCodes.Conflict"/>: something of it still runs.</exception>
    public async Task DeleteAsync(Guid jobId, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
        var status = await JobTransitions.LockAsync(db, jobId, cancellation) ?? throw NotFound(jobId);
        if (status is JobStatus.Queued or JobStatus.Running or JobStatus.Cancelling)
            throw new ProblemException(ProblemCodes.Conflict, $"The job is {status.ToString().ToLowerInvariant()}; cancel it first.");
        if (await db.Stages.AnyAsync(x => x.JobId == jobId && x.Status == StageStatus.Running, cancellation))
            throw new ProblemException(ProblemCodes.Conflict, "A stage of the job is still being stopped; try again in a few seconds.");
        await db.Jobs.Where(x => x.Id == jobId).ExecuteDeleteAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        artifacts.DeletePrefix(jobId.ToString("D"));
    }

    private static async Task<JobRow?> FindReplayAsync(SaeDbContext db, Guid owner, Idempotency idempotency, CancellationToken cancellation)
    {
        var seen = await db.IdempotencyKeys.AsNoTracking().SingleOrDefaultAsync(x => x.Owner == owner && x.Key == idempotency.Key, cancellation);
        if (seen is null)
            return null;
        if (!seen.BodySha256.AsSpan().SequenceEqual(idempotency.BodySha256))
            throw new ProblemException(ProblemCodes.IdempotencyMismatch, $"The idempotency key '{idempotency.Key}' was used with another body.");
        return await db.Jobs.AsNoTracking().Select(JobReader.WithoutDocument).SingleOrDefaultAsync(x => x.Id == seen.JobId, cancellation);
    }

    private static ProblemException NotFound(Guid jobId) => new(ProblemCodes.NotFound, $"There is no job {jobId}.");
}
