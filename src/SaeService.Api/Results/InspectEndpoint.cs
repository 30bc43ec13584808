using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Access;
using SaeService.Api.Jobs;
using SaeService.Api.Problems;
using SaeService.Api.Requests;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>A text of the caller's through a finished job's model and autoencoders. A worker does it; this waits for it.</summary>
public static class InspectEndpoint
{
    public static void MapInspect(this RouteGroupBuilder jobs) =>
        jobs.MapPost("/{id:guid}/inspect", Inspect).WithName("InspectText")
            .WithSummary("Runs a text through a finished job's model and autoencoders: its words' features at each layer, and what the model would say from there")
            .WithDescription("Features are those that are consistently about a label, above the activation from which they are said to fire, each beside the highest activation that " +
                "the job saw of it; all_features adds the strongest others of each word. The lens is each layer's residual stream through the final norm and the head. " +
                "A worker answers, also one that is at a job; the first text of a job waits for its model to be read, later ones take a fraction of a second. " +
                "Where no worker answers within 30 seconds (Limits:InspectionSeconds), the answer is 503 with Retry-After. Nothing of the text is kept.")
            .Accepts<InspectionRequest>("application/json").RequireRateLimiting(AccessSetup.Waits)
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.MalformedJson, ProblemCodes.UnknownField, ProblemCodes.InvalidRequest,
                ProblemCodes.LayerOutOfRange, ProblemCodes.TaskNotInDataset, ProblemCodes.TooLarge, ProblemCodes.UnsupportedMediaType, ProblemCodes.UnknownModel,
                ProblemCodes.ModelOutsideRoots, ProblemCodes.InvalidModel, ProblemCodes.HubUnavailable, ProblemCodes.InsufficientResources, ProblemCodes.WorkerLost,
                ProblemCodes.Unavailable);

    private static async Task<Ok<InspectionAnswer>> Inspect(Guid id, HttpContext context, SaeDbContext db, Inspections inspections, ServiceSettings settings)
    {
        var job = await JobHead.RequireAsync(db, id, context);
        var request = await JsonBody.ReadAsync<InspectionRequest>(context.Request, settings.Limits.MaxJsonBytes);
        return TypedResults.Ok(await AskAsync(job, request, db, inspections, settings, context.RequestAborted));
    }

    /// <summary>Checks a text and waits for a worker's answer, for this call and the page alike.</summary>
    /// <param name="job">Which the caller may see.</param>
    /// <exception cref="ProblemException">not_ready, what is wrong with the request, or what the worker says; unavailable where none answers.</exception>
    public static async Task<InspectionAnswer> AskAsync(JobHead job, InspectionRequest request, SaeDbContext db, Inspections inspections, ServiceSettings settings, CancellationToken ct)
    {
        var asked = JsonSerializer.Deserialize<JobRequest>(await db.Jobs.AsNoTracking().Where(x => x.Id == job.Id).Select(x => x.RequestJson).SingleAsync(ct), Wire.Json)!;
        Check(request, job, asked);
        await job.RequireStageAsync(db, StageKind.Conclude, null, ct);
        return await inspections.AskAsync(job.Id, request, TimeSpan.FromSeconds(settings.Limits.InspectionSeconds), ct);
    }

    /// <summary>All that is wrong with a request, but for what only the model's tokenizer knows.</summary>
    private static void Check(InspectionRequest request, JobHead job, JobRequest asked)
    {
        var errors = new RequestErrors();
        var checks = new Checks(errors);
        void Wrong(string path, string message) => errors.Add(ProblemCodes.InvalidRequest, path, message);

        if (string.IsNullOrWhiteSpace(request.Text))
            Wrong("$.text", "must hold something but white space");
        if (request.Text.Length > InspectionRequest.MaxText)
            Wrong("$.text", $"has {request.Text.Length} UTF-16 units; at most {InspectionRequest.MaxText} are taken");
        if (request.Text.Contains('\0'))
            Wrong("$.text", "holds NUL, U+0000, which no text does");
        checks.Range(request.Top, InspectionRequest.DefaultTop, 1, InspectionRequest.MaxTop, "$.top");
        if (request.Layers is { Layers: { } layers })
        {
            if (layers.Count == 0)
                Wrong("$.layers", "must name a layer");
            if (layers.Except(job.Layers).Take(3).ToArray() is { Length: > 0 } foreign)
                errors.Add(ProblemCodes.LayerOutOfRange, "$.layers", $"the job was not asked for {string.Join(", ", foreign)}; its layers are {string.Join(", ", job.Layers)}");
        }
        if (request.Task is { } task && asked.Tasks?.Contains(task) != true)
            errors.Add(ProblemCodes.TaskNotInDataset, "$.task",
                $"'{(task.Length <= 60 ? task : task[..60] + "…")}' is none of the job's tasks; they are {string.Join(", ", asked.Tasks ?? [])}");
        if (request.Positions is { } positions)
        {
            if (positions.Count is 0 or > InspectionRequest.MaxPositions)
                Wrong("$.positions", $"must name 1 to {InspectionRequest.MaxPositions} tokens, not {positions.Count}");
            if (positions.Any(p => p < 0))
                Wrong("$.positions", "tokens are counted from 0");
        }
        errors.ThrowIfAny();
    }
}
