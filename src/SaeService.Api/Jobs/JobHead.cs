using Microsoft.EntityFrameworkCore;
using SaeService.Api.Access;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Jobs;

/// <summary>What every call about a job asks first: is it there for this caller, and how far is it. Leaves the document, which can be large, where it is.</summary>
public sealed record JobHead(Guid Id, Guid? Owner, JobStatus Status, int[] Layers, string? DocumentSha256, string? ErrorJson)
{
    /// <exception cref="ProblemException">not_found, also for a job of another key: that it exists is not told.</exception>
    public static async Task<JobHead> RequireAsync(SaeDbContext db, Guid id, HttpContext context)
    {
        var head = await db.Jobs.AsNoTracking().Where(x => x.Id == id)
            .Select(x => new JobHead(x.Id, x.ApiKeyId, x.Status, x.Layers, x.DocumentSha256, x.ErrorJson)).SingleOrDefaultAsync(context.RequestAborted);
        return head is not null && Caller.Of(context).Sees(head.Owner) ? head : throw new ProblemException(ProblemCodes.NotFound, $"There is no job {id}.");
    }

    public bool Ended => JobWait.Ended(Status);

    /// <exception cref="ProblemException">not_found: the job was not asked for this layer.</exception>
    public void RequireLayer(int layer)
    {
        if (!Layers.Contains(layer))
            throw new ProblemException(ProblemCodes.NotFound, $"Job {Id} was not asked for layer {layer}; its layers are {string.Join(", ", Layers)}.");
    }

    /// <summary>Refuses a result that a stage has not yet published, and says what is missing.</summary>
    /// <exception cref="ProblemException">not_ready.</exception>
    public async Task RequireStageAsync(SaeDbContext db, StageKind kind, int? layer, CancellationToken ct)
    {
        if (Status == JobStatus.Succeeded)
            return;
        var stage = await db.Stages.AsNoTracking().Where(x => x.JobId == Id && x.Kind == kind && x.Layer == layer).Select(x => (StageStatus?)x.Status).SingleOrDefaultAsync(ct);
        if (stage == StageStatus.Succeeded)
            return;
        var name = kind.Name() + (layer is null ? "" : $" of layer {layer}");
        throw new ProblemException(ProblemCodes.NotReady, Status switch
        {
            JobStatus.Failed => $"The job failed before its stage {name} was done: {ErrorDetail() ?? "see the job's error"}. POST /v1/jobs/{Id}/retry starts it again from its last good stage.",
            JobStatus.Cancelled or JobStatus.Cancelling => $"The job was cancelled before its stage {name} was done. POST /v1/jobs/{Id}/retry starts it again.",
            _ => $"The job is {Status.ToString().ToLowerInvariant()}: its stage {name} is {stage?.ToString().ToLowerInvariant() ?? "not planned"}.",
        });
    }

    private string? ErrorDetail() => ErrorJson is null ? null : System.Text.Json.JsonSerializer.Deserialize<Problem>(ErrorJson, Wire.Json)?.Detail?.TrimEnd('.');
}
