using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Pipeline.Inspection;

/// <summary>A finished job's model and published files where its stages would find them; no weight is read.</summary>
/// <param name="NormLimits">By layer: the norm above which the job took a vector for an attention sink. Empty for jobs of older versions.</param>
internal sealed record InspectedJob(Guid Id, JobRequest Request, IReadOnlyList<int> Layers, Snapshot Model, ModelFolder Folder,
    IReadOnlyDictionary<(int Layer, string Name), string> Autoencoders, IReadOnlyDictionary<int, double> NormLimits) : IDisposable
{
    /// <exception cref="ProblemException">The job is gone, or its model's files are not those that it was run on.</exception>
    /// <exception cref="RootedPathException">The model's folder is gone.</exception>
    /// <exception cref="SourceException">The model can not be fetched.</exception>
    /// <exception cref="CheckpointException">It is no model any more.</exception>
    public static InspectedJob Find(Guid id, SaeDbContext db, ArtifactStore store, CatalogueRoots roots, CancellationToken stopping)
    {
        var job = db.Jobs.AsNoTracking().Where(j => j.Id == id).Select(j => new { j.RequestJson, j.Layers }).SingleOrDefault()
            ?? throw new ProblemException(ProblemCodes.NotFound, $"There is no job {id}.");
        var request = JsonSerializer.Deserialize<JobRequest>(job.RequestJson, Wire.Json)!;
        var published = db.Artifacts.AsNoTracking().Where(a => a.JobId == id && (a.Stage == StageKind.Train || a.Stage == StageKind.Prepare || a.Stage == StageKind.Capture))
            .Select(a => new { a.Stage, a.Layer, a.Name, a.Key }).ToList();
        var prepared = Inputs.ReadJson<PreparedInputs>(store.Path(published.Single(a => a.Stage == StageKind.Prepare && a.Name == Artifacts.Provenance).Key));
        var filters = published.SingleOrDefault(a => a.Stage == StageKind.Capture && a.Name == Artifacts.Filters);
        var model = roots.OpenModelAsync(request.Model, null, stopping).GetAwaiter().GetResult();
        try
        {
            var folder = ModelFolder.Open(model.Path);
            RequireSame(folder, prepared.Model);
            return new(id, request, job.Layers, model, folder,
                published.Where(a => a.Layer is not null).ToDictionary(a => (a.Layer!.Value, a.Name), a => store.Path(a.Key)),
                filters is null ? new Dictionary<int, double>() : NormFilters.LimitsOf(store.Path(filters.Key)));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    public void Dispose() => Model.Dispose();

    // A folder that was filled anew since would give activations that the features do not describe.
    private static void RequireSame(ModelFolder folder, ModelProvenance model)
    {
        var hashes = folder.Hashes();
        foreach (var file in model.Files)
            if (hashes.GetValueOrDefault(file.Path) != file.Sha256)
                throw new ProblemException(ProblemCodes.InvalidModel,
                    $"'{model.Name}' is not the model that the job was run on any more: its {file.Path} {(hashes.ContainsKey(file.Path) ? "has changed" : "is gone")}. "
                    + "Put it back, or run the job anew.");
    }
}
