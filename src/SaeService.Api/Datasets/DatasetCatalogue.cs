using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Access;
using SaeService.Api.Models;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Api.Datasets;

/// <summary>
/// The data sets that can be named: uploads of the caller, then what is in the operator's folders, the bundled sample, then what can be fetched.
/// </summary>
public sealed class DatasetCatalogue(ServiceSettings settings, DatasetSource sources, ArtifactStore artifacts, IDbContextFactory<SaeDbContext> contexts)
{
    private readonly FolderRoots _roots = new(settings.DatasetRoots, settings.BundledRoot is { } bundled
        ? new Dictionary<string, string> { [ModelCatalogue.SampleName] = Path.Combine(bundled, "corpus") }
        : null);

    // Counting a treebank takes a second or more: done once for what the files are now, and one at a time.
    private readonly ConcurrentDictionary<string, (string Fingerprint, Dataset Dataset)> _counted = new();
    private readonly SemaphoreSlim _counting = new(1);

    /// <summary>What is here, or can be fetched.</summary>
    /// <param name="field">JSON path of the reference.</param>
    /// <param name="ask">Whether others may be asked for what is not here; where not, only what the catalogue itself says of it.</param>
    /// <exception cref="ProblemException">
    /// unknown_dataset, dataset_outside_roots, invalid_dataset, not_available for a revision of what has none, or one of the hub's.
    /// </exception>
    public async Task<Dataset> RequireAsync(DatasetReference reference, Caller caller, string field, CancellationToken ct, bool ask = true)
    {
        Dataset here;
        try
        {
            here = await RequireHereAsync(reference.Id, caller, field + ".id", ct);
        }
        catch (ProblemException e) when (e.Code == ProblemCodes.UnknownDataset && sources.Enabled && sources.Names(reference.Id))
        {
            return await OfferedAsync(reference, field, ask, ct);
        }
        return reference.Revision is null ? here : throw new ProblemException(ProblemCodes.NotAvailable,
            $"'{reference.Id}' is {(here.Source == "upload" ? "an upload" : "a local file or folder")}, which has no revisions", field + ".revision");
    }

    /// <summary>An upload of the caller, or one of the operator's.</summary>
    /// <exception cref="ProblemException">unknown_dataset, dataset_outside_roots or invalid_dataset.</exception>
    public async Task<Dataset> RequireHereAsync(string id, Caller caller, string field, CancellationToken ct)
    {
        if (await FindUploadAsync(id, caller, ct) is { } upload)
            return upload;
        try
        {
            return await CountAsync(id, _roots.Resolve(id), ct);
        }
        catch (RootedPathException e)
        {
            throw new ProblemException(e.Fault == RootedPathFault.Outside ? ProblemCodes.DatasetOutsideRoots : ProblemCodes.UnknownDataset,
                e.Fault == RootedPathFault.Outside ? e.Message : $"{e.Message}, and is no upload of this key (PUT /v1/datasets/NAME){(sources.Enabled ? "" : "; nothing is fetched by this service (Hub:Enabled)")}",
                field, e);
        }
        catch (CorpusException e)
        {
            throw new ProblemException(ProblemCodes.InvalidDataset, e.Message, field, e);
        }
    }

    /// <summary>The files of a data set that <see cref="RequireAsync"/> gave; null where they have to be fetched.</summary>
    public async Task<DatasetFolder?> OpenAsync(Dataset dataset, Caller caller, CancellationToken ct)
    {
        if (dataset.Source == "upload")
        {
            await using var db = await contexts.CreateDbContextAsync(ct);
            var key = await db.Datasets.Where(x => x.Name == dataset.Id && x.ApiKeyId == caller.KeyId).Select(x => x.Key).SingleOrDefaultAsync(ct);
            return key is null ? null : DatasetFolder.Open(artifacts.Path(key));
        }
        if (dataset.Source == "folder")
            return DatasetFolder.Open(_roots.Resolve(dataset.Id));
        return dataset.Fetched && (await sources.FindAsync(dataset.Id, dataset.Revision, ct)).Fetched is { } place ? DatasetFolder.Open(place) : null;
    }

    private async Task<Dataset> OfferedAsync(DatasetReference reference, string field, bool ask, CancellationToken ct)
    {
        try
        {
            var offer = ask ? await sources.FindAsync(reference.Id, reference.Revision, ct) : sources.FindEntry(reference.Id);
            return offer is null ? throw new ProblemException(ProblemCodes.UnknownDataset, $"'{reference.Id}' is not here; a job may name it all the same", field + ".id")
                : await DescribeAsync(offer, ct);
        }
        catch (SourceException e)
        {
            throw SourceProblems.Of(e, RepoKind.Dataset, field + (e.Fault == SourceFault.NoRevision ? ".revision" : ".id"));
        }
        catch (CorpusException e)
        {
            throw new ProblemException(ProblemCodes.InvalidDataset, e.Message, field + ".id", e);
        }
    }

    /// <summary>Counted where it is here; else what its source promises.</summary>
    private async Task<Dataset> DescribeAsync(DatasetOffer offer, CancellationToken ct)
    {
        var dataset = offer.Fetched is { } place
            ? await CountFolderAsync(offer.Id, place, DatasetFolder.Open(place), ct)
            : new Dataset { Id = offer.Id, Source = offer.Source, Splits = offer.Splits, Fetched = false };
        return dataset with { Source = offer.Source, Title = offer.Title, Licence = offer.Licence, Revision = offer.Revision, DeclaredTasks = offer.Tasks };
    }

    /// <summary>Uploads that the caller sees, newest first, then the operator's that can be read, then the catalogue's, by name.</summary>
    public async Task<IReadOnlyList<Dataset>> ListAsync(Caller caller, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var uploads = await db.Datasets.AsNoTracking().Where(x => caller.IsAdmin || x.ApiKeyId == caller.KeyId).OrderByDescending(x => x.CreatedAt)
            .Select(x => x.StatisticsJson).ToListAsync(ct);
        var found = uploads.Select(Parse).ToList();
        foreach (var (name, place) in OperatorPlaces())
            try
            {
                found.Add(await CountAsync(name, place, ct));
            }
            catch (CorpusException)
            {
                // Not a data set by itself; something inside may be, and can be named.
            }
        if (sources.Enabled)
            foreach (var name in sources.Entries.Select(entry => entry.Name).Where(name => !found.Exists(dataset => dataset.Id == name)))
                try
                {
                    found.Add(await DescribeAsync(sources.FindEntry(name)!, ct));
                }
                catch (CorpusException e)
                {
                    // It came, and can not be read: it stays in the list with the reason.
                    found.Add(await DescribeAsync(sources.FindEntry(name)! with { Fetched = null }, ct) with { Warnings = [e.Message] });
                }
        return found;
    }

    /// <summary>Names of what <see cref="ListAsync"/> lists, and of operator's folders that can not be read: nothing is opened.</summary>
    public async Task<IReadOnlyList<DatasetName>> NamesAsync(Caller caller, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var uploads = await db.Datasets.AsNoTracking().Where(x => caller.IsAdmin || x.ApiKeyId == caller.KeyId).OrderByDescending(x => x.CreatedAt).Select(x => x.Name).ToListAsync(ct);
        return [.. uploads.Select(name => new DatasetName(name, "uploaded"))
            .Concat(OperatorPlaces().Select(place => new DatasetName(place.Name, "of this service")))
            .Concat(sources.Enabled ? sources.Entries.Select(entry => new DatasetName(entry.Name, entry.Title ?? "catalogue")) : [])
            .DistinctBy(x => x.Name)];
    }

    /// <summary>Whether the operator's folders have something of this name, which an upload must not hide.</summary>
    public bool IsOperators(string name)
    {
        try
        {
            _roots.Resolve(name);
            return true;
        }
        catch (RootedPathException)
        {
            return false;
        }
    }

    /// <summary>Reads all of a data set and says what was understood. Memory does not grow with its size.</summary>
    /// <exception cref="CorpusException">Naming file and line.</exception>
    public static Dataset Describe(string id, string source, DatasetFolder folder, CancellationToken ct)
    {
        var statistics = DatasetStatistics.Compute(folder.Read(settings: new ReadSettings { Further = true }), cancellation: ct);
        return new Dataset
        {
            Id = id,
            Source = source,
            Format = folder.Format.ToString().ToLowerInvariant(),
            Splits = folder.Splits,
            Bytes = folder.Bytes,
            Documents = statistics.Documents,
            Sentences = statistics.Sentences,
            Words = statistics.Words,
            Tasks = [.. statistics.Tasks.Select(t => new TaskStatistics(t.Task, t.Labelled, t.Labels, t.EntropyBits, t.Majority, t.TypeBaselineAccuracy, t.AmbiguousTypeShare))],
            FurtherTasks = [.. statistics.Further.Select(t => new AvailableTask(t.Task, t.Labelled, t.Labels, t.BuiltIn))],
            Aliases = [.. statistics.Aliases.Select(a => new LabelAlias(a.Left, a.Right, a.Jaccard))],
            Warnings = statistics.Warnings,
        };
    }

    private async Task<Dataset?> FindUploadAsync(string name, Caller caller, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var json = await db.Datasets.AsNoTracking().Where(x => x.Name == name && x.ApiKeyId == caller.KeyId).Select(x => x.StatisticsJson).SingleOrDefaultAsync(ct);
        return json is null ? null : Parse(json);
    }

    private async Task<Dataset> CountAsync(string id, string path, CancellationToken ct)
    {
        var folder = DatasetFolder.Open(path);
        if (folder.Files.FirstOrDefault(file => !_roots.Contains(file.Path)) is { } stray)
            throw new ProblemException(ProblemCodes.DatasetOutsideRoots, $"'{stray.Name}' links to a file outside the folders that the operator allows", "$.dataset.id");
        return await CountFolderAsync(id, path, folder, ct);
    }

    private async Task<Dataset> CountFolderAsync(string id, string path, DatasetFolder folder, CancellationToken ct)
    {
        var fingerprint = string.Join('\n', folder.Files.Select(file => $"{file.Name} {file.Bytes} {File.GetLastWriteTimeUtc(file.Path).Ticks}"));
        if (!Known(out var known))
        {
            await _counting.WaitAsync(ct);
            try
            {
                if (!Known(out known))
                {
                    known = await Task.Run(() => Describe(id, "folder", folder, ct), ct);
                    _counted[path] = (fingerprint, known);
                }
            }
            finally
            {
                _counting.Release();
            }
        }
        return known with { Id = id };

        bool Known(out Dataset dataset)
        {
            var hit = _counted.TryGetValue(path, out var counted) && counted.Fingerprint == fingerprint;
            dataset = counted.Dataset;
            return hit;
        }
    }

    private IEnumerable<(string Name, string Place)> OperatorPlaces()
    {
        foreach (var (name, place) in _roots.Named)
            yield return (name, place);
        var options = new EnumerationOptions { IgnoreInaccessible = true };
        foreach (var root in _roots.Roots)
            foreach (var place in Directory.EnumerateFileSystemEntries(root, "*", options).Order(StringComparer.Ordinal))
                if (_roots.Contains(place) && (Directory.Exists(place) || DatasetFolder.IsNamedAsData(place)))
                    yield return (Path.GetFileName(place), place);
    }

    private static Dataset Parse(string json) => JsonSerializer.Deserialize<Dataset>(json, Wire.Json)!;
}

/// <param name="Kind">Where it is from, or what it is.</param>
public sealed record DatasetName(string Name, string Kind);
