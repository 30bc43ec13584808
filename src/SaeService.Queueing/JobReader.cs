using System.Linq.Expressions;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>Which jobs a list shows; null members do not filter.</summary>
/// <param name="ApiKeyId">Only jobs that this key submitted.</param>
public sealed record JobFilter(Guid? ApiKeyId = null, JobStatus? Status = null, string? ModelId = null, string? DatasetId = null);

/// <summary>Jobs as their clients see them.</summary>
public sealed class JobReader(IDbContextFactory<SaeDbContext> contexts, TimeProvider time)
{
    /// <summary>Every column but the document, which may be megabytes.</summary>
    public static readonly Expression<Func<JobRow, JobRow>> WithoutDocument = x => new JobRow
    {
        Id = x.Id,
        Status = x.Status,
        Attempt = x.Attempt,
        ApiKeyId = x.ApiKeyId,
        RequestJson = x.RequestJson,
        ModelId = x.ModelId,
        DatasetId = x.DatasetId,
        Layers = x.Layers,
        EstimateJson = x.EstimateJson,
        ErrorJson = x.ErrorJson,
        DocumentSha256 = x.DocumentSha256,
        CreatedAt = x.CreatedAt,
        StartedAt = x.StartedAt,
        FinishedAt = x.FinishedAt,
        Version = x.Version,
    };

    private static readonly Expression<Func<JobEventRow, JobEvent>> s_event = x => new JobEvent
    {
        Id = x.Id,
        Type = x.Type,
        At = x.At,
        Stage = x.Stage,
        Layer = x.Layer,
        Attempt = x.Attempt,
        Message = x.Message,
        Fraction = x.Fraction,
    };

    /// <param name="apiKeyId">Only if this key submitted it; null: whoever did.</param>
    public async Task<Job?> GetAsync(Guid jobId, Guid? apiKeyId = null, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        var job = await db.Jobs.AsNoTracking().Where(x => x.Id == jobId && (apiKeyId == null || x.ApiKeyId == apiKeyId))
            .Select(WithoutDocument).SingleOrDefaultAsync(cancellation);
        return job is null ? null : (await ToJobsAsync(db, [job], cancellation))[0];
    }

    /// <summary>A page, newest first.</summary>
    /// <param name="after"><see cref="Page{T}.NextAfter"/> of the page before; null: the first.</param>
    /// <exception cref="ProblemException"><see cref="ProblemCodes.InvalidRequest"/>: the cursor is not one.</exception>
    public async Task<Page<Job>> ListAsync(JobFilter filter, int limit, string? after = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        var jobs = db.Jobs.AsNoTracking();
        if (filter.ApiKeyId is { } owner)
            jobs = jobs.Where(x => x.ApiKeyId == owner);
        if (filter.Status is { } status)
            jobs = jobs.Where(x => x.Status == status);
        if (filter.ModelId is { } model)
            jobs = jobs.Where(x => x.ModelId == model);
        if (filter.DatasetId is { } dataset)
            jobs = jobs.Where(x => x.DatasetId == dataset);
        if (after is not null)
        {
            if (!Guid.TryParseExact(after, "N", out var last))
                throw new ProblemException(ProblemCodes.InvalidRequest, "'after' is not a cursor of this list: use next_after of the page before.", "$.after");
            jobs = jobs.Where(x => x.Id.CompareTo(last) < 0);
        }
        var rows = await jobs.OrderByDescending(x => x.Id).Take(limit + 1).Select(WithoutDocument).ToListAsync(cancellation);
        var page = rows.Take(limit).ToList();
        var more = rows.Count > limit;
        return new Page<Job>(await ToJobsAsync(db, page, cancellation), more, more ? page[^1].Id.ToString("N") : null);
    }

    /// <summary>Events after an id (0: from the first), in order. Ids of one job become visible in order, so that none is skipped.</summary>
    public async Task<IReadOnlyList<JobEvent>> EventsAsync(Guid jobId, long after, int limit, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        return await db.JobEvents.Where(x => x.JobId == jobId && x.Id > after).OrderBy(x => x.Id).Take(limit).Select(s_event).ToListAsync(cancellation);
    }

    /// <summary>The last events, newest first.</summary>
    public async Task<IReadOnlyList<JobEvent>> LastEventsAsync(Guid jobId, int limit, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        return await db.JobEvents.Where(x => x.JobId == jobId).OrderByDescending(x => x.Id).Take(limit).Select(s_event).ToListAsync(cancellation);
    }

    /// <summary>A job's stages in its order.</summary>
    public async Task<IReadOnlyList<StageRow>> StagesAsync(Guid jobId, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        return await db.Stages.AsNoTracking().Where(x => x.JobId == jobId).OrderBy(x => x.Ordinal).ToListAsync(cancellation);
    }

    /// <summary>Bytes of the files that the job's stages have published and that are kept.</summary>
    public async Task<long> StoredBytesAsync(Guid jobId, CancellationToken cancellation = default)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        return await db.Artifacts.Where(x => x.JobId == jobId).SumAsync(x => x.Bytes, cancellation);
    }

    /// <param name="stages">All of the job's.</param>
    /// <param name="layers">Those trained so far.</param>
    /// <param name="now">For the ETA.</param>
    public static Job ToJob(JobRow job, IReadOnlyList<StageRow> stages, IReadOnlyList<LayerRow> layers, DateTimeOffset now)
    {
        var request = JsonSerializer.Deserialize<JobRequest>(job.RequestJson, Wire.Json)!;
        // Who may read a job need not know the secret that signs its webhook.
        if (request.Webhook is { Secret: not null } webhook)
            request = request with { Webhook = webhook with { Secret = null } };
        var self = $"/v1/jobs/{job.Id:D}";
        return new Job
        {
            Id = job.Id,
            Status = job.Status,
            Stage = Furthest(stages.Where(x => x.Status == StageStatus.Running))?.Kind,
            Progress = ProgressOf(job, stages, now),
            Layers = [.. job.Layers.Select(layer => ProgressOf(layer, stages, layers))],
            Attempt = job.Attempt,
            CreatedAt = job.CreatedAt,
            StartedAt = job.StartedAt,
            FinishedAt = job.FinishedAt,
            Request = request,
            Estimate = job.EstimateJson is null ? null : JsonSerializer.Deserialize<JobEstimate>(job.EstimateJson, Wire.Json),
            Error = job.ErrorJson is null ? null : JsonSerializer.Deserialize<Problem>(job.ErrorJson, Wire.Json),
            Urls = new JobUrls(
                self, self + "/events", self + "/cancel", self + "/retry", self + "/layers",
                self + "/mutual-information", self + "/profiles", $"/jobs/{job.Id:D}"),
            Metadata = request.Metadata ?? new Dictionary<string, string>(),
        };
    }

    private async Task<IReadOnlyList<Job>> ToJobsAsync(SaeDbContext db, List<JobRow> jobs, CancellationToken cancellation)
    {
        var ids = jobs.ConvertAll(x => x.Id);
        var stages = (await db.Stages.AsNoTracking().Where(x => ids.Contains(x.JobId)).OrderBy(x => x.Ordinal)
            .ToListAsync(cancellation)).ToLookup(x => x.JobId);
        var layers = (await db.Layers.AsNoTracking().Where(x => ids.Contains(x.JobId))
            .Select(x => new LayerRow { JobId = x.JobId, Layer = x.Layer, Fvu = x.Fvu, SaeJson = "", TrainingJson = "" })
            .ToListAsync(cancellation)).ToLookup(x => x.JobId);
        var now = time.GetUtcNow();
        return [.. jobs.Select(job => ToJob(job, [.. stages[job.Id]], [.. layers[job.Id]], now))];
    }

    private static JobProgress ProgressOf(JobRow job, IReadOnlyList<StageRow> stages, DateTimeOffset now)
    {
        static double Done(StageRow stage) => stage.Status == StageStatus.Succeeded ? stage.Weight : stage.Weight * stage.Fraction;
        var fraction = Math.Clamp(stages.Sum(Done), 0, 1);
        var running = stages.Where(x => x.Status == StageStatus.Running && x.TokensPerSecond is not null).ToList();
        int? eta = null;
        if (job is { Status: JobStatus.Running, StartedAt: { } started })
        {
            // A retry keeps what succeeded before it: only what was done since says how fast it goes.
            var since = stages.Where(x => x.StartedAt >= started).Sum(Done);
            var seconds = (now - started).TotalSeconds;
            if (since > 0.01 && seconds > 1)
                eta = (int)Math.Min(Math.Ceiling(seconds * (1 - fraction) / since), int.MaxValue);
        }
        return new JobProgress(job.Status == JobStatus.Succeeded ? 1 : fraction, stages.Count(x => x.Status == StageStatus.Succeeded), stages.Count,
            TokensPerSecond: running.Count == 0 ? null : running.Sum(x => x.TokensPerSecond), EtaSeconds: eta);
    }

    private static LayerProgress ProgressOf(int layer, IReadOnlyList<StageRow> stages, IReadOnlyList<LayerRow> layers)
    {
        // What is at work now says more than what comes latest in the order: information may be measured before the autoencoder is trained.
        var begun = stages.Where(x => x.Layer == layer && x.Status is not (StageStatus.Waiting or StageStatus.Ready) && x.StartedAt is not null).ToList();
        var furthest = Furthest(begun.Where(x => x.Status == StageStatus.Running)) ?? Furthest(begun);
        return new LayerProgress(layer, furthest?.Kind, furthest?.Status,
            furthest is null ? 0 : furthest.Status == StageStatus.Succeeded ? 1 : furthest.Fraction,
            layers.FirstOrDefault(x => x.Layer == layer)?.Fvu, furthest?.Message);
    }

    private static StageRow? Furthest(IEnumerable<StageRow> stages) => stages.MaxBy(x => x.Ordinal);
}
