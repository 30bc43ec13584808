using System.Globalization;
using System.Runtime.InteropServices;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders.Formats;

/// <summary>
/// A safetensors file of weights, F16, BF16, F32 or F64, read as float32. Every tensor is first asked for with its shape; one that nobody asked for
/// would change the result, so <see cref="RefuseRest"/> refuses it.
/// </summary>
internal sealed class WeightFile(string path) : IDisposable
{
    private const int Block = 64;   // latents of a transposed tensor read at a time: whole cache lines of it, and rows that stay in the cache

    private readonly SafetensorsFile file = SafetensorsFile.Open(path);
    private readonly HashSet<string> asked = new(StringComparer.Ordinal);

    public string Path => file.Path;
    public IReadOnlyDictionary<string, string> Metadata => file.Metadata;
    public IEnumerable<string> Names => file.Tensors.Keys.Order(StringComparer.Ordinal);

    public bool Has(string name) => file.Tensors.ContainsKey(name);

    /// <summary>Sizes of a matrix, for formats whose configuration does not say them.</summary>
    public (long Rows, long Columns) MatrixShape(string name) =>
        Entry(name) is { Shape: [var rows, var columns] } ? (rows, columns)
            : throw Invalid(name, $"is {file.Tensors[name].DType} {file.Tensors[name].ShapeText}, not a matrix");

    public void Expect(string name, params ReadOnlySpan<long> shape)
    {
        var entry = Entry(name);
        if (!entry.DType.IsWeight() || !entry.Shape.AsSpan().SequenceEqual(shape))
            throw Invalid(name, $"is {entry.DType} {entry.ShapeText}, expected F32, F16, BF16 or F64 {TensorEntry.TextOf(shape.ToArray())}");
    }

    /// <summary>Tensors of training that do not matter here.</summary>
    public void Ignore(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            asked.Add(name);
    }

    public void RefuseRest()
    {
        foreach (var name in Names)
            if (!asked.Contains(name))
                throw new CheckpointException(CheckpointFault.Unsupported, Path, name,
                    "the tensor has no place in an autoencoder of this kind; what it does is not computed here");
    }

    /// <summary>The one value of a tensor without dimensions (or with one of 1), of a floating or a whole type.</summary>
    public double Scalar(string name)
    {
        var entry = Entry(name);
        if (entry.Elements != 1)
            throw Invalid(name, $"is {entry.DType} {entry.ShapeText}, not one number");
        var bytes = file.Bytes(name);
        var value = entry.DType switch
        {
            DType.I32 => MemoryMarshal.Read<int>(bytes),
            DType.I64 => MemoryMarshal.Read<long>(bytes),
            _ when entry.DType.IsWeight() => First(bytes, entry.DType),
            _ => throw Invalid(name, $"is {entry.DType}, not a number that is read here"),
        };
        return double.IsFinite(value) ? value : throw Invalid(name, $"is {value.ToString(CultureInfo.InvariantCulture)}");
    }

    /// <param name="target">As long as the tensor.</param>
    public void Vector(string name, Span<float> target) => Convert(name, 0, target);

    /// <summary>[F, d] into rows of the parameters' stride.</summary>
    public void Rows(string name, SaeParameters p, AlignedBuffer<float> target)
    {
        for (var f = 0; f < p.DSae; f++)
            Convert(name, (long)f * p.DIn, target.Slice((long)f * p.Stride, p.DIn));
    }

    /// <summary>[d, F] into rows of the parameters' stride.</summary>
    public void Columns(string name, SaeParameters p, AlignedBuffer<float> target)
    {
        Span<float> part = stackalloc float[Block];
        for (var from = 0; from < p.DSae; from += Block)
        {
            var count = Math.Min(Block, p.DSae - from);
            for (var j = 0; j < p.DIn; j++)
            {
                Convert(name, (long)j * p.DSae + from, part[..count]);
                for (var c = 0; c < count; c++)
                    target.Span[(from + c) * p.Stride + j] = part[c];
            }
        }
    }

    /// <summary>Consecutive elements, in the order of the file.</summary>
    public void Convert(string name, long first, Span<float> target)
    {
        var dtype = file.Tensors[name].DType;
        Convert(file.Bytes(name, first * dtype.Size(), target.Length * dtype.Size()), dtype, target);
    }

    public void Dispose() => file.Dispose();

    private static float First(ReadOnlySpan<byte> bytes, DType dtype)
    {
        Span<float> one = stackalloc float[1];
        Convert(bytes, dtype, one);
        return one[0];
    }

    private static void Convert(ReadOnlySpan<byte> bytes, DType dtype, Span<float> target)
    {
        switch (dtype)
        {
            case DType.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(target));
                break;
            case DType.BF16:
                var upper = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (var i = 0; i < target.Length; i++)
                    target[i] = BitConverter.UInt32BitsToSingle((uint)upper[i] << 16);
                break;
            case DType.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (var i = 0; i < target.Length; i++)
                    target[i] = (float)halves[i];
                break;
            default:
                var doubles = MemoryMarshal.Cast<byte, double>(bytes);
                for (var i = 0; i < target.Length; i++)
                    target[i] = (float)doubles[i];
                break;
        }
    }

    private TensorEntry Entry(string name)
    {
        asked.Add(name);
        return file.Tensors.TryGetValue(name, out var entry) ? entry
            : throw Invalid(name, $"the tensor is missing; the file has {(Names.Any() ? string.Join(", ", Names.Take(20)) : "none")}");
    }

    private CheckpointException Invalid(string name, string message) => new(CheckpointFault.Invalid, Path, name, message);
}
