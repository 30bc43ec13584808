using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>The features of a layer, as soon as its label stage is done.</summary>
public static class FeatureEndpoints
{
    public static void MapFeatures(this RouteGroupBuilder jobs)
    {
        jobs.MapGet("/{id:guid}/layers/{layer:int}/features", List).WithName("ListFeatures")
            .WithSummary("Features of a layer against each task, searched, filtered and sorted")
            .WithDescription("There as soon as the layer's label stage is done, before the job ends. Pages follow the Link header, or next_after and previous_before. " +
                "total counts what matches on all pages.")
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
        jobs.MapGet("/{id:guid}/layers/{layer:int}/features/{index:int}", Get).WithName("GetFeature")
            .WithSummary("One feature: statistics by task, histograms, contexts at every strength, promoted and suppressed tokens")
            .WithDescription("view=neuronpedia answers with the member names that Neuronpedia's API has, for notebooks written for it.")
            .Produces<FeatureDetail>().Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
        jobs.MapGet("/{id:guid}/layers/{layer:int}/features/{index:int}/neighbours", Neighbours).WithName("GetFeatureNeighbours")
            .WithSummary("The features of this and the other layers whose decoder directions are most like this feature's")
            .WithDescription("By cosine, with the labels that they are highly consistent for. Layers whose autoencoder is not there yet are left out. " +
                "Every decoder is read through for each answer: a second or so for a dozen large layers.")
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
    }

    private static async Task<Ok<FeaturePage>> List(Guid id, int layer, [AsParameters] FeatureQuery query, FeatureReader features, HttpContext context)
    {
        var page = await features.ListAsync(id, layer, query, context);
        Paging.AddLinks(context, page.NextAfter, page.PreviousBefore);
        return TypedResults.Ok(page);
    }

    /// <param name="layers"><c>all</c> (default) or <c>same</c>.</param>
    /// <param name="limit">Of each layer, 1 to 100.</param>
    private static async Task<Ok<FeatureNeighbours>> Neighbours(Guid id, int layer, int index, NeighbourReader neighbours, HttpContext context, string layers = "all", int limit = 10)
    {
        if (layers is not ("all" or "same"))
            throw ProblemMetadataExtensions.Parameter("layers", "is not known; known: all, same");
        if (limit is < 1 or > 100)
            throw ProblemMetadataExtensions.Parameter("limit", "must be between 1 and 100");
        return TypedResults.Ok(await neighbours.FindAsync(id, layer, index, sameLayer: layers == "same", limit, context));
    }

    private static async Task<Results<Ok<FeatureDetail>, JsonHttpResult<NeuronpediaFeature>>> Get(Guid id, int layer, int index, FeatureReader features, NeighbourReader neighbours, SaeDbContext db, HttpContext context, string? view = null)
    {
        if (view is not (null or "neuronpedia"))
            throw ProblemMetadataExtensions.Parameter("view", "is not known; known: neuronpedia");
        var detail = await features.DetailAsync(id, layer, index, context);
        if (view is null)
            return TypedResults.Ok(detail);
        var job = await db.Jobs.AsNoTracking().Where(x => x.Id == id).Select(x => new { x.ModelId, x.DatasetId, x.CreatedAt, x.RequestJson }).SingleAsync(context.RequestAborted);
        var hook = JsonSerializer.Deserialize<JobRequest>(job.RequestJson, Wire.Json)!.Hook!;
        var alike = await neighbours.NearestAsync(id, layer, index, NeuronpediaFeature.Neighbours, context.RequestAborted);
        return TypedResults.Json(NeuronpediaFeature.From(detail, job.ModelId, job.DatasetId, HookNames.TransformerLens(hook, layer), job.CreatedAt, alike), NeuronpediaFeature.Json);
    }
}
