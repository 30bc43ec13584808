using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SaeService.Api.Access;
using SaeService.Api.Problems;
using SaeService.Api.Requests;
using SaeService.Api.Results;
using SaeService.Contracts;
using SaeService.Estimates;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Jobs;

/// <summary>Analyses: submit, follow, cancel, retry, delete.</summary>
public static class JobEndpoints
{
    private const int PollSeconds = 2;

    /// <summary>Of a request for an analysis.</summary>
    private static readonly string[] s_refusals =
    [
        ProblemCodes.MalformedJson, ProblemCodes.UnknownField, ProblemCodes.InvalidRequest, ProblemCodes.UnknownModel, ProblemCodes.ModelOutsideRoots,
        ProblemCodes.UnsupportedModel, ProblemCodes.InvalidModel, ProblemCodes.PickleOnlyModel, ProblemCodes.UnknownDataset, ProblemCodes.HubOffline,
        ProblemCodes.HubUnauthorized, ProblemCodes.HubUnavailable, ProblemCodes.HubDamaged, ProblemCodes.HubRefused, ProblemCodes.DatasetOutsideRoots,
        ProblemCodes.InvalidDataset, ProblemCodes.TaskNotInDataset, ProblemCodes.LayerOutOfRange, ProblemCodes.NotAvailable, ProblemCodes.InsufficientResources,
        ProblemCodes.TooLarge, ProblemCodes.UnsupportedMediaType,
    ];

    /// <summary>Maps the calls on jobs and returns their group, to which events and results belong too.</summary>
    public static RouteGroupBuilder MapJobs(this WebApplication app)
    {
        var jobs = app.MapGroup("/v1/jobs").WithTags("Jobs");
        jobs.MapPost("", Submit).WithName("SubmitJob").WithSummary("Asks for an analysis of a model with a labelled data set")
            .WithDescription("Answers 202 with the job, every default filled in. A request with the same Idempotency-Key and body is answered with the job that the first one made. " +
                "Where a webhook is asked for, the job's end is POSTed to it as {type, timestamp, data: {id, status, error, metadata}}, type being job.succeeded, " +
                "job.failed or job.cancelled, with the headers of Standard Webhooks: webhook-id, webhook-timestamp and, with a secret, webhook-signature. " +
                "It is tried for 24 hours until the answer is 2xx; 410 ends it.")
            .Accepts<JobRequest>("application/json").RequireAuthorization(Scopes.Submit)
            .Problems([.. s_refusals, ProblemCodes.InvalidParameter, ProblemCodes.IdempotencyMismatch, ProblemCodes.IdempotencyInFlight,
                ProblemCodes.TooManyQueuedJobs]);
        jobs.MapPost("/estimate", Estimate).WithName("EstimateJob").WithSummary("What a job would need of memory, disk and time; nothing is queued")
            .WithDescription("Takes what POST /v1/jobs takes, refuses what it refuses, and answers with the request as the job would have it, its estimate, " +
                "and whether it would fit.")
            .Accepts<JobRequest>("application/json").RequireAuthorization(Scopes.Submit).Problems(s_refusals);
        jobs.MapGet("", List).WithName("ListJobs").WithSummary("Jobs of this key (of all keys for administrators), newest first")
            .WithDescription("Pages follow the Link header or next_after.").Problems(ProblemCodes.InvalidParameter);
        jobs.MapGet("/{id:guid}", Get).WithName("GetJob").WithSummary("A job: status, progress by layer, error, urls")
            .WithDescription("ETag and If-None-Match make polling cheap; 'Prefer: wait=N' (at most 60 seconds) answers when the job has ended or the time is over.")
            .RequireRateLimiting(AccessSetup.Waits).Produces(StatusCodes.Status304NotModified).Problems(ProblemCodes.NotFound, ProblemCodes.InvalidParameter);
        jobs.MapPost("/{id:guid}/cancel", Cancel).WithName("CancelJob").WithSummary("Cancels a job; asking again changes nothing")
            .RequireAuthorization(Scopes.Submit).Problems(ProblemCodes.NotFound, ProblemCodes.Conflict);
        jobs.MapPost("/{id:guid}/retry", Retry).WithName("RetryJob").WithSummary("Starts a failed or cancelled job again from its last good stage")
            .RequireAuthorization(Scopes.Submit).Problems(ProblemCodes.NotFound, ProblemCodes.Conflict);
        jobs.MapDelete("/{id:guid}", Delete).WithName("DeleteJob").WithSummary("Removes an ended job with its results and files")
            .RequireAuthorization(Scopes.Submit).Problems(ProblemCodes.NotFound, ProblemCodes.Conflict);
        return jobs;
    }

    private static async Task<Accepted<Job>> Submit(HttpContext context, JobSubmission submission, JobReader reader, ServiceSettings settings)
    {
        var key = context.Request.Headers.TryGetValue("Idempotency-Key", out var values) ? values.ToString() : null;
        var request = await JsonBody.ReadAsync<JobRequest>(context.Request, settings.Limits.MaxJsonBytes);
        var submitted = await submission.SubmitAsync(request, Caller.Of(context), key, context.RequestAborted);
        return await AcceptedAsync(submitted.Job.Id, submitted.Replayed, reader, context);
    }

    private static async Task<Ok<JobPreview>> Estimate(HttpContext context, RequestResolver resolver, JobEstimates estimates, ServiceSettings settings)
    {
        var request = await JsonBody.ReadAsync<JobRequest>(context.Request, settings.Limits.MaxJsonBytes);
        var resolved = await resolver.ResolveAsync(request, Caller.Of(context), context.RequestAborted);
        // Whoever reads the answer need not know the secret that would sign the webhook; a job does not show it either.
        var shown = resolved.Request.Webhook is { } webhook ? resolved.Request with { Webhook = webhook with { Secret = null } } : resolved.Request;
        var limits = estimates.Limits;
        return TypedResults.Ok(new JobPreview
        {
            Request = shown,
            Estimate = resolved.Estimate,
            Limits = limits,
            Refusal = JobEstimator.Refusal(resolved.Estimate, limits),
        });
    }

    private static async Task<Accepted<Job>> AcceptedAsync(Guid id, bool replayed, JobReader reader, HttpContext context)
    {
        var job = (await reader.GetAsync(id, cancellation: context.RequestAborted))!;
        context.Response.Headers.RetryAfter = PollSeconds.ToString(CultureInfo.InvariantCulture);
        if (replayed)
            context.Response.Headers["Idempotency-Replayed"] = "true";
        return TypedResults.Accepted(job.Urls.Self, job);
    }

    private static async Task<Ok<Page<Job>>> List(HttpContext context, JobReader reader, string? status = null, string? model = null, string? dataset = null, int limit = 20, string? after = null)
    {
        if (limit is < 1 or > 200)
            throw ProblemMetadataExtensions.Parameter("limit", "must be between 1 and 200");
        var caller = Caller.Of(context);
        try
        {
            var page = await reader.ListAsync(new JobFilter(caller.IsAdmin ? null : caller.KeyId, StatusOf(status), model, dataset), limit, after, context.RequestAborted);
            Paging.AddNextLink(context, page.NextAfter);
            return TypedResults.Ok(page);
        }
        catch (ProblemException e) when (e.Field == "$.after")
        {
            throw ProblemMetadataExtensions.Parameter("after", e.Message);
        }
    }

    /// <exception cref="ProblemException">invalid_parameter: there is no such status.</exception>
    public static JobStatus? StatusOf(string? name) => name is null ? null
        : Enum.GetValues<JobStatus>().Cast<JobStatus?>().FirstOrDefault(s => s.ToString()!.ToLowerInvariant() == name)
        ?? throw ProblemMetadataExtensions.Parameter("status", $"is not known; known: {string.Join(", ", Enum.GetNames<JobStatus>()).ToLowerInvariant()}");

    private static async Task<Results<Ok<Job>, StatusCodeHttpResult>> Get(Guid id, HttpContext context, SaeDbContext db, JobReader reader, JobSignals signals, TimeProvider time)
    {
        var head = await JobHead.RequireAsync(db, id, context);
        if (WaitOf(context.Request) is { } wait)
        {
            context.Response.Headers["Preference-Applied"] = string.Create(CultureInfo.InvariantCulture, $"wait={wait.TotalSeconds}");
            await JobWait.UntilEndedAsync(id, head, wait, db, signals, time, context);
        }
        var job = await reader.GetAsync(id, cancellation: context.RequestAborted) ?? throw new ProblemException(ProblemCodes.NotFound, $"There is no job {id}.");
        if (!JobWait.Ended(job.Status))
            context.Response.Headers.RetryAfter = PollSeconds.ToString(CultureInfo.InvariantCulture);
        // The tag is of what is shown, progress included: nothing that a client sees changes under the same tag.
        return StoredDocument.NotModified(context, Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(job, Wire.Json))))
            ? TypedResults.StatusCode(StatusCodes.Status304NotModified)
            : TypedResults.Ok(job);
    }

    private static async Task<Accepted<Job>> Cancel(Guid id, HttpContext context, SaeDbContext db, JobQueue queue, JobReader reader)
    {
        await JobHead.RequireAsync(db, id, context);
        await queue.CancelAsync(id, context.RequestAborted);
        return await AcceptedAsync(id, replayed: false, reader, context);
    }

    private static async Task<Accepted<Job>> Retry(Guid id, HttpContext context, SaeDbContext db, JobQueue queue, JobReader reader)
    {
        await JobHead.RequireAsync(db, id, context);
        await queue.RetryAsync(id, context.RequestAborted);
        return await AcceptedAsync(id, replayed: false, reader, context);
    }

    private static async Task<NoContent> Delete(Guid id, HttpContext context, SaeDbContext db, JobQueue queue)
    {
        await JobHead.RequireAsync(db, id, context);
        await queue.DeleteAsync(id, context.RequestAborted);
        return TypedResults.NoContent();
    }

    /// <summary>RFC 7240: <c>Prefer: wait=10</c>.</summary>
    private static TimeSpan? WaitOf(HttpRequest request)
    {
        foreach (var preference in request.Headers["Prefer"].SelectMany(v => v?.Split(',') ?? []))
            if (preference.Trim() is var p && p.StartsWith("wait=", StringComparison.OrdinalIgnoreCase))
                return int.TryParse(p["wait=".Length..].Split(';')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
                    ? TimeSpan.FromSeconds(Math.Min(seconds, 60))
                    : throw ProblemMetadataExtensions.Parameter("Prefer", "wait must be a whole number of seconds, at most 60");
        return null;
    }
}
