namespace SaeService.Autoencoders;

/// <summary>The active latents of a batch: row i has <c>Count[i]</c> of them from <c>Start[i]</c> on, ascending by index, with their values, all above 0.</summary>
internal sealed unsafe class ActiveRows
{
    /// <param name="rows">Most rows of a batch.</param>
    /// <param name="perRow">Room for so many a row; <see cref="Start"/> gives each row its own until someone packs them otherwise.</param>
    public ActiveRows(int rows, int perRow)
    {
        PerRow = perRow;
        (Start, Count) = (new(rows), new(rows));
        (Index, Value) = (new((long)rows * perRow), new((long)rows * perRow));
        for (var i = 0; i < rows; i++)
            Start.Pointer[i] = i * perRow;
    }

    public int PerRow { get; }
    public AlignedBuffer<int> Start { get; }     // [rows]
    public AlignedBuffer<int> Count { get; }     // [rows]
    public AlignedBuffer<int> Index { get; }     // [rows * perRow]
    public AlignedBuffer<float> Value { get; }   // [rows * perRow]

    public Span<int> IndicesOf(int row) => Index.Slice(Start.Pointer[row], Count.Pointer[row]);
    public Span<float> ValuesOf(int row) => Value.Slice(Start.Pointer[row], Count.Pointer[row]);
}
