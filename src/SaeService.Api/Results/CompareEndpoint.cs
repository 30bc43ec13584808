using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>Two finished jobs side by side.</summary>
public static class CompareEndpoint
{
    public static void MapCompare(this WebApplication app) =>
        app.MapGet("/v1/compare", Compare).WithTags("Jobs").WithName("CompareJobs")
            .WithSummary("Two jobs side by side: which labels moved, appeared or vanished, with intervals")
            .WithDescription("Right minus left. Where both jobs were judged on the same documents, intervals are of paired differences. " +
                "Models of different depth are matched by relative depth.")
            .Produces<Comparison>().Produces(StatusCodes.Status304NotModified)
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter, ProblemCodes.InvalidRequest);

    /// <param name="left">Id of a job.</param>
    /// <param name="right">Id of the job that is compared with it.</param>
    private static async Task<Results<Ok<Comparison>, StatusCodeHttpResult>> Compare(SaeDbContext db, NpgsqlDataSource database, ArtifactStore artifacts,
        HttpContext context, [FromQuery] string? left = null, [FromQuery] string? right = null)
    {
        var (first, second) = (await RequireAsync("left", left), await RequireAsync("right", right));
        var tag = SHA256.HashData(Encoding.UTF8.GetBytes($"{first.DocumentSha256} {second.DocumentSha256} compared"));
        if (StoredDocument.NotModified(context, Convert.ToHexStringLower(tag)))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        return TypedResults.Ok(JobComparison.Of(await ReadAsync(first), await ReadAsync(second)));

        Task<JobHead> RequireAsync(string name, string? id) => Guid.TryParse(id, out var job)
            ? LayerEndpoints.RequireDocumentAsync(job, db, context)
            : throw ProblemMetadataExtensions.Parameter(name, id is null ? "is missing: the id of a job" : "is not the id of a job");

        async Task<ComparedDocument> ReadAsync(JobHead job)
        {
            var document = await StoredDocument.ReadAsync(database, job, context.RequestAborted);
            var key = await db.Artifacts.AsNoTracking().Where(x => x.JobId == job.Id && x.Stage == StageKind.Conclude && x.Name == DocumentSums.FileName)
                .OrderByDescending(x => x.Attempt).Select(x => x.Key).FirstOrDefaultAsync(context.RequestAborted);
            if (key is null)
                return new(document, null);
            await using var file = artifacts.Open(key);
            return new(document, await JsonSerializer.DeserializeAsync<DocumentSums>(file, Wire.Json, context.RequestAborted));
        }
    }
}
