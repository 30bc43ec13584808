using SaeService.Columns;

namespace SaeService.Interpretation.Information;

/// <summary>What a probe sees of a word: the layer's vector, the one-hot label of another task, or the first followed by the second.</summary>
/// <param name="Dimension">Of the layer's vectors; 0 where only the other label is seen.</param>
/// <param name="Gather">Reads the vectors.</param>
/// <param name="Given">The other task. A word without its label has zeros.</param>
internal sealed record ProbeInput(int Dimension, GatherVectors Gather, TaskLabels? Given = null)
{
    private const int BlockRows = 2048;

    public int Width => Dimension + (Given?.Names.Length ?? 0);

    /// <summary>The design of the train words; holds the only copy of their vectors.</summary>
    public ProbeDesign Design(int[] words, int threads, CancellationToken cancel)
    {
        var stride = ProbeDesign.StrideOf(Width);
        var x = new float[checked(ProbeDesign.RowsAllocated(words.Length) * stride)];
        var vectors = new float[Math.Min(BlockRows, words.Length) * Dimension];
        for (var from = 0; from < words.Length; from += BlockRows)
            Fill(words.AsSpan(from, Math.Min(BlockRows, words.Length - from)), vectors, x.AsSpan(from * stride), stride);
        return new ProbeDesign(x, words.Length, Width, threads, cancel);
    }

    /// <summary>Hands other words' vectors, standardised as <paramref name="design"/>'s are, to <paramref name="use"/>, block by block, in order.</summary>
    public void Stream(ProbeDesign design, Column<int> words, Action<int, int, float[]> use)
    {
        var x = new float[BlockRows * design.Stride];
        var vectors = new float[Math.Min(BlockRows, words.Length) * Dimension];
        for (var from = 0; from < words.Length; from += BlockRows)
        {
            var rows = Math.Min(BlockRows, words.Length - from);
            Array.Clear(x);
            Fill(words.Span.Slice(from, rows), vectors, x, design.Stride);
            design.Standardise(x, rows);
            use(from, rows, x);
        }
    }

    /// <exception cref="InvalidDataException">A vector holds a number that is not finite.</exception>
    private void Fill(ReadOnlySpan<int> words, float[] vectors, Span<float> x, int stride)
    {
        if (Dimension > 0)
            Gather(words, vectors.AsSpan(0, words.Length * Dimension));
        for (var row = 0; row < words.Length; row++)
        {
            var vector = vectors.AsSpan(row * Dimension, Dimension);
            for (var j = 0; j < vector.Length; j++)
            {
                if (!float.IsFinite(vector[j]))
                    throw new InvalidDataException($"the vector of word {words[row]} holds {vector[j]} in dimension {j}");
            }
            vector.CopyTo(x[(row * stride)..]);
            if (Given is not null && Given.Of[words[row]] is var label and >= 0)
                x[row * stride + Dimension + label] = 1;
        }
    }
}
