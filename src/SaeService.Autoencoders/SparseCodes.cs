namespace SaeService.Autoencoders;

/// <summary>
/// Non-negative sparse activations of <see cref="Rows"/> inputs over <see cref="Width"/> features, in compressed sparse rows: row i has
/// <c>Index[Start[i]..Start[i+1]]</c>, ascending, with <c>Value</c> beside it, all above 0.
/// </summary>
public sealed class SparseCodes(int width, long[] start, int[] index, float[] value)
{
    public int Width { get; } = width;
    public long[] Start { get; } = start;    // [Rows + 1]
    public int[] Index { get; } = index;     // [nnz]
    public float[] Value { get; } = value;   // [nnz]
    public int Rows => Start.Length - 1;
    public long NonZeros => Start[^1];
}
