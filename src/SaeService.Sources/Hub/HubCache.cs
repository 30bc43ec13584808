using System.Globalization;

namespace SaeService.Sources;

/// <summary>
/// Files of repositories by content, in the layout of Hugging Face's tools, so that either finds what the other fetched:
/// <code>
/// models--owner--name/refs/main                          the commit that a branch or tag was last seen at
/// models--owner--name/blobs/HASH                         a file's content
/// models--owner--name/snapshots/COMMIT/config.json  ->   ../../blobs/HASH
/// .locks/models--owner--name/HASH.lock
/// </code>
/// and beside it, in <c>models--owner--name/.sae</c>, what only this service needs: listings, times of last use, leases.
/// </summary>
public sealed class HubCache(string root)
{
    private const string Own = ".sae";

    public string Root { get; } = Path.GetFullPath(root);

    internal string LocksFolder => Path.Combine(Root, ".locks");

    public string FolderOf(string repo) => Path.Combine(Root, repo);

    public string SnapshotOf(string repo, string commit) => Path.Combine(FolderOf(repo), "snapshots", commit);

    public string BlobOf(string repo, string name) => Path.Combine(FolderOf(repo), "blobs", name);

    /// <summary>A file of this service's own beside a repository's snapshots.</summary>
    internal string OwnFile(string repo, string name) => Path.Combine(FolderOf(repo), Own, name);

    /// <summary>The commit that a branch or tag was last seen at; a commit stands for itself. Null: never seen.</summary>
    public string? FindCommit(string repo, string revision)
    {
        if (HubRepo.IsCommit(revision))
            return revision;
        var file = new FileInfo(Path.Combine(FolderOf(repo), "refs", Path.Combine(revision.Split('/'))));
        return file is { Exists: true, Length: <= 100 } && File.ReadAllText(file.FullName).Trim() is var commit && HubRepo.IsCommit(commit) ? commit : null;
    }

    internal async Task NoteCommitAsync(string repo, string revision, string commit, CancellationToken ct)
    {
        if (HubRepo.IsCommit(revision) || FindCommit(repo, revision) == commit)
            return;
        await WriteWholeAsync(Path.Combine(FolderOf(repo), "refs", Path.Combine(revision.Split('/'))), System.Text.Encoding.ASCII.GetBytes(commit), ct);
    }

    /// <summary>A file of a snapshot that is there whole; null where it is not.</summary>
    public string? FindFile(string repo, string commit, string name, long? size = null)
    {
        var path = Path.Combine(SnapshotOf(repo, commit), Path.Combine(name.Split('/')));
        var file = Target(path);
        return file is { Exists: true } && (size is null || file.Length == size) ? path : null;
    }

    internal Task<FileLock> LockBlobAsync(string repo, string blob, CancellationToken ct) => FileLock.TakeAsync(Path.Combine(LocksFolder, repo, blob + ".lock"), ct);

    /// <summary>Gives a blob its name in a snapshot: a relative link, or a copy where the file system knows no links.</summary>
    internal void Link(string repo, string commit, string name, string blob)
    {
        var path = Path.Combine(SnapshotOf(repo, commit), Path.Combine(name.Split('/')));
        var content = new FileInfo(BlobOf(repo, blob));
        if (Target(path) is { Exists: true } there && there.Length == content.Length)
            return;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + "." + Guid.NewGuid().ToString("N") + ".tmp";
        try
        {
            File.CreateSymbolicLink(temporary, string.Join(Path.DirectorySeparatorChar, Enumerable.Repeat("..", 2 + name.Count(c => c == '/')).Append("blobs").Append(blob)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Copy(content.FullName, temporary);
        }
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Notes that a snapshot is used now, and keeps it from being evicted until disposed of, or until this process ends.</summary>
    internal async Task<IDisposable> LeaseAsync(string repo, string commit, CancellationToken ct)
    {
        // Under the lock of whoever evicts: either the lease is seen, or what was to go has gone.
        using var turn = await FileLock.TakeAsync(Path.Combine(LocksFolder, "sae-eviction.lock"), ct);
        var folder = Path.Combine(FolderOf(repo), Own, "leases");
        Directory.CreateDirectory(folder);
        var name = string.Create(CultureInfo.InvariantCulture, $"{commit}.{Environment.ProcessId}-{Guid.NewGuid():N}");
        await File.WriteAllTextAsync(OwnFile(repo, commit + ".used"), "", ct);
        var path = Path.Combine(folder, name);
        return new Lease(FileLock.TryTake(path) ?? throw new IOException($"the lease {path} can not be made"), path);
    }

    /// <summary>
    /// Removes the snapshots that were not used for longest until <paramref name="need"/> more bytes fit under <paramref name="most"/>. A
    /// repository of which a snapshot is in use is left alone, and everything that is not in the layout of the cache.
    /// </summary>
    /// <returns>Bytes that are in the cache afterwards.</returns>
    internal async Task<long> EvictAsync(long most, long need, CancellationToken ct)
    {
        if (!Directory.Exists(Root))
            return 0;
        using var turn = await FileLock.TakeAsync(Path.Combine(LocksFolder, "sae-eviction.lock"), ct);
        var repos = Directory.EnumerateDirectories(Root).Select(Path.GetFileName).OfType<string>()
            .Where(name => name.StartsWith("models--", StringComparison.Ordinal) || name.StartsWith("datasets--", StringComparison.Ordinal) || name.StartsWith("catalogue--", StringComparison.Ordinal))
            .ToList();
        var total = repos.Sum(repo => SizeOf(Path.Combine(FolderOf(repo), "blobs")));
        if (total + need <= most)
            return total;
        var idle = repos.Where(repo => !IsLeased(repo)).SelectMany(repo => Snapshots(repo).Select(commit => (Repo: repo, Commit: commit, Used: LastUse(repo, commit)))).OrderBy(x => x.Used);
        foreach (var (repo, commit, _) in idle)
        {
            ct.ThrowIfCancellationRequested();
            total -= Remove(repo, commit);
            if (total + need <= most)
                break;
        }
        return total;
    }

    /// <summary>Writes a small file whole or not at all.</summary>
    internal static async Task WriteWholeAsync(string path, ReadOnlyMemory<byte> bytes, CancellationToken ct)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + "." + Guid.NewGuid().ToString("N") + ".tmp";
        try
        {
            await using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                await file.WriteAsync(bytes, ct);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private IEnumerable<string> Snapshots(string repo)
    {
        var folder = Path.Combine(FolderOf(repo), "snapshots");
        return !Directory.Exists(folder) ? [] : Directory.EnumerateDirectories(folder).Select(Path.GetFileName).OfType<string>().Where(HubRepo.IsCommit).ToList();
    }

    private bool IsLeased(string repo)
    {
        var folder = Path.Combine(FolderOf(repo), Own, "leases");
        if (!Directory.Exists(folder))
            return false;
        foreach (var lease in Directory.EnumerateFiles(folder))
        {
            using var taken = FileLock.TryTake(lease);
            if (taken is null)
                return true;
            File.Delete(lease); // its process has ended
        }
        return false;
    }

    private DateTime LastUse(string repo, string commit)
    {
        var noted = new FileInfo(OwnFile(repo, commit + ".used"));
        return noted.Exists ? noted.LastWriteTimeUtc : Directory.GetLastWriteTimeUtc(SnapshotOf(repo, commit));
    }

    /// <returns>Bytes that were freed.</returns>
    private long Remove(string repo, string commit)
    {
        Directory.Delete(SnapshotOf(repo, commit), recursive: true);
        foreach (var own in new[] { ".used", ".json" })
            File.Delete(OwnFile(repo, commit + own));
        var views = OwnFile(repo, Path.Combine("views", commit));
        if (Directory.Exists(views))
            Directory.Delete(views, recursive: true);
        var refs = Path.Combine(FolderOf(repo), "refs");
        if (Directory.Exists(refs))
            foreach (var pointer in Directory.EnumerateFiles(refs, "*", SearchOption.AllDirectories).Where(file => new FileInfo(file).Length <= 100 && File.ReadAllText(file).Trim() == commit))
                File.Delete(pointer);

        var blobs = Path.Combine(FolderOf(repo), "blobs");
        if (!Directory.Exists(blobs))
            return 0;
        var needed = Snapshots(repo).SelectMany(other => Directory.EnumerateFiles(SnapshotOf(repo, other), "*", SearchOption.AllDirectories))
            .Select(file => Target(file)?.Name).OfType<string>().ToHashSet(StringComparer.Ordinal);
        var freed = 0L;
        foreach (var blob in new DirectoryInfo(blobs).EnumerateFiles())
        {
            // Unfinished files of this service and of others may be gone on with; the former count, and go with their repository's last snapshot.
            if (needed.Contains(blob.Name) || (needed.Count > 0 && blob.Name.Contains(".incomplete", StringComparison.Ordinal)))
                continue;
            using var taken = FileLock.TryTake(Path.Combine(Directory.CreateDirectory(Path.Combine(LocksFolder, repo)).FullName, BlobName(blob.Name) + ".lock"));
            if (taken is null)
                continue; // another tool is at it
            freed += blob.Length;
            blob.Delete();
        }
        return freed;
    }

    private static string BlobName(string file) => file.IndexOf('.') is var dot and > 0 ? file[..dot] : file;

    private static long SizeOf(string folder) => !Directory.Exists(folder) ? 0 : new DirectoryInfo(folder).EnumerateFiles().Sum(file => file.Length);

    private static FileInfo? Target(string path)
    {
        var file = new FileInfo(path);
        if (file.LinkTarget is null)
            return file;
        try
        {
            return file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo;
        }
        catch (IOException)
        {
            return null; // a loop, or nowhere
        }
    }

    private sealed class Lease(FileLock held, string path) : IDisposable
    {
        public void Dispose()
        {
            held.Dispose();
            File.Delete(path);
        }
    }
}
