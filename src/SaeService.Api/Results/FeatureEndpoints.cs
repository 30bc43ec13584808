using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
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
            .WithSummary("Features of a layer against each task, filtered and sorted")
            .WithDescription("There as soon as the layer's label stage is done, before the job ends. Pages follow the Link header or next_after.")
            .Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
        jobs.MapGet("/{id:guid}/layers/{layer:int}/features/{index:int}", Get).WithName("GetFeature")
            .WithSummary("One feature: statistics by task, histogram, top contexts, promoted and suppressed tokens")
            .WithDescription("view=neuronpedia answers with the member names that Neuronpedia's API has, for notebooks written for it.")
            .Produces<FeatureDetail>().Problems(ProblemCodes.NotFound, ProblemCodes.NotReady, ProblemCodes.InvalidParameter);
    }

    private static async Task<Ok<Page<FeatureSummary>>> List(Guid id, int layer, [AsParameters] FeatureQuery query, SaeDbContext db, NpgsqlDataSource database, HttpContext context)
    {
        await RequireLabelledAsync(id, layer, db, context);
        await using var command = query.Command(database, id, layer);
        await using var reader = await command.ExecuteReaderAsync(context.RequestAborted);
        var features = new List<FeatureSummary>();
        string? last = null;
        while (features.Count < query.PageSize && await reader.ReadAsync(context.RequestAborted))
        {
            features.Add(JsonSerializer.Deserialize<FeatureSummary>(reader.GetString(0), Wire.Json)!);
            last = query.Encode(reader.GetDouble(1), reader.GetInt32(2), reader.GetString(3));
        }
        var more = await reader.ReadAsync(context.RequestAborted);
        Paging.AddNextLink(context, more ? last : null);
        return TypedResults.Ok(new Page<FeatureSummary>(features, more, more ? last : null));
    }

    private static async Task<Results<Ok<FeatureDetail>, JsonHttpResult<NeuronpediaFeature>>> Get(Guid id, int layer, int index, SaeDbContext db, HttpContext context, string? view = null)
    {
        if (view is not (null or "neuronpedia"))
            throw ProblemMetadataExtensions.Parameter("view", "is not known; known: neuronpedia");
        var detail = await ReadAsync(id, layer, index, db, context);
        if (view is null)
            return TypedResults.Ok(detail);
        var model = await db.Jobs.AsNoTracking().Where(x => x.Id == id).Select(x => x.ModelId).SingleAsync(context.RequestAborted);
        return TypedResults.Json(NeuronpediaFeature.From(detail, model), NeuronpediaFeature.Json);
    }

    /// <exception cref="ProblemException">not_found, not_ready.</exception>
    internal static async Task<FeatureDetail> ReadAsync(Guid id, int layer, int index, SaeDbContext db, HttpContext context)
    {
        await RequireLabelledAsync(id, layer, db, context);
        var ct = context.RequestAborted;
        var sae = await db.Layers.AsNoTracking().Where(x => x.JobId == id && x.Layer == layer).Select(x => new { x.DSae }).SingleAsync(ct);
        if (index < 0 || index >= sae.DSae)
            throw new ProblemException(ProblemCodes.NotFound, $"Layer {layer} has the features 0 to {sae.DSae - 1}.");
        var row = await db.Features.AsNoTracking().SingleOrDefaultAsync(x => x.JobId == id && x.Layer == layer && x.Index == index, ct);
        var labels = await db.FeatureLabels.AsNoTracking().Where(x => x.JobId == id && x.Layer == layer && x.Index == index).OrderBy(x => x.Task).Select(x => x.SummaryJson).ToListAsync(ct);
        // A latent that fires on no word has no row.
        return new FeatureDetail
        {
            JobId = id,
            Layer = layer,
            Index = index,
            Alive = row is { Density: > 0 },
            Density = row?.Density ?? 0,
            MaxActivation = row?.MaxActivation ?? 0,
            MeanActivation = row?.MeanActivation ?? 0,
            Tasks = [.. labels.Select(json => JsonSerializer.Deserialize<FeatureSummary>(json, Wire.Json)!)],
            Histogram = row is null ? new ActivationHistogram([], []) : JsonSerializer.Deserialize<ActivationHistogram>(row.HistogramJson, Wire.Json)!,
            TopContexts = row is null ? [] : JsonSerializer.Deserialize<List<ActivatingContext>>(row.ContextsJson, Wire.Json)!,
            Promoted = row is null ? [] : JsonSerializer.Deserialize<List<TokenEffect>>(row.PromotedJson, Wire.Json)!,
            Suppressed = row is null ? [] : JsonSerializer.Deserialize<List<TokenEffect>>(row.SuppressedJson, Wire.Json)!,
        };
    }

    internal static async Task RequireLabelledAsync(Guid id, int layer, SaeDbContext db, HttpContext context)
    {
        var job = await JobHead.RequireAsync(db, id, context);
        job.RequireLayer(layer);
        await job.RequireStageAsync(db, StageKind.Label, layer, context.RequestAborted);
    }
}
