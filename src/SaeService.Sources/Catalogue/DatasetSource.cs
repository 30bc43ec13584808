using System.Text;
using System.Text.Json;

namespace SaeService.Sources;

/// <summary>A public data set that can be fetched, and what is known of it before.</summary>
/// <param name="Source"><c>catalogue</c> or <c>hub</c>.</param>
/// <param name="Revision">40 hex digits that stand for the same files for ever: a commit, or the pin of a catalogue entry.</param>
/// <param name="Tasks">Declared; null where nobody said.</param>
/// <param name="Fetched">Where it is, whole; null where it is not here.</param>
public sealed record DatasetOffer(string Id, string Source, string Revision, string? Title, string? Licence, IReadOnlyList<string>? Tasks, IReadOnlyList<string> Splits, string? Fetched);

/// <summary>
/// Public data sets by name: entries of the catalogue, any treebank of Universal Dependencies (<c>ud:German-GSD</c>), and data sets of the hub
/// (<c>owner/name</c>, <c>owner/name:config</c>). All are kept in the cache of the hub, each with a folder that holds its files side by side.
/// </summary>
public sealed class DatasetSource : IDisposable
{
    private const long MaxFile = 1L << 40;
    private const long MaxUnknownFile = 1L << 30;
    private const int MaxReadme = 4 << 20;

    /// <summary>Above this share of sentences without entities, annotation and treebank are not of the same text.</summary>
    private const double MaxUnjoined = 0.05;

    private readonly HubSource _hub;
    private readonly SourceSettings _settings;
    private readonly SourceHttp _github, _operators;
    private readonly Fetcher _fromGithub, _fromOperators;
    private readonly Treebanks _treebanks;
    private readonly Dictionary<string, CatalogueEntry> _entries;

    /// <exception cref="FormatException">The operator's catalogue is none.</exception>
    public DatasetSource(SourceSettings settings, HubSource hub)
    {
        (_settings, _hub) = (settings, hub);
        var entries = CatalogueEntry.Load(settings.CatalogueFile).Select(entry => entry.OperatorsOwn ? entry : AtMirror(entry)).ToList();
        _entries = entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        Entries = entries;
        _github = new SourceHttp(settings.GitHubHosts, proxy: settings.UseProxy);
        var origins = entries.Where(entry => entry.OperatorsOwn).SelectMany(entry => entry.Files ?? []).SelectMany(file => new[] { file.Url, file.Entities?.Url }).OfType<Uri>();
        _operators = new SourceHttp(new HostRules(origins, [], originsNamed: true, hostsNamed: false), proxy: settings.UseProxy);
        _fromGithub = new Fetcher(hub.Cache, _github, settings);
        _fromOperators = new Fetcher(hub.Cache, _operators, settings);
        _treebanks = new Treebanks(_github, settings, hub.Cache);
    }

    public bool Enabled => _settings.Enabled;

    public IReadOnlyList<CatalogueEntry> Entries { get; }

    public void Dispose()
    {
        _fromGithub.Dispose();
        _fromOperators.Dispose();
        _github.Dispose();
        _operators.Dispose();
    }

    /// <summary>Whether a name is of one of the three kinds, whatever there is behind it.</summary>
    public bool Names(string id) => _entries.ContainsKey(id) || Treebanks.RepositoryOf(id) is not null || HubRepo.IsId(id.Split(':')[0]);

    /// <summary>An entry of the catalogue as it is now; nothing is asked of anyone. Null: no such entry.</summary>
    public DatasetOffer? FindEntry(string name)
    {
        if (!_entries.TryGetValue(name, out var entry))
            return null;
        var splits = entry.Files is { } files ? SplitsOf(files.Select(file => SplitIn(file.Name))) : ["train", "dev", "test"];
        var view = entry.Files is null ? null : View(FolderOf(entry), entry.Pin, "data");
        return new DatasetOffer(name, "catalogue", entry.Pin, entry.Title, entry.Licence, entry.Tasks, splits,
            view is not null && entry.Files!.All(file => File.Exists(Path.Combine(view, file.Name))) ? view : null);
    }

    /// <summary>What a name stands for, at a revision (null: the one that is pinned, or the newest).</summary>
    /// <exception cref="SourceException">There is nothing, or nothing that can be read.</exception>
    public Task<DatasetOffer> FindAsync(string id, string? revision, CancellationToken ct) => _hub.Cache.UseAsync(async () =>
    {
        RequireEnabled();
        if (FindEntry(id) is { } offer)
        {
            RequirePin(id, offer.Revision, revision);
            return _entries[id] switch
            {
                { Treebank: { } treebank } => await TreebankAsync(treebank.Repository, treebank.Revision, ct) is var found
                    ? offer with { Splits = found.Splits, Fetched = found.Fetched, Licence = offer.Licence ?? found.Licence } : offer,
                { Hub: { } set } => await HubAsync(set.Id, set.Config, set.Revision, ct) is var found
                    ? offer with { Splits = found.Splits, Fetched = found.Fetched, Licence = offer.Licence ?? found.Licence } : offer,
                _ => offer,
            };
        }
        if (Treebanks.RepositoryOf(id) is { } repository)
            return await TreebankAsync(repository, revision ?? Treebanks.Release, ct) with { Id = id };
        var (name, config) = SplitId(id);
        return await HubAsync(name, config, revision, ct) with { Id = id };
    });

    /// <summary>Brings a data set here.</summary>
    /// <param name="revision">As <see cref="DatasetOffer.Revision"/> gave it.</param>
    /// <param name="splits">Those that are needed; null: all.</param>
    /// <param name="progress">Called from several threads, often.</param>
    public Task<Snapshot> FetchAsync(string id, string revision, IReadOnlyList<string>? splits, Action<FetchProgress>? progress, CancellationToken ct) => _hub.Cache.UseAsync(async () =>
    {
        RequireEnabled();
        if (!_entries.TryGetValue(id, out var entry))
            return Treebanks.RepositoryOf(id) is { } repository ? await FetchTreebankAsync(repository, revision, splits, progress, ct)
                : await FetchHubAsync(SplitId(id), revision, splits, progress, ct);
        RequirePin(id, entry.Pin, revision);
        var fetched = entry switch
        {
            { Treebank: { } treebank } => await FetchTreebankAsync(treebank.Repository, treebank.Revision, splits, progress, ct),
            { Hub: { } set } => await FetchHubAsync((set.Id, set.Config), set.Revision, splits, progress, ct),
            _ => await FetchFilesAsync(entry, splits, progress, ct),
        };
        return fetched with { Licence = entry.Licence ?? fetched.Licence };
    });

    private void RequireEnabled()
    {
        if (!Enabled)
            throw new SourceException(SourceFault.Offline, "nothing is fetched from the catalogue or the hub here: the operator can allow it with Hub:Enabled");
    }

    private static void RequirePin(string id, string pin, string? revision)
    {
        if (revision is not null && revision != pin)
            throw new SourceException(SourceFault.NoRevision, $"'{id}' of the catalogue is pinned to {pin} now, and not to '{(revision.Length <= 60 ? revision : revision[..60] + "…")}'; leave the revision out");
    }

    private async Task<DatasetOffer> TreebankAsync(string repository, string revision, CancellationToken ct)
    {
        if (!HubRepo.IsRevision(revision))
            throw new SourceException(SourceFault.NoRevision, "a treebank's revision is a release like r2.16, or a commit");
        var listing = await _treebanks.ListAsync(repository, revision, HttpLimits.Brief, ct);
        var parts = Treebanks.Parts(listing);
        return new DatasetOffer(repository, "catalogue", listing.Commit, repository.Replace('_', ' '), await LicenceAsync(listing, ct), ["pos", "dep"], SplitsOf(parts.Select(p => p.Split)),
            Whole(View(Treebanks.FolderOf(repository), listing.Commit, "data"), parts));
    }

    private async Task<string?> LicenceAsync(TreebankListing listing, CancellationToken ct)
    {
        var folder = Treebanks.FolderOf(listing.Repository);
        if (listing.Files.FirstOrDefault(file => file.Name is "README.md" or "README.txt") is not { Size: <= MaxReadme } readme)
            return null;
        using var lease = await _hub.Cache.LeaseAsync(folder, listing.Commit, ct);
        await _fromGithub.FetchAsync(folder, listing.Commit, [new WantedFile(readme.Name, _treebanks.Remote(listing, readme))], MaxReadme, HttpLimits.Brief, new ProgressSum(null), ct);
        return Treebanks.LicenceIn(await File.ReadAllTextAsync(_hub.Cache.FindFile(folder, listing.Commit, readme.Name)!, ct));
    }

    private async Task<Snapshot> FetchTreebankAsync(string repository, string revision, IReadOnlyList<string>? splits, Action<FetchProgress>? progress, CancellationToken ct)
    {
        var listing = await _treebanks.ListAsync(repository, revision, _settings.Limits, ct);
        var folder = Treebanks.FolderOf(repository);
        var licence = await LicenceIfThereAsync(listing, ct);
        var parts = Treebanks.Parts(listing).Where(part => splits is null || splits.Contains(part.Split)).ToList();
        return await KeepAsync(folder, listing.Commit, async () =>
        {
            await _fromGithub.FetchAsync(folder, listing.Commit, [.. parts.Select(part => new WantedFile(part.File.Name, _treebanks.Remote(listing, part.File)))], MaxFile, _settings.Limits,
                new ProgressSum(progress), ct);
            return await ShowAsync(folder, listing.Commit, "data", parts, ct);
        }, licence, ct);
    }

    /// <summary>Null also where it can not be had now: the data can do without it.</summary>
    private async Task<string?> LicenceIfThereAsync(TreebankListing listing, CancellationToken ct)
    {
        try
        {
            return await LicenceAsync(listing, ct);
        }
        catch (SourceException)
        {
            return null;
        }
    }

    private async Task<DatasetOffer> HubAsync(string name, string? config, string? revision, CancellationToken ct)
    {
        var repo = HubRepo.Of(RepoKind.Dataset, name);
        var listing = await _hub.ListAsync(repo, revision ?? "main", brief: true, ct);
        // What needs a script is there converted too; a script is never run.
        if (revision is null or "main" && !DatasetSelection.HasData(listing))
            try
            {
                listing = await _hub.ListAsync(repo, DatasetSelection.ConvertedRevision, brief: true, ct) with { Licence = listing.Licence };
            }
            catch (SourceException e) when (e.Fault == SourceFault.NoRevision)
            {
                // Then what is said below is of the branch that was asked for.
            }
        var parts = DatasetSelection.Of(listing, config);
        return new DatasetOffer(name, "hub", listing.Commit, null, listing.Licence, null, SplitsOf(parts.Select(p => p.Split)), Whole(View(repo.Folder, listing.Commit, ViewName(config)), parts));
    }

    private async Task<Snapshot> FetchHubAsync((string Name, string? Config) id, string revision, IReadOnlyList<string>? splits, Action<FetchProgress>? progress, CancellationToken ct)
    {
        var repo = HubRepo.Of(RepoKind.Dataset, id.Name);
        var listing = await _hub.ListAsync(repo, revision, brief: false, ct);
        var parts = DatasetSelection.Of(listing, id.Config).Where(part => splits is null || splits.Contains(part.Split)).ToList();
        return await KeepAsync(repo.Folder, listing.Commit, async () =>
        {
            var files = parts.Select(part => part.File);
            if (listing.Find(DatasetSelection.Readme) is { Size: <= MaxReadme } readme)
                files = files.Append(readme); // the licence stays with the data
            await _hub.FetchAsync(listing, [.. files], MaxFile, brief: false, new ProgressSum(progress), ct);
            return await ShowAsync(repo.Folder, listing.Commit, ViewName(id.Config), parts, ct);
        }, listing.Licence, ct);
    }

    private async Task<Snapshot> FetchFilesAsync(CatalogueEntry entry, IReadOnlyList<string>? splits, Action<FetchProgress>? progress, CancellationToken ct)
    {
        var folder = FolderOf(entry);
        var files = entry.Files!.Where(file => splits is null || splits.Contains(SplitIn(file.Name))).ToList();
        return await KeepAsync(folder, entry.Pin, async () =>
        {
            var hashes = new FirstSeenHashes(_hub.Cache.OwnFile(folder, "hashes.json"));
            var wanted = new List<WantedFile>();
            foreach (var file in files)
            {
                wanted.Add(await WantedAsync(file.Name, file.Url, file.Sha256));
                if (file.Entities is { } entities)
                    wanted.Add(await WantedAsync(EntitiesOf(file), entities.Url, entities.Sha256));
            }
            await (entry.OperatorsOwn ? _fromOperators : _fromGithub).FetchAsync(folder, entry.Pin, wanted, MaxUnknownFile, _settings.Limits, new ProgressSum(progress), ct,
                (file, hash) => hashes.NoteAsync(file.Remote.Uri, hash, ct));
            return await BuildAsync(entry, folder, files, ct);

            async Task<WantedFile> WantedAsync(string name, Uri url, string? sha256) =>
                new("sources/" + name, new RemoteFile(url, $"{entry.Name}/{name}", null, ContentHash.Sha256(sha256) ?? await hashes.FindAsync(url, ct)));
        }, entry.Licence, ct);
    }

    /// <summary>The entry's files side by side, with entities joined where it has some.</summary>
    private async Task<string> BuildAsync(CatalogueEntry entry, string folder, List<CatalogueFile> files, CancellationToken ct)
    {
        var view = View(folder, entry.Pin, "data");
        using var turn = await _hub.Cache.LockBlobAsync(folder, "view-" + entry.Pin, ct);
        Directory.CreateDirectory(view);
        foreach (var file in files.Where(file => !File.Exists(Path.Combine(view, file.Name))))
        {
            var source = Source(file.Name);
            if (file.Entities is null)
            {
                LinkOrCopy(source, Path.Combine(view, file.Name));
                continue;
            }
            var temporary = Path.Combine(view, "." + file.Name + "." + Guid.NewGuid().ToString("N") + ".tmp");
            try
            {
                EntityJoinReport report;
                using (var treebank = new StreamReader(source, Encoding.UTF8))
                using (var entities = new StreamReader(Source(EntitiesOf(file)), Encoding.UTF8))
                using (var joined = new StreamWriter(temporary, append: false, new UTF8Encoding(false), 1 << 16))
                    report = EntityJoin.Join(treebank, entities, joined);
                if (report.Without.Count > MaxUnjoined * report.Sentences)
                    throw new SourceException(SourceFault.Damaged, $"{report.Without.Count} of {report.Sentences} sentences of {file.Name} are not in the annotation of its entities, or of another text");
                await HubCache.WriteWholeAsync(_hub.Cache.OwnFile(folder, $"{entry.Pin}.{file.Name}.join.json"), JsonSerializer.SerializeToUtf8Bytes(report), ct);
                File.Move(temporary, Path.Combine(view, file.Name), overwrite: true);
            }
            finally
            {
                File.Delete(temporary);
            }
        }
        return view;

        string Source(string name) => _hub.Cache.FindFile(folder, entry.Pin, "sources/" + name) ?? throw new SourceException(SourceFault.Damaged, $"{name} has vanished from the cache");
    }

    private async Task<Snapshot> KeepAsync(string folder, string commit, Func<Task<string>> fetch, string? licence, CancellationToken ct)
    {
        var lease = await _hub.Cache.LeaseAsync(folder, commit, ct);
        try
        {
            return new Snapshot(await fetch(), commit, licence, lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>A folder with the parts side by side, under the names they are to have.</summary>
    private async Task<string> ShowAsync(string folder, string commit, string view, List<DatasetPart> parts, CancellationToken ct)
    {
        var path = View(folder, commit, view);
        using var turn = await _hub.Cache.LockBlobAsync(folder, "view-" + commit, ct);
        Directory.CreateDirectory(path);
        foreach (var part in parts.Where(part => !File.Exists(Path.Combine(path, part.Name))))
            LinkOrCopy(_hub.Cache.FindFile(folder, commit, part.File.Name, part.File.Size) ?? throw new SourceException(SourceFault.Damaged, $"{part.File.Name} has vanished from the cache"),
                Path.Combine(path, part.Name));
        return path;
    }

    private static void LinkOrCopy(string from, string to)
    {
        File.Delete(to); // a link that leads nowhere
        try
        {
            File.CreateSymbolicLink(to, Path.GetRelativePath(Path.GetDirectoryName(to)!, from));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Copy(from, to);
        }
    }

    private string View(string folder, string commit, string name) => _hub.Cache.OwnFile(folder, Path.Combine("views", commit, name));

    private static string? Whole(string view, IReadOnlyList<DatasetPart> parts) => parts.All(part => File.Exists(Path.Combine(view, part.Name))) ? view : null;

    private static string FolderOf(CatalogueEntry entry) => "catalogue--" + entry.Name;

    private static string EntitiesOf(CatalogueFile file) => Path.ChangeExtension(file.Name, ".iob2");

    private static string ViewName(string? config) => config is null or "" ? "data" : "config-" + config.Replace('/', '-');

    private static (string Name, string? Config) SplitId(string id)
    {
        var colon = id.IndexOf(':');
        var (name, config) = colon < 0 ? (id, null) : (id[..colon], id[(colon + 1)..]);
        return config is null || (config.Length is > 0 and <= 100 && RemoteName.IsPlain(config)) ? (name, config)
            : throw new SourceException(SourceFault.Refused, "a configuration is written owner/name:config");
    }

    private static List<string> SplitsOf(IEnumerable<string> splits) => [.. splits.Distinct().OrderBy(split => Array.IndexOf(["train", "dev", "test", "all"], split))];

    private static string SplitIn(string name) => new[] { "train", "dev", "test" }.FirstOrDefault(split => name.Contains(split, StringComparison.Ordinal)) ?? "all";

    /// <summary>The same entry at the mirror that the operator named for GitHub.</summary>
    private CatalogueEntry AtMirror(CatalogueEntry entry)
    {
        Uri At(Uri url) => url.Host == SourceSettings.s_gitHubRaw.Host ? new Uri(_settings.GitHubRaw.AbsoluteUri.TrimEnd('/') + url.AbsolutePath) : url;
        return entry.Files is null || _settings.GitHubRaw == SourceSettings.s_gitHubRaw ? entry : entry with
        {
            Files = [.. entry.Files.Select(file => file with { Url = At(file.Url), Entities = file.Entities is { } entities ? entities with { Url = At(entities.Url) } : null })],
        };
    }
}
