using System.Data;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>A layer's features as bodies of Neuronpedia's <c>POST /api/feature/upload-batch</c>.</summary>
public static class NeuronpediaUpload
{
    public const string ContentType = "application/jsonl";

    /// <summary>The most that one body may hold.</summary>
    private const int FeaturesABatch = 128;
    private static readonly byte[] s_newLine = "\n"u8.ToArray();

    /// <summary>JSON Lines, a body a line, written as the rows come.</summary>
    /// <param name="model">What the model is called there; default: as the job has it.</param>
    /// <param name="source">What the layer's features are called there; default: the layer followed by <c>-sae</c>.</param>
    public static async Task Send(Guid id, int layer, FeatureReader features, SaeDbContext db, NpgsqlDataSource database, HttpContext context, string? model = null, string? source = null)
    {
        var ct = context.RequestAborted;
        foreach (var (name, value) in new[] { ("model", model), ("source", source) })
            if (value is { Length: 0 or > 200 })
                throw ProblemMetadataExtensions.Parameter(name, "must have 1 to 200 characters");
        await features.RequireLabelledAsync(id, layer, context);
        model ??= await db.Jobs.AsNoTracking().Where(x => x.Id == id).Select(x => x.ModelId).SingleAsync(ct);
        source ??= NeuronpediaFeature.SourceOf(layer);
        context.Response.ContentType = ContentType;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"neuronpedia-layer-{layer}.jsonl\"";

        await using var command = database.CreateCommand("""
            SELECT f.index, f.density, f.max_activation, f.promoted, f.suppressed, f.contexts, f.intervals, ARRAY(SELECT ARRAY[l.task, l.label] FROM feature_labels l
            WHERE l.job_id = f.job_id AND l.layer = f.layer AND l.index = f.index AND l.consistent ORDER BY l.task COLLATE "C")
            FROM features f WHERE f.job_id = $1 AND f.layer = $2 ORDER BY f.index
            """);
        command.Parameters.AddWithValue(id);
        command.Parameters.AddWithValue(layer);
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, ct);
        var batch = new List<UploadFeature>(FeaturesABatch);
        while (await reader.ReadAsync(ct))
        {
            batch.Add(await FeatureAsync(reader, ct));
            if (batch.Count == FeaturesABatch)
                await FlushAsync();
        }
        if (batch.Count > 0)
            await FlushAsync();

        async Task FlushAsync()
        {
            await JsonSerializer.SerializeAsync(context.Response.Body, new UploadBatch(model, source, batch), NeuronpediaFeature.Json, ct);
            await context.Response.Body.WriteAsync(s_newLine, ct);
            batch.Clear();
        }
    }

    private static async Task<UploadFeature> FeatureAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        var (index, density, max) = (reader.GetInt32(0), reader.GetDouble(1), reader.GetFloat(2));
        var promoted = JsonSerializer.Deserialize<List<TokenEffect>>(reader.GetString(3), Wire.Json)!;
        var suppressed = JsonSerializer.Deserialize<List<TokenEffect>>(reader.GetString(4), Wire.Json)!;
        var top = JsonSerializer.Deserialize<List<ActivatingContext>>(reader.GetString(5), Wire.Json)!;
        var intervals = await reader.IsDBNullAsync(6, ct) ? [] : JsonSerializer.Deserialize<List<ActivationInterval>>(reader.GetString(6), Wire.Json)!;
        var labels = reader.GetFieldValue<string[,]>(7);
        return new(index, density, promoted, suppressed,
            [.. Enumerable.Range(0, labels.GetLength(0)).Select(n => new UploadExplanation(NeuronpediaExplanation.Text(labels[n, 0], labels[n, 1]), NeuronpediaExplanation.Method, NeuronpediaExplanation.Model))],
            [.. NeuronpediaBins.Of(top, intervals, max).Select(a => new UploadActivation(a.Context.Words, a.Context.Activations, a.BinMin, a.BinMax, a.BinContains))]);
    }

    private sealed record UploadBatch(string ModelId, string Source, IReadOnlyList<UploadFeature> Features);

    private sealed record UploadFeature(int Index, double Density, IReadOnlyList<TokenEffect> TopLogits, IReadOnlyList<TokenEffect> BottomLogits,
        IReadOnlyList<UploadExplanation> Explanations, IReadOnlyList<UploadActivation> Activations);

    private sealed record UploadExplanation(string Text, string MethodName, string ModelName);

    private sealed record UploadActivation(IReadOnlyList<string> Tokens, IReadOnlyList<double> Values, double QuantileMin, double QuantileMax, double QuantileFraction);
}
