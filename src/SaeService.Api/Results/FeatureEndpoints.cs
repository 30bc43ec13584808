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
            .WithSummary("One feature: statistics by task, histogram, top contexts, promoted and suppressed tokens")
            .WithDescription("view=neuronpedia answers with the member names that Neuronpedia's API has, for notebooks written for it.")
            .Produces<FeatureDetail>().Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
    }

    private static async Task<Ok<FeaturePage>> List(Guid id, int layer, [AsParameters] FeatureQuery query, FeatureReader features, HttpContext context)
    {
        var page = await features.ListAsync(id, layer, query, context);
        Paging.AddLinks(context, page.NextAfter, page.PreviousBefore);
        return TypedResults.Ok(page);
    }

    private static async Task<Results<Ok<FeatureDetail>, JsonHttpResult<NeuronpediaFeature>>> Get(Guid id, int layer, int index, FeatureReader features, SaeDbContext db, HttpContext context, string? view = null)
    {
        if (view is not (null or "neuronpedia"))
            throw ProblemMetadataExtensions.Parameter("view", "is not known; known: neuronpedia");
        var detail = await features.DetailAsync(id, layer, index, context);
        if (view is null)
            return TypedResults.Ok(detail);
        var model = await db.Jobs.AsNoTracking().Where(x => x.Id == id).Select(x => x.ModelId).SingleAsync(context.RequestAborted);
        return TypedResults.Json(NeuronpediaFeature.From(detail, model), NeuronpediaFeature.Json);
    }
}
