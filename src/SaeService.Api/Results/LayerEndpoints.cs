using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>What each layer does: the stored document and the parts of it.</summary>
public static class LayerEndpoints
{
    public static void MapLayers(this RouteGroupBuilder jobs)
    {
        jobs.MapGet("/{id:guid}/layers", GetDocument).WithName("GetLayers").WithSummary("The layer-functionality document: what each layer does")
            .WithDescription("Streams the stored document; its SHA-256 is the ETag. 409 until the job has succeeded.")
            .Produces<LayerFunctionalityDocument>().Produces(StatusCodes.Status304NotModified).Problems(ProblemCodes.NotFound, ProblemCodes.NotReady);
        jobs.MapGet("/{id:guid}/layers/{layer:int}", GetLayer).WithName("GetLayer").WithSummary("One layer of the document, with its autoencoder's quality and training curve")
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady);
        jobs.MapGet("/{id:guid}/mutual-information", GetMutualInformation).WithName("GetMutualInformation")
            .WithSummary("Layer x task and layer x label information, with nulls, controls and intervals").Problems(ProblemCodes.NotFound, ProblemCodes.NotReady);
        jobs.MapGet("/{id:guid}/profiles", GetProfiles).WithName("GetProfiles").WithSummary("Each label by depth: score, centre of gravity, expected layer")
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady);
    }

    private static async Task GetDocument(Guid id, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await RequireDocumentAsync(id, db, context);
        await StoredDocument.SendAsync(database, job, context);
    }

    private static async Task<Results<Ok<LayerDocument>, StatusCodeHttpResult>> GetLayer(Guid id, int layer, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await RequireDocumentAsync(id, db, context);
        job.RequireLayer(layer);
        if (NotModified(context, job, $"layer {layer}"))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        return TypedResults.Ok(await ReadLayerAsync(job, layer, db, database, context.RequestAborted));
    }

    private static async Task<Results<Ok<MutualInformationDocument>, StatusCodeHttpResult>> GetMutualInformation(Guid id, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await RequireDocumentAsync(id, db, context);
        if (NotModified(context, job, "mutual-information"))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        var document = await StoredDocument.ReadAsync(database, job, context.RequestAborted);
        return TypedResults.Ok(new MutualInformationDocument(id, [.. document.Layers.Select(x => x.Layer)], document.Tasks,
            [.. document.Layers.Where(x => x.WordForms is not null).Select(x => x.WordForms!)]));
    }

    private static async Task<Results<Ok<ProfilesDocument>, StatusCodeHttpResult>> GetProfiles(Guid id, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        var job = await RequireDocumentAsync(id, db, context);
        if (NotModified(context, job, "profiles"))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        var document = await StoredDocument.ReadAsync(database, job, context.RequestAborted);
        return TypedResults.Ok(new ProfilesDocument(id, [.. document.Layers.Select(x => x.Layer)], [.. document.Tasks.Select(x => new TaskProfiles(x.Task, x.Profiles))]));
    }

    /// <param name="job">Whose document is there, and which was asked for the layer.</param>
    internal static async Task<LayerDocument> ReadLayerAsync(JobHead job, int layer, SaeDbContext db, NpgsqlDataSource database, CancellationToken ct)
    {
        var document = await StoredDocument.ReadAsync(database, job, ct);
        var training = await db.Layers.AsNoTracking().Where(x => x.JobId == job.Id && x.Layer == layer).Select(x => x.TrainingJson).SingleAsync(ct);
        return new LayerDocument(job.Id, document.Layers.Single(x => x.Layer == layer), document.Provenance.Sae.Single(x => x.Layer == layer),
            JsonSerializer.Deserialize<SaeTraining>(training, Wire.Json)!);
    }

    internal static async Task<JobHead> RequireDocumentAsync(Guid id, SaeDbContext db, HttpContext context)
    {
        var job = await JobHead.RequireAsync(db, id, context);
        if (job.DocumentSha256 is null || job.Status != JobStatus.Succeeded)
            await job.RequireStageAsync(db, StageKind.Conclude, null, context.RequestAborted);
        return job.DocumentSha256 is not null ? job : throw new ProblemException(ProblemCodes.NotReady, "The document is not there.");
    }

    // A part is a function of the document, so its tag is one of the document's hash and the part's name.
    internal static bool NotModified(HttpContext context, JobHead job, string part) =>
        StoredDocument.NotModified(context, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{job.DocumentSha256} {part}"))));
}
