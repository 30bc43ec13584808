using System.Collections;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SaeService.Autoencoders;

/// <summary>
/// Writes an <see cref="ActivationFile"/> of a known number of rows, each exactly once, in any order and from any thread. The file appears
/// under its name only when <see cref="Complete"/> has found every row written.
/// </summary>
public sealed class ActivationWriter : IDisposable
{
    private readonly string path, partial;
    private readonly bool resumable;
    private readonly long rows;
    private readonly int dim;
    private readonly SafeFileHandle handle;
    private readonly BitArray written;
    private long count;
    private bool completed;

    /// <param name="partial">
    /// Where the rows lie until all are there. A file named here outlives a writer that did not complete, and a later one takes its rows over by
    /// <see cref="Restore"/>; null: a name of its own, and nothing is left.
    /// </param>
    /// <exception cref="IOException">Another process is writing to the partial file.</exception>
    public ActivationWriter(string path, long rows, int dim, string? partial = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(dim);
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, int.MaxValue);
        (this.path, this.rows, this.dim) = (path, rows, dim);
        written = new BitArray((int)rows);
        resumable = partial is not null;
        this.partial = partial ?? $"{path}.{Guid.NewGuid():N}.tmp";
        handle = File.OpenHandle(this.partial, resumable ? FileMode.OpenOrCreate : FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        RandomAccess.SetLength(handle, rows * dim * sizeof(float));
    }

    /// <param name="firstRow">Where the first of these rows belongs.</param>
    /// <param name="values">[n, d], finite.</param>
    /// <exception cref="InvalidDataException">A value is NaN or infinite; the message names row and component.</exception>
    public void Write(long firstRow, ReadOnlySpan<float> values)
    {
        Mark(firstRow, values);
        RandomAccess.Write(handle, MemoryMarshal.AsBytes(values), firstRow * dim * sizeof(float));
    }

    /// <summary>Takes over rows that an earlier writer had synced to the same partial file.</summary>
    /// <param name="firstRow">The first of them.</param>
    /// <param name="values">[n, d], filled with what they hold.</param>
    /// <exception cref="InvalidDataException">They can not have been written whole.</exception>
    public void Restore(long firstRow, Span<float> values)
    {
        var bytes = MemoryMarshal.AsBytes(values);
        var offset = firstRow * dim * sizeof(float);
        for (int got; bytes.Length > 0; bytes = bytes[got..], offset += got)
            if ((got = RandomAccess.Read(handle, bytes, offset)) == 0)
                throw new InvalidDataException($"{partial} ends at byte {offset}");
        Mark(firstRow, values);
    }

    /// <summary>Makes what was written so far outlive a crash.</summary>
    public void Sync() => RandomAccess.FlushToDisk(handle);

    private void Mark(long firstRow, ReadOnlySpan<float> values)
    {
        var n = values.Length / dim;
        if (values.Length % dim != 0 || firstRow < 0 || firstRow > rows - n)
            throw new ArgumentOutOfRangeException(nameof(firstRow), firstRow, $"{values.Length} values at row {firstRow} do not fit [{rows}, {dim}]");
        for (var i = 0; i < values.Length; i++)
            if (!float.IsFinite(values[i]))
                throw new InvalidDataException($"activation {values[i]} at row {firstRow + i / dim}, component {i % dim} of {path}");
        lock (written)
        {
            for (var row = (int)firstRow; row < firstRow + n; row++)
            {
                if (written[row])
                    throw new InvalidOperationException($"row {row} of {path} is written a second time");
                written[row] = true;
            }
            count += n;
        }
    }

    /// <summary>Syncs the file and gives it its name.</summary>
    /// <exception cref="InvalidOperationException">A row is missing; the message names the first.</exception>
    public void Complete()
    {
        if (count != rows)
        {
            var missing = 0;
            while (written[missing])
                missing++;
            throw new InvalidOperationException($"{rows - count} of {rows} rows of {path} were never written, the first is {missing}");
        }
        Sync();
        handle.Dispose();
        File.Move(partial, path, overwrite: true);
        completed = true;
    }

    public void Dispose()
    {
        handle.Dispose();
        if (!completed && !resumable)
            File.Delete(partial);
    }
}
