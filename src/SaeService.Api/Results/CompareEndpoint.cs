using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
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
        var (first, second) = (await RequireAsync("left", left, db, context), await RequireAsync("right", right, db, context));
        var tag = SHA256.HashData(Encoding.UTF8.GetBytes($"{first.DocumentSha256} {second.DocumentSha256} compared"));
        if (StoredDocument.NotModified(context, Convert.ToHexStringLower(tag)))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        var (before, after) = await ComparedJobs.ReadAsync(first, second, db, database, artifacts, context.RequestAborted);
        return TypedResults.Ok(JobComparison.Of(before, after));
    }

    /// <param name="name">Of the parameter.</param>
    /// <exception cref="ProblemException">invalid_parameter, not_found, not_ready.</exception>
    public static Task<JobHead> RequireAsync(string name, string? id, SaeDbContext db, HttpContext context) => Guid.TryParse(id, out var job)
        ? LayerEndpoints.RequireDocumentAsync(job, db, context)
        : throw ProblemMetadataExtensions.Parameter(name, id is null ? "is missing: the id of a job" : "is not the id of a job");
}
