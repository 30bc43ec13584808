using System.Buffers.Binary;
using System.Net;
using System.Text.Json;

namespace SaeService.Sources;

/// <summary>
/// Models and data sets of the Hugging Face hub, or a mirror: a revision is resolved to a commit once, and everything of it is then fetched
/// by that commit into the shared cache. What the cache has is not asked for again.
/// </summary>
public sealed class HubSource : IDisposable
{
    private const long MaxSmallFile = 200 << 20;
    private const long MaxFile = 1L << 42;
    private const int MaxHeader = 32 << 20;

    private readonly SourceSettings _settings;
    private readonly SourceHttp _http;
    private readonly Fetcher _fetcher;

    /// <param name="resolve">Addresses of a name; absent: the system's.</param>
    public HubSource(SourceSettings settings, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        _settings = settings;
        _http = new SourceHttp(settings.HubHosts, settings.Endpoint, settings.Token, settings.UseProxy, resolve);
        Cache = new HubCache(settings.CacheFolder);
        _fetcher = new Fetcher(Cache, _http, settings);
    }

    public HubCache Cache { get; }

    /// <summary>Whether the operator allows it; where not, every call is refused.</summary>
    public bool Enabled => _settings.Enabled;

    public void Dispose()
    {
        _fetcher.Dispose();
        _http.Dispose();
    }

    /// <summary>The files at a revision. A branch or tag is asked for anew each time; where the hub can not be reached, as it was last seen.</summary>
    /// <param name="brief">For an interface that must answer soon: little patience.</param>
    public Task<HubListing> ListAsync(HubRepo repo, string revision, bool brief, CancellationToken ct) => Cache.UseAsync(async () =>
    {
        if (!Enabled)
            throw new SourceException(SourceFault.Offline, "nothing is fetched from the hub here: the operator can allow it with Hub:Enabled");
        if (!HubRepo.IsRevision(revision))
            throw new SourceException(SourceFault.NoRevision, "a revision is a branch, a tag or a commit, of letters, digits, '.', '_', '-', '+' and '/'");
        if (HubRepo.IsCommit(revision) && await ReadListingAsync(repo, revision, ct) is { } known)
            return known;
        if (_settings.Offline)
            return await CachedAsync(repo, revision, ct)
                ?? throw new SourceException(SourceFault.Offline, $"{repo.Id} at {revision} is not in the cache, {Cache.Root}, and fetching is off (Hub:Offline or HF_HUB_OFFLINE)");
        try
        {
            var uri = new Uri($"{Base}/api/{(repo.Kind == RepoKind.Model ? "models" : "datasets")}/{repo.Id}/revision/{Uri.EscapeDataString(revision)}?blobs=true");
            var json = await _http.GetBytesAsync(uri, HubListing.MaxBytes, Limits(brief), ct);
            var listing = HubListing.Parse(repo, json);
            if (HubRepo.IsCommit(revision) && listing.Commit != revision)
                throw new SourceException(SourceFault.Damaged, $"the hub gave commit {listing.Commit} of {repo.Id} for {revision}");
            await HubCache.WriteWholeAsync(ListingFile(repo, listing.Commit), json, ct);
            await Cache.NoteCommitAsync(repo.Folder, revision, listing.Commit, ct);
            return listing;
        }
        catch (SourceException e) when (e.Fault == SourceFault.Network)
        {
            if (await CachedAsync(repo, revision, ct) is { } seen)
                return seen;
            throw;
        }
    });

    /// <summary>A model with everything that <see cref="ModelSelection"/> takes of it.</summary>
    /// <param name="progress">Called from several threads, often.</param>
    public Task<Snapshot> FetchModelAsync(HubRepo repo, string revision, Action<FetchProgress>? progress, CancellationToken ct) => Cache.UseAsync(async () =>
    {
        var listing = await ListAsync(repo, revision, brief: false, ct);
        return await KeepAsync(listing, async () =>
        {
            var sum = new ProgressSum(progress);
            var small = ModelSelection.Small(listing);
            await FetchAsync(listing, small, MaxSmallFile, brief: false, sum, ct);
            var index = listing.Find(ModelSelection.SingleFile) is null ? await ReadCachedAsync(listing, ModelSelection.Index, ModelSelection.MaxIndexBytes, ct) : null;
            await FetchAsync(listing, ModelSelection.Weights(listing, index), MaxFile, brief: false, sum, ct);
        }, ct);
    });

    /// <summary>Trained autoencoders: of each folder what <see cref="SaeSelection"/> takes.</summary>
    /// <param name="progress">Called from several threads, often.</param>
    public Task<Snapshot> FetchSaesAsync(HubRepo repo, string revision, IEnumerable<string> folders, Action<FetchProgress>? progress,
        CancellationToken ct) => Cache.UseAsync(async () =>
    {
        var listing = await ListAsync(repo, revision, brief: false, ct);
        var files = folders.SelectMany(folder => SaeSelection.Of(listing, folder)).Distinct().ToList();
        return await KeepAsync(listing, () => FetchAsync(listing, files, MaxFile, brief: false, new ProgressSum(progress), ct), ct);
    });

    /// <summary>The commit's snapshot once it has been fetched, held until it is disposed of.</summary>
    private async Task<Snapshot> KeepAsync(HubListing listing, Func<Task> fetch, CancellationToken ct)
    {
        var lease = await Cache.LeaseAsync(listing.Repo.Folder, listing.Commit, ct);
        try
        {
            await fetch();
            return new Snapshot(Cache.SnapshotOf(listing.Repo.Folder, listing.Commit), listing.Commit, listing.Licence, lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>A small file, through the cache.</summary>
    public Task<byte[]> ReadAsync(HubListing listing, HubFile file, long maxBytes, bool brief, CancellationToken ct) => Cache.UseAsync(async () =>
    {
        if (file.Size > maxBytes)
            throw new SourceException(SourceFault.Refused, $"{file.Name} of {listing.Repo.Id} has {file.Size} bytes, more than the {maxBytes} that are taken");
        using var lease = await Cache.LeaseAsync(listing.Repo.Folder, listing.Commit, ct);
        await FetchAsync(listing, [file], maxBytes, brief, new ProgressSum(null), ct);
        return await ReadCachedAsync(listing, file.Name, maxBytes, ct);
    });

    /// <summary>
    /// Floating-point elements of a model's weights without fetching them: from the headers of its safetensors, where it is sharded from what
    /// its index says of itself. Null where that says nothing.
    /// </summary>
    public async Task<long?> CountParametersAsync(HubListing listing, bool brief, CancellationToken ct)
    {
        if (listing.Find(ModelSelection.SingleFile) is { } single)
            return SafetensorsCount.Parameters(await ReadHeaderAsync(listing, single, brief, ct), single.Name);
        var index = await ReadAsync(listing, listing.Find(ModelSelection.Index)!, ModelSelection.MaxIndexBytes, brief, ct);
        var shards = ModelSelection.Weights(listing, index);
        // All shards are of a kind: the first one's bytes an element give the others' elements.
        var header = await ReadHeaderAsync(listing, shards[0], brief, ct);
        var first = SafetensorsCount.Parameters(header, shards[0].Name);
        return first == 0 ? null : (long)(first * (shards.Sum(x => (double)x.Size) / shards[0].Size));
    }

    private async Task<byte[]> ReadHeaderAsync(HubListing listing, HubFile file, bool brief, CancellationToken ct)
    {
        var length = BinaryPrimitives.ReadUInt64LittleEndian(await ReadRangeAsync(listing, file, 0, 8, brief, ct));
        if (length > MaxHeader || (long)length > file.Size - 8)
            throw new SourceException(SourceFault.Damaged, $"{file.Name} of {listing.Repo.Id} is no safetensors file: its header would have {length} bytes");
        return await ReadRangeAsync(listing, file, 8, (int)length, brief, ct);
    }

    private async Task<byte[]> ReadRangeAsync(HubListing listing, HubFile file, long from, int count, bool brief, CancellationToken ct)
    {
        if (file.Size < from + count)
            throw new SourceException(SourceFault.Damaged, $"{file.Name} of {listing.Repo.Id} has only {file.Size} bytes");
        if (Cache.FindFile(listing.Repo.Folder, listing.Commit, file.Name, file.Size) is { } path)
        {
            var bytes = new byte[count];
            using var handle = File.OpenHandle(path);
            var read = await RandomAccess.ReadAsync(handle, bytes, from, ct);
            return read == count ? bytes : throw new SourceException(SourceFault.Damaged, $"{path} is shorter than it was");
        }
        var limits = Limits(brief);
        return await limits.RetryAsync(async () =>
        {
            using var answer = await _http.SendAsync(() => new HttpRequestMessage(HttpMethod.Get, FileUri(listing, file)) { Headers = { Range = new(from, from + count - 1) } }, limits, ct);
            if (answer.Partial && answer.Range?.From != from)
                throw new SourceException(SourceFault.Damaged, $"{file.Name} of {listing.Repo.Id}: another part came than was asked for");
            // A server without ranges sends all; what stands before is read and left.
            var wanted = new byte[count];
            var buffer = new byte[1 << 16];
            for (long at = answer.Partial ? from : 0, end = from + count; at < end;)
            {
                var got = await answer.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, end - at)), ct);
                if (got == 0)
                    throw new SourceException(SourceFault.Network, $"{file.Name} of {listing.Repo.Id} broke off");
                var (first, last) = (Math.Max(at, from), at + got);
                if (last > first)
                    buffer.AsSpan((int)(first - at), (int)(last - first)).CopyTo(wanted.AsSpan((int)(first - from)));
                at = last;
            }
            return wanted;
        }, ct);
    }

    /// <summary>Files of a listing into the cache; the caller holds the lease.</summary>
    internal Task FetchAsync(HubListing listing, IReadOnlyList<HubFile> files, long maxBytes, bool brief, ProgressSum progress, CancellationToken ct) =>
        _fetcher.FetchAsync(listing.Repo.Folder, listing.Commit,
            [.. files.Select(file => new WantedFile(file.Name, new RemoteFile(FileUri(listing, file), $"{listing.Repo.Id}/{file.Name}", file.Size, file.Hash, listing.Commit)))],
            maxBytes, Limits(brief), progress, ct);

    private async Task<byte[]> ReadCachedAsync(HubListing listing, string name, long maxBytes, CancellationToken ct)
    {
        var path = Cache.FindFile(listing.Repo.Folder, listing.Commit, name) ?? throw new SourceException(SourceFault.Damaged, $"{name} of {listing.Repo.Id} has vanished from the cache");
        return new FileInfo(path) is var file && (file.ResolveLinkTarget(true) as FileInfo ?? file).Length <= maxBytes ? await File.ReadAllBytesAsync(path, ct)
            : throw new SourceException(SourceFault.Refused, $"{name} of {listing.Repo.Id} has more than the {maxBytes} bytes that are taken");
    }

    /// <summary>What the cache knows of a revision: our own listing, else the files of a snapshot that another tool made.</summary>
    private async Task<HubListing?> CachedAsync(HubRepo repo, string revision, CancellationToken ct)
    {
        if (Cache.FindCommit(repo.Folder, revision) is not { } commit)
            return null;
        if (await ReadListingAsync(repo, commit, ct) is { } listing)
            return listing;
        var folder = Cache.SnapshotOf(repo.Folder, commit);
        if (!Directory.Exists(folder))
            return null;
        var files = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Take(10_000)
            .Select(path => (Name: Path.GetRelativePath(folder, path).Replace(Path.DirectorySeparatorChar, '/'), Path: path))
            .Where(file => RemoteName.IsPlain(file.Name) && Cache.FindFile(repo.Folder, commit, file.Name) is not null)
            .Select(file => new HubFile(file.Name, (File.ResolveLinkTarget(file.Path, true) as FileInfo ?? new FileInfo(file.Path)).Length, null));
        return new HubListing(repo, commit, [.. files.OrderBy(file => file.Name, StringComparer.Ordinal)], null);
    }

    private async Task<HubListing?> ReadListingAsync(HubRepo repo, string commit, CancellationToken ct)
    {
        var file = new FileInfo(ListingFile(repo, commit));
        if (!file.Exists || file.Length > HubListing.MaxBytes)
            return null;
        return HubListing.Parse(repo, await File.ReadAllBytesAsync(file.FullName, ct)) is var listing && listing.Commit == commit ? listing : null;
    }

    private string ListingFile(HubRepo repo, string commit) => Cache.OwnFile(repo.Folder, commit + ".json");

    private HttpLimits Limits(bool brief) => brief ? HttpLimits.Brief : _settings.Limits;

    private string Base => _settings.Endpoint.AbsoluteUri.TrimEnd('/');

    private Uri FileUri(HubListing listing, HubFile file) => new(
        $"{Base}/{(listing.Repo.Kind == RepoKind.Dataset ? "datasets/" : "")}{listing.Repo.Id}/resolve/{listing.Commit}/{string.Join('/', file.Name.Split('/').Select(Uri.EscapeDataString))}");
}

/// <summary>Counts from the header of a safetensors file: JSON of tensors with <c>dtype</c> and <c>shape</c>.</summary>
internal static class SafetensorsCount
{
    public static long Parameters(byte[] header, string name)
    {
        try
        {
            using var document = JsonDocument.Parse(header);
            var sum = 0L;
            foreach (var tensor in document.RootElement.EnumerateObject().Where(entry => entry.Name != "__metadata__"))
                if (tensor.Value.GetProperty("dtype").GetString() is { } dtype && (dtype.StartsWith('F') || dtype == "BF16"))
                    sum = checked(sum + tensor.Value.GetProperty("shape").EnumerateArray().Aggregate(1L, (product, size) => checked(product * size.GetInt64())));
            return sum;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or OverflowException)
        {
            throw new SourceException(SourceFault.Damaged, $"the header of {name} is not understood: {e.Message}", e);
        }
    }
}
