using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SaeService.Autoencoders;

/// <summary>
/// Activations on disk: float32, little-endian, row-major [N, d], nothing else. Rows are read by position, not mapped: the process holds only
/// what it asked for, and a file that is cut short while it is read is an exception, not a signal.
/// </summary>
public sealed class ActivationFile : IDisposable
{
    private readonly SafeFileHandle handle;

    private ActivationFile(string path, SafeFileHandle handle, long rows, int dim) => (Path, this.handle, Rows, Dim) = (path, handle, rows, dim);

    public string Path { get; }
    public long Rows { get; }
    public int Dim { get; }

    /// <exception cref="InvalidDataException">The file is not a whole number of rows.</exception>
    public static ActivationFile Open(string path, int dim)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(dim);
        var handle = File.OpenHandle(path, options: FileOptions.RandomAccess);
        var length = RandomAccess.GetLength(handle);
        if (length % ((long)dim * sizeof(float)) == 0)
            return new(path, handle, length / ((long)dim * sizeof(float)), dim);
        handle.Dispose();
        throw new InvalidDataException($"{path} has {length} bytes, which is no whole number of rows of {dim} float32 values");
    }

    /// <summary>Reads consecutive rows. Safe to call from several threads.</summary>
    /// <param name="firstRow">From 0.</param>
    /// <param name="destination">[rows, d]</param>
    public void Read(long firstRow, Span<float> destination)
    {
        var rows = destination.Length / Dim;
        if (destination.Length % Dim != 0 || firstRow < 0 || firstRow > Rows - rows)
            throw new ArgumentOutOfRangeException(nameof(firstRow), firstRow, $"{rows} rows from {firstRow} are not all in {Path}, which has {Rows}");
        var bytes = MemoryMarshal.AsBytes(destination);
        var offset = firstRow * Dim * sizeof(float);
        while (bytes.Length > 0)
        {
            var got = RandomAccess.Read(handle, bytes, offset);
            if (got == 0)
                throw new EndOfStreamException($"{Path} ends at byte {offset}; it had {Rows} rows of {Dim} when it was opened");
            bytes = bytes[got..];
            offset += got;
        }
    }

    /// <summary>Reads rows in any order; neighbours in the list that are neighbours in the file cost one read.</summary>
    /// <param name="rows">Row numbers.</param>
    /// <param name="destination">[rows, d]</param>
    public void Gather(ReadOnlySpan<int> rows, Span<float> destination)
    {
        for (var i = 0; i < rows.Length;)
        {
            var run = 1;
            while (i + run < rows.Length && rows[i + run] == rows[i] + run)
                run++;
            Read(rows[i], destination.Slice(i * Dim, run * Dim));
            i += run;
        }
    }

    public void Dispose() => handle.Dispose();
}
