using System.Globalization;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Jobs;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>Files of a job that can be had as they lie in the store.</summary>
/// <param name="Exports">Bytes by name of the export.</param>
/// <param name="Autoencoders">By layer; variant 0 is the layer's own.</param>
public sealed record PublishedFiles(IReadOnlyDictionary<string, long> Exports, IReadOnlyList<(int Layer, int Variant, long Bytes, string Sha256)> Autoencoders)
{
    public static async Task<PublishedFiles> OfAsync(SaeDbContext db, JobHead job, CancellationToken ct)
    {
        // Of each file the last attempt's.
        var files = (await db.Artifacts.AsNoTracking().Where(x => x.JobId == job.Id && (x.Stage == StageKind.Prepare || x.Stage == StageKind.Train || x.Stage == StageKind.Inform))
                .OrderBy(x => x.Attempt).Select(x => new { x.Stage, x.Layer, x.Name, x.Bytes, x.Sha256 }).ToListAsync(ct))
            .GroupBy(x => (x.Stage, x.Layer, x.Name)).Select(x => x.Last()).ToList();
        var exports = ExportEndpoints.Files.SelectMany(x => x.Names).ToHashSet();
        return new(
            files.Where(x => exports.Contains(x.Name) && (x.Layer is null || x.Layer == StagePlan.ReferenceLayer(job.Layers))).ToDictionary(x => x.Name, x => x.Bytes),
            [.. from file in files
                where file.Stage == StageKind.Train && file.Name.EndsWith(ExportEndpoints.SaeWeights, StringComparison.Ordinal)
                let variant = VariantOf(file.Name)
                orderby file.Layer, variant
                select (file.Layer!.Value, variant, file.Bytes, file.Sha256)]);
    }

    // "variant-2.sae_weights.safetensors"; the layer's own has no number.
    private static int VariantOf(string name) => name == ExportEndpoints.SaeWeights ? 0 : int.Parse(name.Split('.')[0].Split('-')[^1], CultureInfo.InvariantCulture);
}
