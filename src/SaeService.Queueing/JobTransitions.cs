using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// The state machine of jobs and stages. Every method runs in the caller's transaction, after <see cref="LockAsync"/>: whoever changes a
/// stage's or a job's status holds the job's row first, so transitions of one job are serial, events commit in the order of their ids, and
/// no two of them can deadlock. Times are the database's: workers' clocks need not agree.
/// </summary>
internal static class JobTransitions
{
    /// <summary>
    /// Locks a job's row and reads its status. NO KEY UPDATE, so that inserts that refer to the job need not wait.
    /// </summary>
    public static async Task<JobStatus?> LockAsync(SaeDbContext db, Guid jobId, CancellationToken cancellation)
    {
        await db.Database.ExecuteSqlAsync($"SELECT 1 FROM jobs WHERE id = {jobId} FOR NO KEY UPDATE", cancellation);
        return await db.Jobs.Where(x => x.Id == jobId).Select(x => (JobStatus?)x.Status).SingleOrDefaultAsync(cancellation);
    }

    /// <summary>Adds an event; it is written by the next <see cref="DbContext.SaveChangesAsync(CancellationToken)"/>.</summary>
    public static void Emit(SaeDbContext db, Guid jobId, string type, StageRow? stage = null, int? attempt = null, string? message = null,
        double? fraction = null) =>
        db.JobEvents.Add(new JobEventRow
        {
            JobId = jobId,
            Type = type,
            At = TimeProvider.System.GetUtcNow(),
            Stage = stage?.Kind,
            Layer = stage?.Layer,
            Attempt = attempt ?? stage?.Attempt,
            Message = message is null ? null : StorableText.Plain(message),
            Fraction = fraction,
        });

    /// <summary>Makes ready what waited only for stages that have succeeded.</summary>
    public static Task UnlockAsync(SaeDbContext db, Guid jobId, CancellationToken cancellation) =>
        db.Database.ExecuteSqlAsync(
            $"""
            UPDATE stages SET status = 'Ready', hangfire_job_id = NULL, enqueued_at = NULL, not_before = NULL
            WHERE job_id = {jobId} AND status = 'Waiting'
              AND NOT EXISTS (SELECT 1 FROM stages d WHERE d.job_id = {jobId} AND d.id = ANY (stages.depends_on) AND d.status <> 'Succeeded')
            """, cancellation);

    /// <summary>
    /// Ends an attempt that did not succeed. A transient failure sends the stage back, until there have been too many; any other fails the
    /// stage and with it the job. In a job that is not running any more the stage is cancelled.
    /// </summary>
    /// <param name="stage">As it is under the lock: running.</param>
    /// <param name="delay">Wait before the next attempt.</param>
    public static async Task FailAttemptAsync(SaeDbContext db, JobStatus job, StageRow stage, Problem problem, bool transient, TimeSpan delay,
        QueueOptions options, CancellationToken cancellation)
    {
        if (job != JobStatus.Running)
        {
            await CancelAttemptAsync(db, job, stage, cancellation);
            return;
        }
        problem = problem with { Stage = stage.Kind, Layer = stage.Layer };
        var failures = stage.Failures + (transient ? 1 : 0);
        if (transient && failures < options.MaxFailures)
        {
            var json = Serialize(problem);
            await db.Database.ExecuteSqlAsync(
                $"""
                UPDATE stages SET status = 'Ready', failures = {failures}, not_before = clock_timestamp() + {delay}, error = {json}::jsonb,
                    lease_owner = NULL, lease_expires_at = NULL, hangfire_job_id = NULL, enqueued_at = NULL, tokens_per_second = NULL
                WHERE id = {stage.Id}
                """, cancellation);
            Emit(db, stage.JobId, "stage.retrying", stage, message: $"{problem.Detail ?? problem.Title} (failure {failures} of {options.MaxFailures})");
            await db.SaveChangesAsync(cancellation);
            return;
        }
        var kept = await db.Stages.CountAsync(x => x.JobId == stage.JobId && x.Status == StageStatus.Succeeded, cancellation);
        var total = await db.Stages.CountAsync(x => x.JobId == stage.JobId, cancellation);
        problem = problem with
        {
            Kept = problem.Kept ?? $"{kept} of {total} stages and everything they published",
            Remedy = problem.Remedy ?? "POST to the job's retry address once the cause is removed: it starts again from the last good stage",
        };
        var failed = Serialize(problem);
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE stages SET status = 'Failed', failures = {failures}, error = {failed}::jsonb, finished_at = clock_timestamp(),
                lease_owner = NULL, lease_expires_at = NULL, tokens_per_second = NULL
            WHERE id = {stage.Id}
            """, cancellation);
        Emit(db, stage.JobId, "stage.failed", stage, message: problem.Detail ?? problem.Title);
        await CancelUnstartedAsync(db, stage.JobId, cancellation);
        await EndAsync(db, stage.JobId, JobStatus.Failed, problem, cancellation);
    }

    /// <summary>Ends an attempt in a job that was cancelled or has failed elsewhere.</summary>
    public static async Task CancelAttemptAsync(SaeDbContext db, JobStatus job, StageRow stage, CancellationToken cancellation)
    {
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE stages SET status = 'Cancelled', finished_at = clock_timestamp(), lease_owner = NULL, lease_expires_at = NULL, tokens_per_second = NULL
            WHERE id = {stage.Id}
            """, cancellation);
        Emit(db, stage.JobId, "stage.cancelled", stage);
        await db.SaveChangesAsync(cancellation);
        await SettleAsync(db, job, stage.JobId, cancellation);
    }

    /// <summary>Sends an attempt's stage back without counting a failure.</summary>
    public static async Task ReleaseAttemptAsync(SaeDbContext db, StageRow stage, CancellationToken cancellation)
    {
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE stages SET status = 'Ready', not_before = NULL, lease_owner = NULL, lease_expires_at = NULL, hangfire_job_id = NULL,
                enqueued_at = NULL, tokens_per_second = NULL
            WHERE id = {stage.Id}
            """, cancellation);
        Emit(db, stage.JobId, "stage.released", stage, message: "the worker is shutting down");
        await db.SaveChangesAsync(cancellation);
    }

    public static Task CancelUnstartedAsync(SaeDbContext db, Guid jobId, CancellationToken cancellation) =>
        db.Database.ExecuteSqlAsync($"UPDATE stages SET status = 'Cancelled' WHERE job_id = {jobId} AND status IN ('Waiting', 'Ready')", cancellation);

    /// <summary>A cancelling job is cancelled once nothing of it runs.</summary>
    public static async Task SettleAsync(SaeDbContext db, JobStatus job, Guid jobId, CancellationToken cancellation)
    {
        if (job == JobStatus.Cancelling && !await db.Stages.AnyAsync(x => x.JobId == jobId && x.Status == StageStatus.Running, cancellation))
            await EndAsync(db, jobId, JobStatus.Cancelled, null, cancellation);
    }

    /// <summary>Ends a job: status, event, and the webhook where one was asked for, so that none of them can be lost.</summary>
    public static async Task EndAsync(SaeDbContext db, Guid jobId, JobStatus status, Problem? error, CancellationToken cancellation)
    {
        var json = error is null ? null : Serialize(error);
        await db.Jobs.Where(x => x.Id == jobId).ExecuteUpdateAsync(set => set
            .SetProperty(x => x.Status, status).SetProperty(x => x.ErrorJson, json).SetProperty(x => x.FinishedAt, DateTimeOffset.UtcNow), cancellation);
        var type = "job." + status.ToString().ToLowerInvariant();
        Emit(db, jobId, type, message: error?.Detail ?? error?.Title);

        var request = JsonSerializer.Deserialize<JobRequest>(
            await db.Jobs.Where(x => x.Id == jobId).Select(x => x.RequestJson).SingleAsync(cancellation), Wire.Json)!;
        if (request.Webhook is { } webhook)
        {
            var now = TimeProvider.System.GetUtcNow();
            db.WebhookDeliveries.Add(new WebhookDeliveryRow
            {
                Id = Guid.CreateVersion7(),
                JobId = jobId,
                Url = webhook.Url,
                Secret = webhook.Secret,
                Payload = JsonSerializer.Serialize(new WebhookPayload(type, now, new WebhookJob(jobId, status, error, request.Metadata)), Wire.Json),
                NextAttemptAt = now,
                CreatedAt = now,
            });
        }
        await db.SaveChangesAsync(cancellation);
    }

    private static string Serialize(Problem problem) => StorableText.Json(JsonSerializer.Serialize(problem, Wire.Json));

    private sealed record WebhookPayload(string Type, DateTimeOffset Timestamp, WebhookJob Data);

    private sealed record WebhookJob(Guid Id, JobStatus Status, Problem? Error, IReadOnlyDictionary<string, string>? Metadata);
}
