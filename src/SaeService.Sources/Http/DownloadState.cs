using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace SaeService.Sources;

/// <summary>
/// How far each piece of an unfinished file has come, kept in a file beside it so that another process goes on from there. What it says may be
/// ahead of the disk after a crash of the machine; the hash of the whole tells.
/// </summary>
/// <remarks>Little-endian: "SAEPART1", size (-1: not known), piece length, length and bytes of the ETag, then the bytes that each piece has.</remarks>
internal sealed class DownloadState : IDisposable
{
    private static readonly byte[] s_magic = "SAEPART1"u8.ToArray();
    private readonly string _path;
    private readonly SafeFileHandle _data;
    private readonly Lock _lock = new();
    private readonly long[] _done;
    private long _unsaved;

    private DownloadState(string path, SafeFileHandle data, long? size, long pieceBytes, string? etag, long[] done) =>
        (_path, _data, Size, PieceBytes, Etag, _done) = (path, data, size, pieceBytes, etag, done);

    public long? Size { get; }
    public long PieceBytes { get; }

    /// <summary>Of the answer that the first bytes came from; null where it had none that is strong.</summary>
    public string? Etag { get; private set; }
    public int Pieces => _done.Length;
    public SafeFileHandle Data => _data;

    public long Total
    {
        get
        {
            lock (_lock)
                return _done.Sum();
        }
    }

    /// <summary>First byte of a piece, and the one after its last; null where the size is not known.</summary>
    public (long Start, long? End) Bounds(int piece) => (piece * PieceBytes, Size is { } size ? Math.Min(size, (piece + 1) * PieceBytes) : null);

    public long Done(int piece)
    {
        lock (_lock)
            return _done[piece];
    }

    /// <summary>Opens what an earlier attempt left for a file of this size, or begins anew.</summary>
    /// <param name="incomplete">The unfinished file; the state is beside it.</param>
    /// <param name="hashed">Whether the whole will be checked; without, only an ETag holds old and new bytes together.</param>
    public static DownloadState Open(string incomplete, long? size, long pieceBytes, bool hashed)
    {
        var path = StatePath(incomplete);
        if (TryRead(path, size, pieceBytes, out var etag, out var done) && File.Exists(incomplete) && (hashed || etag is not null))
            return new(path, OpenData(incomplete, FileMode.Open), size, pieceBytes, etag, done);
        File.Delete(path);
        return new(path, OpenData(incomplete, FileMode.Create), size, pieceBytes, null, new long[size is { } known ? Math.Max(1, (known + pieceBytes - 1) / pieceBytes) : 1]);
    }

    public static void Delete(string incomplete)
    {
        Forget(incomplete);
        File.Delete(incomplete);
    }

    /// <summary>For a file that is whole.</summary>
    public static void Forget(string incomplete)
    {
        File.Delete(StatePath(incomplete));
        File.Delete(StatePath(incomplete) + ".new");
    }

    /// <summary>Notes bytes that were written, and the answer they came from.</summary>
    public void Advance(int piece, long bytes, string? etag)
    {
        lock (_lock)
        {
            _done[piece] += bytes;
            Etag ??= etag;
            _unsaved += bytes;
            if (_unsaved >= Math.Min(8 << 20, PieceBytes / 4))
                SaveLocked();
        }
    }

    public void Save()
    {
        lock (_lock)
            SaveLocked();
    }

    private void SaveLocked()
    {
        _unsaved = 0;
        var etag = Encoding.UTF8.GetBytes(Etag is { Length: <= 256 } ? Etag : "");
        var bytes = new byte[28 + etag.Length + 8 * _done.Length];
        s_magic.CopyTo(bytes, 0);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), Size ?? -1);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), PieceBytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(24), etag.Length);
        etag.CopyTo(bytes, 28);
        for (var i = 0; i < _done.Length; i++)
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(28 + etag.Length + 8 * i), _done[i]);
        // Never half of it, whenever the process may die.
        File.WriteAllBytes(_path + ".new", bytes);
        File.Move(_path + ".new", _path, overwrite: true);
    }

    public void Dispose() => _data.Dispose();

    private static string StatePath(string incomplete) => incomplete + ".parts";

    private static SafeFileHandle OpenData(string path, FileMode mode) => File.OpenHandle(path, mode, FileAccess.ReadWrite, FileShare.Read, FileOptions.Asynchronous);

    private static bool TryRead(string path, long? size, long pieceBytes, out string? etag, out long[] done)
    {
        (etag, done) = (null, []);
        if (!File.Exists(path) || new FileInfo(path).Length > 16 << 20)
            return false;
        var bytes = File.ReadAllBytes(path).AsSpan();
        if (bytes.Length < 36 || !bytes.StartsWith(s_magic) || BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]) != (size ?? -1)
            || BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]) != pieceBytes)
            return false;
        var etagLength = BinaryPrimitives.ReadInt32LittleEndian(bytes[24..]);
        if (etagLength is < 0 or > 256 || (bytes.Length - 28 - etagLength) % 8 != 0)
            return false;
        etag = etagLength == 0 ? null : Encoding.UTF8.GetString(bytes.Slice(28, etagLength));
        done = new long[(bytes.Length - 28 - etagLength) / 8];
        if (done.Length != (size is { } known ? Math.Max(1, (known + pieceBytes - 1) / pieceBytes) : 1))
            return false;
        for (var i = 0; i < done.Length; i++)
        {
            done[i] = BinaryPrimitives.ReadInt64LittleEndian(bytes[(28 + etagLength + 8 * i)..]);
            if (done[i] < 0 || (size is { } total && done[i] > Math.Min(pieceBytes, total - i * pieceBytes)))
                return false;
        }
        return true;
    }
}
