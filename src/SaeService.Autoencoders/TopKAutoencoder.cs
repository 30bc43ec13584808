namespace SaeService.Autoencoders;

/// <summary>
/// A trained TopK autoencoder in the units of its activations: f = topk(ReLU(W_enc (x - b_dec) + b_enc)), x̂ = W_dec^T f + b_dec. The scale it was
/// trained with is folded into the parameters; <see cref="InputScale"/> only tells what it was.
/// </summary>
public sealed unsafe class TopKAutoencoder
{
    private const int ChunkRows = 2048;
    private readonly Lanes lanes;
    private readonly Lock gate = new();
    private Workspace? workspace;

    private sealed class Workspace(TopKParameters p, int k, Lanes lanes)
    {
        public readonly TopKEncoder Encoder = new(p.Stride, p.DSae, k, ChunkRows, lanes);
        public readonly TopKRows Top = new(ChunkRows, k);
        public readonly AlignedBuffer<float> X = new((long)ChunkRows * p.Stride);   // [chunk, stride]
    }

    internal TopKAutoencoder(TopKParameters parameters, int k, float inputScale, float? threshold, Lanes lanes) =>
        (Parameters, K, InputScale, Threshold, this.lanes) = (parameters, k, inputScale, threshold, lanes);

    public int DIn => Parameters.DIn;
    public int DSae => Parameters.DSae;
    public int K { get; }

    /// <summary>s of training: activations were multiplied by it. Already folded in.</summary>
    public float InputScale { get; }

    /// <summary>Mean of the least value kept on a token: where a JumpReLU of about the same sparsity would cut. Null where unknown.</summary>
    public float? Threshold { get; }

    public ReadOnlySpan<float> EncoderBias => Parameters.BEnc.Span;                            // [F]
    public ReadOnlySpan<float> DecoderBias => Parameters.BDec.Span[..DIn];                     // [d]
    public ReadOnlySpan<float> EncoderRow(int latent) => Parameters.WEnc.Slice((long)latent * Parameters.Stride, DIn);
    public ReadOnlySpan<float> DecoderRow(int latent) => Parameters.WDec.Slice((long)latent * Parameters.Stride, DIn);

    internal TopKParameters Parameters { get; }

    /// <summary>Exact top-k with ties going to the lower latent; the same on any number of threads. Calls wait for each other.</summary>
    /// <param name="x">[rows, d]</param>
    /// <param name="rows">Number of rows.</param>
    /// <exception cref="ArgumentException">A value is NaN or infinite; the message names row and component.</exception>
    public SparseCodes Encode(ReadOnlySpan<float> x, int rows)
    {
        if (rows < 0 || x.Length != (long)rows * DIn)
            throw new ArgumentException($"{x.Length} values are not {rows} rows of {DIn}", nameof(x));
        lock (gate)
        {
            if (workspace is null)
            {
                workspace = new(Parameters, K, lanes);
                workspace.Encoder.Pack(Parameters.WEnc.Pointer, Parameters.BEnc.Pointer, DSae);
            }
            var codes = new SparseCodesBuilder(DSae);
            for (var first = 0; first < rows; first += ChunkRows)
            {
                var n = Math.Min(ChunkRows, rows - first);
                Centre(x.Slice(first * DIn, n * DIn), first, workspace.X);
                workspace.Encoder.Encode(workspace.X.Pointer, n, workspace.Top);
                for (var i = 0; i < n; i++)
                {
                    var count = workspace.Top.Count.Pointer[i];
                    codes.Add(workspace.Top.Index.Slice((long)i * K, count), workspace.Top.Value.Slice((long)i * K, count));
                }
            }
            return codes.Build();
        }
    }

    /// <summary>x̂ of every row of <paramref name="codes"/>.</summary>
    /// <param name="codes">Width d_sae.</param>
    /// <param name="reconstruction">[rows, d]</param>
    public void Decode(SparseCodes codes, Span<float> reconstruction)
    {
        if (codes.Width != DSae || reconstruction.Length != (long)codes.Rows * DIn)
            throw new ArgumentException(
                $"codes [{codes.Rows}, {codes.Width}] do not decode into {reconstruction.Length} values of rows of {DIn}", nameof(codes));
        var row = new AlignedBuffer<float>(Parameters.Stride);
        fixed (int* index = codes.Index)
        fixed (float* value = codes.Value)
            for (var i = 0; i < codes.Rows; i++)
            {
                var n = (int)(codes.Start[i + 1] - codes.Start[i]);
                RowKernel.Decode(index + codes.Start[i], value + codes.Start[i], n, Parameters.WDec.Pointer,
                    Parameters.BDec.Pointer, 1, row.Pointer, Parameters.Stride);
                row.Slice(0, DIn).CopyTo(reconstruction.Slice(i * DIn, DIn));
            }
    }

    private void Centre(ReadOnlySpan<float> x, int firstRow, AlignedBuffer<float> target)
    {
        for (var i = 0; i * DIn < x.Length; i++)
        {
            var from = x.Slice(i * DIn, DIn);
            var to = target.Slice((long)i * Parameters.Stride, DIn);
            for (var j = 0; j < from.Length; j++)
            {
                if (!float.IsFinite(from[j]))
                    throw new ArgumentException($"the activation at row {firstRow + i}, component {j} is {from[j]}", nameof(x));
                to[j] = from[j] - Parameters.BDec.Pointer[j];
            }
        }
    }
}
