using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;

namespace SaeService.Checkpoints;

/// <summary>
/// A safetensors file, memory-mapped: 8 bytes little-endian header length, a JSON header, the tensors' bytes. Opening reads and checks the
/// header only; the data are paged in by whoever touches them.
/// </summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    // The reference reader's cap.
    private const long MaxHeader = 100_000_000;

    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private byte* _start;

    public string Path { get; }

    public long Length { get; }

    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <exception cref="CheckpointException">NotFound, or Invalid with the rule that is broken and the tensor that breaks it.</exception>
    public static SafetensorsFile Open(string path)
    {
        try
        {
            return new SafetensorsFile(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, path, null, "no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, path, null, $"cannot be read ({e.Message})", e);
        }
    }

    private SafetensorsFile(string path)
    {
        Path = path;
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        Length = stream.Length;
        var headerLength = HeaderLength(stream);
        // Mapping costs no memory; the header is parsed in place, so nothing is ever allocated from a length that the file claims.
        _map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        try
        {
            var dataStart = 8 + headerLength;
            var header = new SafetensorsHeader(path, new ReadOnlySpan<byte>(_start + 8, (int)headerLength), dataStart, Length - dataStart);
            Tensors = header.Tensors;
            Metadata = header.Metadata;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private long HeaderLength(FileStream stream)
    {
        Span<byte> prefix = stackalloc byte[8];
        var read = stream.ReadAtLeast(prefix, 8, throwOnEndOfStream: false);
        if (prefix[..read].StartsWith("version "u8))
            throw Invalid("a git-lfs pointer, not the weights themselves (run 'git lfs pull' in the repository that it came from)");
        if (read < 8)
            throw Invalid($"{Length} bytes are too few for a safetensors file");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeader)
            throw Invalid($"claims a header of {length} bytes, more than the {MaxHeader} that the format allows (not a safetensors file?)");
        if ((long)length > Length - 8)
            throw Invalid($"claims a header of {length} bytes, but the file ends after {Length - 8} (truncated?)");
        return (long)length;
    }

    /// <summary>The tensor's bytes in the map, valid until <see cref="Dispose"/>. Little-endian, row-major, not necessarily aligned.</summary>
    /// <exception cref="InvalidOperationException">The tensor is longer than a span can be; take <see cref="Pointer"/>.</exception>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        var (pointer, length) = Pointer(name);
        return length <= int.MaxValue
            ? new ReadOnlySpan<byte>((void*)pointer, (int)length)
            : throw new InvalidOperationException($"{name} is {length} bytes long, more than a span can hold");
    }

    /// <summary>A part of the tensor's bytes, for tensors too long for <see cref="Bytes(string)"/>.</summary>
    public ReadOnlySpan<byte> Bytes(string name, long offset, int count)
    {
        var (pointer, length) = Pointer(name);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, length - count);
        return new ReadOnlySpan<byte>((void*)(pointer + (nint)offset), count);
    }

    /// <summary>Address and length in bytes of the tensor in the map, valid until <see cref="Dispose"/>.</summary>
    public (nint Address, long Length) Pointer(string name)
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if (!Tensors.TryGetValue(name, out var entry))
            throw new CheckpointException(CheckpointFault.Invalid, Path, name, "no such tensor in the file");
        return ((nint)(_start + entry.Offset), entry.Length);
    }

    public void Dispose()
    {
        if (_start is not null)
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _start = null;
        _view.Dispose();
        _map.Dispose();
    }

    private CheckpointException Invalid(string message) => new(CheckpointFault.Invalid, Path, null, message);
}
