using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using SaeService.Contracts;

namespace SaeService.Storage;

/// <summary>A file that is complete: where, how long, and its SHA-256 in lower-case hex.</summary>
public sealed record StoredArtifact(string Key, long Bytes, string Sha256);

/// <summary>
/// Files by key. A file appears under its key whole or not at all: it is written under a temporary name, synced, then renamed. Keys are
/// <c>job/stage/layer/attempt/name</c> for what stages write, so that an attempt that was fenced out never touches what another published.
/// </summary>
/// <remarks>Every process of the service must see the same folder: a local disk, or a share that keeps renames atomic.</remarks>
public sealed partial class ArtifactStore
{
    private const string TemporarySuffix = ".tmp";
    private readonly string _root;

    public ArtifactStore(string root)
    {
        _root = System.IO.Path.GetFullPath(root);
        Directory.CreateDirectory(_root);
    }

    public string Root => _root;

    /// <summary>Key of a file that an attempt of a stage writes; stages without a layer have <c>all</c> in its place.</summary>
    public static string KeyOf(Guid job, StageKind stage, int? layer, int attempt, string name) =>
        string.Create(CultureInfo.InvariantCulture, $"{StagePrefix(job, stage, layer)}/{attempt}/{name}");

    /// <summary>Begins a file. Nothing is visible under the key before <see cref="ArtifactWriter.Complete"/>; a second completion replaces the first.</summary>
    /// <exception cref="ArgumentException">The key is not one.</exception>
    public ArtifactWriter Create(string key)
    {
        var path = Path(key);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        return new ArtifactWriter(key, path, path + "." + Guid.NewGuid().ToString("N") + TemporarySuffix);
    }

    /// <exception cref="FileNotFoundException">No complete file has this key.</exception>
    public FileStream Open(string key) => new(Path(key), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16);

    public bool Exists(string key) => File.Exists(Path(key));

    /// <summary>Where the file of a key is, whether or not it exists; for memory mapping.</summary>
    public string Path(string key)
    {
        if (key.Length > 512 || !KeyPattern().IsMatch(key) || key.EndsWith(TemporarySuffix, StringComparison.Ordinal))
            throw new ArgumentException(
                $"'{key}' is not an artifact key: names of letters, digits, '.', '_' and '-' joined by '/', none starting with '.'",
                nameof(key));
        return System.IO.Path.Combine(_root, key.Replace('/', System.IO.Path.DirectorySeparatorChar));
    }

    /// <summary>
    /// The complete file of this name that the latest attempt left, or null: how an attempt finds its predecessor's checkpoint. Only files of
    /// attempts up to <paramref name="upToAttempt"/> are seen.
    /// </summary>
    public string? FindLatest(Guid job, StageKind stage, int? layer, int upToAttempt, string name)
    {
        for (var attempt = upToAttempt; attempt >= 1; attempt--)
        {
            var key = KeyOf(job, stage, layer, attempt, name);
            if (Exists(key))
                return key;
        }
        return null;
    }

    /// <summary>Removes a file; one that is not there is no error.</summary>
    public void Delete(string key) => DeleteQuietly(Path(key));

    /// <summary>Removes everything whose key starts with these whole segments: a job, a stage of a job, an attempt.</summary>
    public void DeletePrefix(string prefix)
    {
        var folder = Path(prefix);
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        else
            DeleteQuietly(folder);
    }

    /// <summary>Removes what other attempts of a stage left behind.</summary>
    public void DeleteOtherAttempts(Guid job, StageKind stage, int? layer, int attempt)
    {
        var folder = new DirectoryInfo(Path(StagePrefix(job, stage, layer)));
        if (!folder.Exists)
            return;
        var kept = attempt.ToString(CultureInfo.InvariantCulture);
        foreach (var other in folder.EnumerateDirectories())
            if (other.Name != kept)
                other.Delete(recursive: true);
    }

    /// <summary>Removes temporary files of writers that died: those nobody has written to for <paramref name="age"/>.</summary>
    /// <returns>How many were removed.</returns>
    public int RemoveOrphans(TimeSpan age, TimeProvider? time = null)
    {
        var before = (time ?? TimeProvider.System).GetUtcNow().UtcDateTime - age;
        var removed = 0;
        foreach (var path in Directory.EnumerateFiles(_root, "*" + TemporarySuffix, SearchOption.AllDirectories))
            if (File.GetLastWriteTimeUtc(path) < before && DeleteQuietly(path))
                removed++;
        return removed;
    }

    private static string StagePrefix(Guid job, StageKind stage, int? layer) =>
        string.Create(CultureInfo.InvariantCulture, $"{job:D}/{stage.Name()}/{layer?.ToString(CultureInfo.InvariantCulture) ?? "all"}");

    private static bool DeleteQuietly(string path)
    {
        try
        {
            File.Delete(path);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return false;
        }
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\z")]
    private static partial Regex KeyPattern();
}

/// <summary>A file being written. Disposing without <see cref="Complete"/> leaves nothing.</summary>
public sealed class ArtifactWriter : IDisposable
{
    private readonly string _path;
    private HashingStream? _stream;
    private bool _ended;

    internal ArtifactWriter(string key, string path, string temporaryPath)
    {
        Key = key;
        _path = path;
        TemporaryPath = temporaryPath;
    }

    public string Key { get; }

    /// <summary>For writers that need a file and not a stream (memory maps): what lies here at <see cref="Complete"/> is the artifact.</summary>
    public string TemporaryPath { get; }

    /// <summary>Write-only and forward-only: the hash is taken as the bytes pass. Use this or <see cref="TemporaryPath"/>.</summary>
    public Stream Stream => _stream ??= new HashingStream(new FileStream(TemporaryPath, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16));

    /// <summary>Syncs the file to disk and gives it its name.</summary>
    /// <exception cref="FileNotFoundException">Nothing was written, neither to the stream nor to the temporary path.</exception>
    public StoredArtifact Complete()
    {
        ObjectDisposedException.ThrowIf(_ended, this);
        long bytes;
        string sha256;
        if (_stream is not null)
        {
            _stream.Sync();
            (bytes, sha256) = (_stream.Length, _stream.Sha256());
            _stream.Dispose();
        }
        else
        {
            using var file = new FileStream(TemporaryPath, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, 1 << 16);
            bytes = file.Length;
            sha256 = Convert.ToHexStringLower(SHA256.HashData(file));
            file.Flush(flushToDisk: true);
        }
        File.Move(TemporaryPath, _path, overwrite: true);
        SyncFolder(Path.GetDirectoryName(_path)!);
        _ended = true;
        return new StoredArtifact(Key, bytes, sha256);
    }

    public void Dispose()
    {
        _stream?.Dispose();
        if (_ended)
            return;
        _ended = true;
        File.Delete(TemporaryPath);
    }

    // A rename is durable once its folder is synced; .NET has no call for that. Best effort: not every file system allows it.
    private static void SyncFolder(string folder)
    {
        if (!OperatingSystem.IsLinux())
            return;
        var handle = open(folder, 0);
        if (handle < 0)
            return;
        _ = fsync(handle);
        _ = close(handle);
    }

    [DllImport("libc", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc")]
    private static extern int fsync(int handle);

    [DllImport("libc")]
    private static extern int close(int handle);

    private sealed class HashingStream(FileStream inner) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private long _length;

        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => _length;
        public override long Position { get => _length; set => throw new NotSupportedException("an artifact is written from front to back"); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            inner.Write(buffer);
            _hash.AppendData(buffer);
            _length += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Write(buffer.Span);
            return ValueTask.CompletedTask;
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Flush() => inner.Flush();
        public void Sync() => inner.Flush(flushToDisk: true);
        public string Sha256() => Convert.ToHexStringLower(_hash.GetCurrentHash());
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("an artifact is written from front to back");
        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
                _hash.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
