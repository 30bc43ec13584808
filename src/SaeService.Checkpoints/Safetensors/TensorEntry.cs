namespace SaeService.Checkpoints;

/// <summary>One tensor of a safetensors file: <paramref name="Offset"/> is from the start of the file, both lengths in bytes.</summary>
public sealed record TensorEntry(string Name, DType DType, long[] Shape, long Offset, long Length)
{
    public long Elements => Length / DType.Size();

    public string ShapeText => TextOf(Shape);

    public static string TextOf(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
