using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Autoencoders;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>Features whose decoder directions are alike, found in the layers' own autoencoders (not in <c>sae.variants</c>) when they are asked for.</summary>
public sealed class NeighbourReader(SaeDbContext db, NpgsqlDataSource database, FeatureReader features, ArtifactStore artifacts)
{
    /// <summary>A search reads every decoder of a job from one end to the other: a third has to wait, so that other answers do not.</summary>
    private static readonly SemaphoreSlim s_searches = new(2);

    /// <exception cref="ProblemException">not_found, also where the autoencoder was not kept; not_ready.</exception>
    public async Task<FeatureNeighbours> FindAsync(Guid id, int layer, int index, bool sameLayer, int most, HttpContext context)
    {
        var ct = context.RequestAborted;
        await features.RequireFeatureAsync(id, layer, index, context);
        var decoders = await DecodersAsync(id, sameLayer ? layer : null, ct);
        if (!decoders.ContainsKey(layer))
            throw new ProblemException(ProblemCodes.NotFound, $"Job {id} has not kept {ExportEndpoints.SaeWeights} of layer {layer}.");
        var found = await SearchAsync(decoders, layer, index, most, ct);
        var labels = await LabelsAsync(id, found, ct);
        return new(id, layer, index, [.. found.Select(f => new LayerNeighbours(f.Key,
            [.. f.Value.Select(n => new FeatureNeighbour(n.Latent, Math.Round(n.Cosine, 6), [.. labels[(f.Key, n.Latent)]]))]))]);
    }

    /// <summary>Of the same layer alone, without labels, for a feature that is known to be there; none where the autoencoder was not kept.</summary>
    public async Task<IReadOnlyList<(int Latent, double Cosine)>> NearestAsync(Guid id, int layer, int index, int most, CancellationToken ct)
    {
        var decoders = await DecodersAsync(id, layer, ct);
        return decoders.ContainsKey(layer) ? (await SearchAsync(decoders, layer, index, most, ct))[layer] : [];
    }

    /// <summary>Files by layer.</summary>
    private async Task<SortedDictionary<int, string>> DecodersAsync(Guid id, int? only, CancellationToken ct)
    {
        var rows = await db.Artifacts.AsNoTracking()
            .Where(x => x.JobId == id && x.Stage == StageKind.Train && x.Name == ExportEndpoints.SaeWeights && x.Layer != null && (only == null || x.Layer == only))
            .OrderBy(x => x.Attempt).Select(x => new { Layer = x.Layer!.Value, x.Key }).ToListAsync(ct);
        var files = new SortedDictionary<int, string>();
        foreach (var row in rows)
            if (artifacts.Exists(row.Key))
                files[row.Layer] = artifacts.Path(row.Key);
        return files;
    }

    private static async Task<SortedDictionary<int, List<(int Latent, double Cosine)>>> SearchAsync(SortedDictionary<int, string> files, int layer, int index, int most, CancellationToken ct)
    {
        await s_searches.WaitAsync(ct);
        try
        {
            float[] direction;
            using (var own = DecoderNeighbours.Open(files[layer]))
                direction = own.Direction(index);
            var found = new SortedDictionary<int, List<(int, double)>>();
            await Parallel.ForEachAsync(files, new ParallelOptions { MaxDegreeOfParallelism = Math.Min(4, Environment.ProcessorCount), CancellationToken = ct }, (file, cancelled) =>
            {
                using var decoder = DecoderNeighbours.Open(file.Value);
                // Where the embedding is narrower than the stream, no direction of one is one of the other.
                if (decoder.DIn != direction.Length)
                    return ValueTask.CompletedTask;
                var nearest = decoder.Nearest(direction, most, except: file.Key == layer ? index : null, cancelled);
                lock (found)
                    found[file.Key] = nearest;
                return ValueTask.CompletedTask;
            });
            return found;
        }
        finally
        {
            s_searches.Release();
        }
    }

    private async Task<ILookup<(int Layer, int Index), NeighbourLabel>> LabelsAsync(Guid id, SortedDictionary<int, List<(int Latent, double Cosine)>> found, CancellationToken ct)
    {
        var all = found.SelectMany(f => f.Value.Select(n => (Layer: f.Key, n.Latent))).ToList();
        await using var command = database.CreateCommand("SELECT l.layer, l.index, l.task, l.label, l.consistency_lower FROM unnest($2, $3) AS n(layer, index) " +
            "JOIN feature_labels l ON l.job_id = $1 AND l.layer = n.layer AND l.index = n.index WHERE l.consistent ORDER BY l.task COLLATE \"C\"");
        command.Parameters.AddWithValue(id);
        command.Parameters.AddWithValue(all.ConvertAll(n => n.Layer).ToArray());
        command.Parameters.AddWithValue(all.ConvertAll(n => n.Latent).ToArray());
        await using var reader = await command.ExecuteReaderAsync(ct);
        var labels = new List<((int, int) Of, NeighbourLabel Label)>();
        while (await reader.ReadAsync(ct))
            labels.Add(((reader.GetInt32(0), reader.GetInt32(1)), new(reader.GetString(2), reader.GetString(3), reader.GetDouble(4))));
        return labels.ToLookup(l => l.Of, l => l.Label);
    }
}
