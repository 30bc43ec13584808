namespace SaeService.Sources;

/// <param name="Done">Bytes that are here, of <paramref name="Total"/>.</param>
public readonly record struct FetchProgress(long Done, long Total);

/// <summary>Files of a repository at a commit, kept in the cache until disposed of; or a folder of the operator, which stays anyway.</summary>
/// <param name="Path">A folder or a file.</param>
/// <param name="Licence">As the source declares it.</param>
public sealed record Snapshot(string Path, string? Commit = null, string? Licence = null, IDisposable? Lease = null) : IDisposable
{
    public void Dispose() => Lease?.Dispose();
}

/// <summary>Adds up what several connections bring.</summary>
internal sealed class ProgressSum(Action<FetchProgress>? report)
{
    private long _done;
    private long _total;

    public void Expect(long bytes) => Interlocked.Add(ref _total, bytes);

    public void Add(long bytes)
    {
        var done = Interlocked.Add(ref _done, bytes);
        report?.Invoke(new FetchProgress(done, Math.Max(done, Interlocked.Read(ref _total))));
    }
}

/// <summary>A file to have in a snapshot, under <paramref name="Name"/>.</summary>
internal sealed record WantedFile(string Name, RemoteFile Remote);

/// <summary>
/// Brings files into the cache: space is made and checked first; each is fetched by one process while others wait, checked, synced, and gets
/// its name last.
/// </summary>
internal sealed class Fetcher(HubCache cache, SourceHttp http, SourceSettings settings) : IDisposable
{
    private const long SpareBytes = 64 << 20;
    private readonly SemaphoreSlim _connections = new(settings.Connections);

    /// <param name="maxBytes">Taken at most of a file of which nobody said the size.</param>
    /// <param name="check">Called with the SHA-256 of a file that was announced without a hash.</param>
    public async Task FetchAsync(string repo, string commit, IReadOnlyList<WantedFile> files, long maxBytes, HttpLimits limits, ProgressSum progress, CancellationToken ct,
        Func<WantedFile, ContentHash, Task>? check = null)
    {
        foreach (var file in files)
            progress.Expect(file.Remote.Size ?? 0);
        var missing = files.Where(file => cache.FindFile(repo, commit, file.Name, file.Remote.Size) is null).ToList();
        progress.Add(files.Except(missing).Sum(file => file.Remote.Size ?? 0));
        if (missing.Count == 0)
            return;
        if (settings.Offline)
            throw new SourceException(SourceFault.Offline, $"{missing[0].Remote.Name} is not in the cache, {cache.Root}, and fetching is off (Hub:Offline or HF_HUB_OFFLINE)");
        await MakeSpaceAsync(missing.DistinctBy(file => file.Remote.Hash?.Hex ?? file.Name).Sum(file => file.Remote.Size ?? 0), ct);
        var download = new FileDownload(http, limits, settings.PieceBytes, _connections);
        await Parallel.ForEachAsync(missing, new ParallelOptions { MaxDegreeOfParallelism = settings.Connections, CancellationToken = ct },
            async (file, token) => await FetchOneAsync(repo, commit, file, maxBytes, download, progress, check, token));
    }

    private async Task FetchOneAsync(string repo, string commit, WantedFile file, long maxBytes, FileDownload download, ProgressSum progress, Func<WantedFile, ContentHash, Task>? check, CancellationToken ct)
    {
        var remote = file.Remote;
        Directory.CreateDirectory(Path.GetDirectoryName(cache.BlobOf(repo, "x"))!);
        var key = remote.Hash?.Hex ?? "url-" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(remote.Uri.AbsoluteUri)));
        using var held = await cache.LockBlobAsync(repo, key, ct);
        var blob = key;
        if (remote.Hash is not null && new FileInfo(cache.BlobOf(repo, key)) is { Exists: true } there && there.Length == (remote.Size ?? there.Length))
            progress.Add(remote.Size ?? 0); // another process, or another snapshot, was first
        else
        {
            var incomplete = cache.BlobOf(repo, key) + ".sae.incomplete";
            await download.RunAsync(remote, incomplete, maxBytes, progress.Add, ct);
            if (remote.Hash is null)
            {
                var hash = await ContentHash.OfAsync(incomplete, sha256: true, ct);
                if (check is not null)
                    await check(file, hash);
                blob = hash.Hex;
            }
            File.Move(incomplete, cache.BlobOf(repo, blob), overwrite: true);
            DownloadState.Forget(incomplete);
        }
        cache.Link(repo, commit, file.Name, blob);
    }

    private async Task MakeSpaceAsync(long need, CancellationToken ct)
    {
        Directory.CreateDirectory(cache.Root);
        if (settings.MaxBytes is { } most)
        {
            var held = need <= most ? await cache.EvictAsync(most, need, ct) : 0;
            if (held + need > most)
                throw new SourceException(SourceFault.NoSpace, $"{need} bytes more do not fit into the cache, which may hold {most} (Hub:MaxBytes) and has {held} that are in use; raise the limit, or wait for the jobs that use it");
        }
        var free = settings.FreeBytes(cache.Root);
        if (need + SpareBytes > free)
            throw new SourceException(SourceFault.NoSpace, $"{need} bytes more do not fit on the disk of the cache, {cache.Root}, which has {free} free; make room, or set Hub:CacheFolder or Hub:MaxBytes");
    }

    public void Dispose() => _connections.Dispose();
}
