using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Jobs;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>
/// The features of a layer, for endpoints and pages alike. Every method first asks whether the job is there for the caller of <c>context</c> and its layer is labelled.
/// </summary>
public sealed class FeatureReader(SaeDbContext db, NpgsqlDataSource database)
{
    /// <exception cref="ProblemException">not_found, not_ready; invalid_parameter, naming the parameter.</exception>
    public async Task<FeaturePage> ListAsync(Guid id, int layer, FeatureQuery query, HttpContext context)
    {
        var ct = context.RequestAborted;
        query.Check();
        await RequireLabelledAsync(id, layer, context);
        await using var batch = query.Batch(database, id, layer);
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        var total = reader.GetInt64(0);
        await reader.NextResultAsync(ct);
        var rows = new List<(FeatureSummary Feature, string Cursor)>();
        while (rows.Count < query.PageSize && await reader.ReadAsync(ct))
            rows.Add((JsonSerializer.Deserialize<FeatureSummary>(reader.GetString(0), Wire.Json)!, query.Encode(reader.GetDouble(1), reader.GetInt32(2), reader.GetString(3))));
        var beyond = await reader.ReadAsync(ct);
        if (query.Backward)
            rows.Reverse();
        // A cursor is itself a row on its other side.
        var (earlier, later) = query.Backward ? (beyond, true) : (query.After is not null, beyond);
        (earlier, later) = (earlier && rows.Count > 0, later && rows.Count > 0);
        return new([.. rows.Select(row => row.Feature)], later, later ? rows[^1].Cursor : null, earlier ? rows[0].Cursor : null, total);
    }

    /// <exception cref="ProblemException">not_found, not_ready.</exception>
    public async Task<FeatureDetail> DetailAsync(Guid id, int layer, int index, HttpContext context)
    {
        var ct = context.RequestAborted;
        await RequireFeatureAsync(id, layer, index, context);
        var row = await db.Features.AsNoTracking().SingleOrDefaultAsync(x => x.JobId == id && x.Layer == layer && x.Index == index, ct);
        var labels = await db.FeatureLabels.AsNoTracking().Where(x => x.JobId == id && x.Layer == layer && x.Index == index).OrderBy(x => x.Task).Select(x => x.SummaryJson).ToListAsync(ct);
        // A latent that fires on no word has no row.
        return new()
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
            LabelHistograms = row?.LabelHistogramsJson is null ? [] : JsonSerializer.Deserialize<List<LabelHistogram>>(row.LabelHistogramsJson, Wire.Json)!,
            Intervals = row?.IntervalsJson is null ? [] : JsonSerializer.Deserialize<List<ActivationInterval>>(row.IntervalsJson, Wire.Json)!,
            TopContexts = row is null ? [] : JsonSerializer.Deserialize<List<ActivatingContext>>(row.ContextsJson, Wire.Json)!,
            Promoted = row is null ? [] : JsonSerializer.Deserialize<List<TokenEffect>>(row.PromotedJson, Wire.Json)!,
            Suppressed = row is null ? [] : JsonSerializer.Deserialize<List<TokenEffect>>(row.SuppressedJson, Wire.Json)!,
        };
    }

    /// <exception cref="ProblemException">not_found, not_ready.</exception>
    public async Task RequireFeatureAsync(Guid id, int layer, int index, HttpContext context)
    {
        await RequireLabelledAsync(id, layer, context);
        var dSae = await db.Layers.AsNoTracking().Where(x => x.JobId == id && x.Layer == layer).Select(x => x.DSae).SingleAsync(context.RequestAborted);
        if (index < 0 || index >= dSae)
            throw new ProblemException(ProblemCodes.NotFound, $"Layer {layer} has the features 0 to {dSae - 1}.");
    }

    /// <exception cref="ProblemException">not_found, not_ready.</exception>
    public async Task RequireLabelledAsync(Guid id, int layer, HttpContext context)
    {
        var job = await JobHead.RequireAsync(db, id, context);
        job.RequireLayer(layer);
        await job.RequireStageAsync(db, StageKind.Label, layer, context.RequestAborted);
    }
}
