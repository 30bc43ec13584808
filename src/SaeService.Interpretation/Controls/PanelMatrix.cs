using SaeService.Interpretation.Information;

namespace SaeService.Interpretation.Controls;

/// <summary>A matrix [inputs, outputs] packed for <see cref="PanelProducts"/>, by which rows are multiplied, the same on any number of threads.</summary>
internal sealed class PanelMatrix
{
    private const int BlockRows = 64;

    private readonly float[] _panels;
    private readonly float[] _bias;

    /// <param name="bias">[outputs], added to every product; null: none.</param>
    public PanelMatrix(int inputs, int outputs, Func<int, int, double> value, double[]? bias = null)
    {
        (InputStride, OutputStride) = (PanelProducts.Padded(inputs), PanelProducts.Padded(outputs));
        _panels = new float[checked(InputStride * OutputStride)];
        _bias = new float[OutputStride];
        Pack(inputs, outputs, value);
        for (var o = 0; o < bias?.Length; o++)
            _bias[o] = (float)bias[o];
    }

    /// <summary>The transpose of <paramref name="rows"/>: products are with each row.</summary>
    /// <param name="rows">[n, d], or more of them.</param>
    public static PanelMatrix Transposed(float[] rows, int n, int d) => new(d, n, (i, row) => rows[row * d + i]);

    /// <summary>Takes the transpose of other rows, as many as before.</summary>
    /// <inheritdoc cref="Transposed"/>
    public void TakeTransposed(float[] rows, int n, int d)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual((PanelProducts.Padded(d), PanelProducts.Padded(n)), (InputStride, OutputStride));
        Pack(d, n, (i, row) => rows[row * d + i]);
    }

    private void Pack(int inputs, int outputs, Func<int, int, double> value)
    {
        foreach (var (start, width) in PanelProducts.Panels(OutputStride))
            for (var i = 0; i < inputs; i++)
                for (var o = start; o < Math.Min(outputs, start + width); o++)
                    _panels[start * InputStride + i * width + o - start] = (float)value(i, o);
    }

    /// <summary>Rows as a left side has them: [n padded to the tile, stride], zeros in the padding.</summary>
    /// <param name="rows">[n, d], or more of them.</param>
    public static float[] Left(ReadOnlySpan<float> rows, int n, int d)
    {
        var stride = PanelProducts.Padded(d);
        var left = new float[checked(ProbeDesign.RowsAllocated(n) * stride)];
        for (var row = 0; row < n; row++)
            rows.Slice(row * d, d).CopyTo(left.AsSpan(row * stride));
        return left;
    }

    /// <summary>Floats from one row of the left side to the next; what is beyond the inputs must be finite.</summary>
    public int InputStride { get; }

    /// <summary>Floats from one row of the product to the next; zeros beyond the outputs.</summary>
    public int OutputStride { get; }

    /// <param name="x">As <see cref="Left"/> gives them, or more rows.</param>
    /// <param name="z">[rows padded, OutputStride]; made anew where it is too short.</param>
    public void Multiply(float[] x, int rows, ref float[] z, ParallelOptions parallel)
    {
        var allocated = ProbeDesign.RowsAllocated(rows);
        if (z.Length < (long)allocated * OutputStride)
            z = new float[checked(allocated * OutputStride)];
        Multiply(x, allocated, z, parallel);
    }

    /// <param name="x">[rows, InputStride], rows a multiple of <see cref="PanelProducts.Tile"/>.</param>
    /// <param name="z">[rows, OutputStride]</param>
    public void Multiply(ReadOnlyMemory<float> x, int rows, Memory<float> z, ParallelOptions parallel) =>
        Parallel.For(0, (rows + BlockRows - 1) / BlockRows, parallel, block =>
        {
            var (from, n) = (block * BlockRows, Math.Min(BlockRows, rows - block * BlockRows));
            PanelProducts.Multiply(x.Span[(from * InputStride)..], InputStride, n, _panels, _bias, z.Span[(from * OutputStride)..], OutputStride);
        });
}
