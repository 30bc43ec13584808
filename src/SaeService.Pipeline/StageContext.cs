using Microsoft.EntityFrameworkCore;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Pipeline;

/// <summary>What a stage is given: its claim, the files that earlier stages published, a place for its own, and this worker's settings.</summary>
public sealed class StageContext(StageLease lease, ArtifactStore store, CatalogueRoots roots, WorkerOptions worker, IDbContextFactory<SaeDbContext> contexts) : IDisposable
{
    private readonly List<ArtifactWriter> _writers = [];

    /// <summary>Where what grows with the corpus lies while the stage runs: beside the artifacts, for that disk is known to have room for as much.</summary>
    public ScratchSpace Scratch { get; } = new(store.Path("scratch"));

    public StageLease Lease => lease;
    public ArtifactStore Store => store;
    public CatalogueRoots Roots => roots;
    public WorkerOptions Worker => worker;

    /// <summary>For the few rows that a stage must read; what it writes goes into <see cref="StageOutput.Publish"/>.</summary>
    public SaeDbContext OpenDatabase() => contexts.CreateDbContext();
    public JobRequest Request => lease.Request;
    public Guid JobId => lease.JobId;
    public IReadOnlyList<int> Layers => lease.Layers;
    public CancellationToken Interrupted => lease.Interrupted;

    /// <summary>The layer of a stage that has one.</summary>
    public int Layer => lease.Layer ?? throw new InvalidOperationException($"stage {lease.Kind} has no layer");

    /// <summary>Local path of a file that an earlier stage published.</summary>
    public string Published(StageKind stage, int? layer, string name) => store.Path(PublishedKey(stage, layer, name));

    /// <summary>Its key, which names the attempt that wrote it too.</summary>
    public string PublishedKey(StageKind stage, int? layer, string name) => lease.PublishedKeyAsync(stage, layer, name).GetAwaiter().GetResult();

    /// <summary>The job's model, to be disposed of when nothing of it is read any more.</summary>
    /// <param name="upTo">How far the stage is when it is here.</param>
    public Snapshot OpenModel(double upTo = 0) =>
        Fetch(RepoKind.Model, "$.model.id", 0, upTo, report => roots.OpenModelAsync(Request.Model, report, Interrupted));

    /// <summary>The job's data set where it is one that is fetched, at the revision that the job is pinned to; null where it is an upload or the operator's.</summary>
    public Snapshot? FetchDataset(double from, double upTo)
    {
        var dataset = Request.Dataset;
        return dataset.Revision is { } revision
            ? Fetch(RepoKind.Dataset, "$.dataset.id", from, upTo, report => roots.PublicDatasets.FetchAsync(dataset.Id, revision, dataset.Split?.Split('+'), report, Interrupted))
            : null;
    }

    /// <summary>What the job's trained autoencoders lie in, where the request names some of the hub: the folders of these layers, at the job's commit.</summary>
    public Snapshot FetchAutoencoders(IEnumerable<int> layers, double from, double upTo)
    {
        var sae = Request.Sae!;
        return Fetch(RepoKind.Model, "$.sae.id", from, upTo, report => roots.Hub.FetchSaesAsync(HubRepo.Of(RepoKind.Model, sae.Id!), sae.Revision!,
            layers.Select(layer => SaeSelection.PlaceOf(sae.Folder ?? "", layer)), report, Interrupted), "autoencoders");
    }

    private Snapshot Fetch(RepoKind kind, string field, double from, double upTo, Func<Action<FetchProgress>, Task<Snapshot>> fetch, string? named = null)
    {
        var what = named ?? (kind == RepoKind.Model ? "model" : "data set");
        try
        {
            return fetch(progress => lease.ReportProgress(from + (upTo - from) * progress.Done / Math.Max(1, progress.Total),
                message: string.Create(System.Globalization.CultureInfo.InvariantCulture, $"fetching the {what}, {progress.Total / 1e6:N0} MB"))).GetAwaiter().GetResult();
        }
        catch (SourceException e) when (!e.Transient)
        {
            throw SourceProblems.Of(e, kind, field);
        }
    }

    /// <summary>A new file of this attempt; complete ones are published with the stage, the others vanish with it.</summary>
    public ArtifactWriter Create(string name)
    {
        var writer = store.Create(lease.KeyOf(name));
        _writers.Add(writer);
        return writer;
    }

    /// <summary>Writes a whole file through <paramref name="write"/> and completes it.</summary>
    public StoredArtifact Write(string name, Action<Stream> write)
    {
        var writer = Create(name);
        write(writer.Stream);
        return writer.Complete();
    }

    /// <summary>Notes how far the stage is, and ends it here when it was asked to stop.</summary>
    /// <exception cref="OperationCanceledException">The lease is lost, the job cancelled or the worker shutting down.</exception>
    public void Progress(double fraction, double? tokensPerSecond = null, string? message = null)
    {
        lease.Interrupted.ThrowIfCancellationRequested();
        lease.ReportProgress(fraction, tokensPerSecond, message);
    }

    public void Dispose()
    {
        _writers.ForEach(w => w.Dispose());
        Scratch.Dispose();
    }
}

/// <summary>What a stage publishes: complete files, and rows written in the transaction that ends the stage.</summary>
/// <param name="AfterPublish">What may only be done once that transaction has been committed; losing it must do no harm.</param>
public sealed record StageOutput(IReadOnlyList<StoredArtifact> Artifacts, Func<SaeDbContext, CancellationToken, Task>? Publish = null, Action? AfterPublish = null);
