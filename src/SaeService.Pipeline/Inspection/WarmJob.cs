using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Storage;
using SaeService.Transformers;

namespace SaeService.Pipeline.Inspection;

/// <summary>A consistent feature's label in one task.</summary>
/// <param name="Threshold">It fires above this activation.</param>
internal sealed record FeatureLabel(string Task, string Label, FeatureKind Kind, double Consistency, double Threshold);

/// <param name="Labels">By feature.</param>
/// <param name="MaxActivation">[F], of the job's words; 0 for features that fire on none.</param>
/// <param name="Fvu">Where it is above what a faithful autoencoder has; else null.</param>
internal sealed record WarmLayer(SparseAutoencoder Sae, ILookup<int, FeatureLabel> Labels, float[] MaxActivation, double? Fvu, long Bytes);

/// <summary>A job's model with its tokenizer, and those of its autoencoders that there was room for, in memory. For one thread at a time.</summary>
internal sealed class WarmJob : IDisposable
{
    private readonly InspectedJob _job;
    private readonly WorkerOptions _worker;
    private readonly IDbContextFactory<SaeDbContext> _contexts;
    private readonly long _modelBytes;
    private readonly List<(int Number, WarmLayer Layer)> _layers = []; // the longest unused first

    private WarmJob(InspectedJob job, WorkerOptions worker, IDbContextFactory<SaeDbContext> contexts, LanguageModel model, Tokenizer tokenizer, long modelBytes)
    {
        (_job, _worker, _contexts, Model, Tokenizer, _modelBytes) = (job, worker, contexts, model, tokenizer, modelBytes);
        Packing = Pipeline.Packing.Of(job.Request, tokenizer) with { Tasks = [], MinAlignedShare = 0 };
    }

    public Guid Id => _job.Id;
    public JobRequest Request => _job.Request;
    public IReadOnlyList<int> Layers => _job.Layers;

    /// <summary>By layer: the norm above which the job took a vector for an attention sink. Empty for jobs of older versions.</summary>
    public IReadOnlyDictionary<int, double> NormLimits => _job.NormLimits;
    public LanguageModel Model { get; }
    public Tokenizer Tokenizer { get; }

    /// <summary>As the job's corpus was packed, but for one text without labels.</summary>
    public PackingSettings Packing { get; }

    /// <summary>Held in all.</summary>
    public long Bytes => _modelBytes + _layers.Sum(l => l.Layer.Bytes);

    /// <param name="job">Owned from here on.</param>
    /// <param name="mayHold">Bytes: where the model does not fit it is read block by block, at every text again.</param>
    /// <exception cref="ProblemException">Not even that fits.</exception>
    public static WarmJob Load(InspectedJob job, WorkerOptions worker, IDbContextFactory<SaeDbContext> contexts, long mayHold)
    {
        try
        {
            var about = job.Folder.Description;
            var whole = worker.ModelBytes(job.Folder);
            LoadMode? mode = !worker.IsCuda && whole > mayHold ? LoadMode.LayerByLayer : null;
            var model = worker.Load(job.Folder, mode);
            try
            {
                // On a GPU the weights are not in the process's memory. Read block by block, all outside the blocks is there, and a block.
                var outside = 2.0 * about.VocabularySize * about.DModel / about.Parameters;
                var held = worker.IsCuda ? 0 : model.IsResident ? whole : (long)(whole * Math.Min(1, outside + (1 - outside) / about.Layers));
                var tokenizer = Tokenizer.Load(job.Folder.Path);
                var warm = new WarmJob(job, worker, contexts, model, tokenizer, held);
                RequireRoom(held, mayHold, "The model");
                return warm;
            }
            catch
            {
                model.Dispose();
                throw;
            }
        }
        catch
        {
            job.Dispose();
            throw;
        }
    }

    /// <summary>A layer's autoencoder with its labels, read where it is not held; others make room for it.</summary>
    /// <exception cref="ProblemException">It does not fit by itself.</exception>
    public WarmLayer Layer(int number, long mayHold)
    {
        var at = _layers.FindIndex(l => l.Number == number);
        if (at >= 0)
        {
            var held = _layers[at];
            _layers.RemoveAt(at);
            _layers.Add(held);
            return held.Layer;
        }
        using var db = _contexts.CreateDbContext();
        var row = db.Layers.AsNoTracking().Where(l => l.JobId == Id && l.Layer == number).Select(l => new { l.DSae, l.K, l.Fvu, l.SaeJson }).Single();
        var bytes = SaeMemory.Weights(Model.Description.DModel, row.DSae) + SaeMemory.Using(Model.Description.DModel, row.DSae, row.K, _worker.Threads);
        while (_layers.Count > 0 && Bytes + bytes > mayHold)
            _layers.RemoveAt(0);
        RequireRoom(Bytes + bytes, mayHold, $"The model with the autoencoder of layer {number}");
        var max = new float[row.DSae];
        foreach (var feature in db.Features.AsNoTracking().Where(f => f.JobId == Id && f.Layer == number).Select(f => new { f.Index, f.MaxActivation }))
            max[feature.Index] = feature.MaxActivation;
        var labels = db.FeatureLabels.AsNoTracking().Where(l => l.JobId == Id && l.Layer == number && l.Consistent).OrderBy(l => l.Task).Select(l => l.SummaryJson).ToList()
            .Select(json => JsonSerializer.Deserialize<FeatureSummary>(json, Wire.Json)!)
            .ToLookup(f => f.Index, f => new FeatureLabel(f.Task, f.DominantLabel, f.Kind, f.Consistency, f.Threshold));
        var sae = Inputs.Autoencoder(name => _job.Autoencoders[(number, name)], _worker.Threads);
        var faithful = JsonSerializer.Deserialize<SaeProvenance>(row.SaeJson, Wire.Json)!.Gate == "pass";
        var layer = new WarmLayer(sae, labels, max, faithful ? null : row.Fvu, bytes);
        _layers.Add((number, layer));
        return layer;
    }

    public void Dispose()
    {
        _layers.Clear();
        Model.Dispose();
        _job.Dispose();
    }

    private static void RequireRoom(long bytes, long mayHold, string what)
    {
        if (bytes > mayHold)
            throw new ProblemException(ProblemCodes.Unavailable, string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"{what} needs {bytes >> 20:N0} MiB, and the worker has {Math.Max(0, mayHold) >> 20:N0} MiB for inspections beside what it is at. Ask again when its stage is done, or give it more (Worker:MaxMemoryBytes)."));
    }
}
