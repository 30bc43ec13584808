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
    private readonly string path, temporary;
    private readonly long rows;
    private readonly int dim;
    private readonly SafeFileHandle handle;
    private readonly BitArray written;
    private long count;
    private bool completed;

    public ActivationWriter(string path, long rows, int dim)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(dim);
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, int.MaxValue);
        (this.path, this.rows, this.dim) = (path, rows, dim);
        written = new BitArray((int)rows);
        temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        handle = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        RandomAccess.SetLength(handle, rows * dim * sizeof(float));
    }

    /// <param name="firstRow">Where the first of these rows belongs.</param>
    /// <param name="values">[n, d], finite.</param>
    /// <exception cref="InvalidDataException">A value is NaN or infinite; the message names row and component.</exception>
    public void Write(long firstRow, ReadOnlySpan<float> values)
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
        RandomAccess.Write(handle, MemoryMarshal.AsBytes(values), firstRow * dim * sizeof(float));
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
        RandomAccess.FlushToDisk(handle);
        handle.Dispose();
        File.Move(temporary, path, overwrite: true);
        completed = true;
    }

    public void Dispose()
    {
        handle.Dispose();
        if (!completed)
            File.Delete(temporary);
    }
}
