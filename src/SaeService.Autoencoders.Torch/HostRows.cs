using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>
/// Moves float32 rows between the kernels' padded buffers and a device's matrices, through one small buffer: a span can not hold every matrix, and CUDA
/// copies from pinned memory at twice the speed.
/// </summary>
internal sealed class HostRows : IDisposable
{
    /// <summary>Floats that are moved at a time, at least.</summary>
    public const int Elements = 1 << 20;

    private readonly Tensor _buffer;   // [elements], on the host

    /// <param name="device">Where the matrices are.</param>
    /// <param name="columns">Of the widest.</param>
    public HostRows(Device device, int columns)
    {
        using var plain = empty(Math.Max(Elements, columns), ScalarType.Float32);
        _buffer = (device.type == DeviceType.CUDA ? plain.pin_memory() : plain.alias()).DetachFromDisposeScope();
    }

    /// <param name="source">[rows, stride]</param>
    /// <param name="stride">Floats from one row to the next.</param>
    /// <param name="target">[rows, columns]</param>
    public void Upload(ReadOnlySpan<float> source, int stride, Tensor target)
    {
        var columns = (int)target.shape[1];
        foreach (var (first, rows) in Chunks(target.shape[0], columns))
        {
            using var scope = NewDisposeScope();
            var stage = _buffer.narrow(0, 0, (long)rows * columns).view(rows, columns);
            Copy(source[(first * stride)..], stride, MemoryMarshal.Cast<byte, float>(stage.bytes), columns, rows, columns);
            target.narrow(0, first, rows).copy_(stage);
        }
    }

    /// <param name="source">[rows, columns]</param>
    /// <param name="target">[rows, stride]; what is beyond the columns stays as it is.</param>
    /// <param name="stride">Floats from one row to the next.</param>
    public void Download(Tensor source, Span<float> target, int stride)
    {
        var columns = (int)source.shape[1];
        foreach (var (first, rows) in Chunks(source.shape[0], columns))
        {
            using var scope = NewDisposeScope();
            var stage = _buffer.narrow(0, 0, (long)rows * columns).view(rows, columns);
            stage.copy_(source.narrow(0, first, rows));
            Copy(MemoryMarshal.Cast<byte, float>(stage.bytes), columns, target[(first * stride)..], stride, rows, columns);
        }
    }

    private IEnumerable<(int First, int Rows)> Chunks(long rows, int columns)
    {
        var size = (int)_buffer.numel() / columns;
        for (var first = 0; first < rows; first += size)
            yield return (first, (int)Math.Min(size, rows - first));
    }

    private static void Copy(ReadOnlySpan<float> from, int fromStride, Span<float> to, int toStride, int rows, int columns)
    {
        if (fromStride == columns && toStride == columns)
            from[..(rows * columns)].CopyTo(to);
        else
            for (var i = 0; i < rows; i++)
                from.Slice(i * fromStride, columns).CopyTo(to[(i * toStride)..]);
    }

    public void Dispose() => _buffer.Dispose();
}
