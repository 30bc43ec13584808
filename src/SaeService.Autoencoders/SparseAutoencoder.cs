namespace SaeService.Autoencoders;

/// <summary>What makes activations of pre-activations, by SAELens' names.</summary>
public enum SaeArchitecture
{
    /// <summary>The k largest of ReLU(a).</summary>
    TopK,

    /// <summary>ReLU(a).</summary>
    Standard,

    /// <summary>a where it is above both 0 and the latent's threshold; BatchTopK autoencoders are this once they are trained.</summary>
    JumpRelu,
}

/// <summary>
/// An autoencoder in the units of its activations: f = act(W_enc (x - b_dec) + b_enc), x̂ = W_dec^T f + b_dec, where act is top-k after ReLU, ReLU or
/// JumpReLU, where b_dec may stay in the encoder's input, and where each x may be normalised first and its x̂ taken back. The scale it was trained with
/// is folded into the parameters; <see cref="InputScale"/> only tells what it was.
/// </summary>
public sealed unsafe class SparseAutoencoder
{
    private const int MostChunkRows = 2048;
    private readonly Lanes lanes;
    private readonly Lock gate = new();
    private Workspace? workspace;

    private sealed class Workspace
    {
        public readonly TopKEncoder? TopK;
        public readonly ActiveRows? Top;
        public readonly ThresholdEncoder? Threshold;
        public readonly int ChunkRows = MostChunkRows;
        public readonly AlignedBuffer<float> X;   // [chunk, stride]

        public Workspace(SparseAutoencoder sae)
        {
            var p = sae.Parameters;
            if (sae.Architecture == SaeArchitecture.TopK)
            {
                (TopK, Top) = (new TopKEncoder(p.Stride, p.DSae, sae.K, ChunkRows, sae.lanes), new ActiveRows(ChunkRows, sae.K));
                TopK.Pack(p.WEnc.Pointer, p.BEnc.Pointer, p.DSae);
            }
            else
            {
                Threshold = new ThresholdEncoder(p, sae.Thresholds, ChunkRows, sae.lanes);
                ChunkRows = Threshold.ChunkRows;
            }
            X = new((long)ChunkRows * p.Stride);
        }
    }

    /// <param name="k">0 for an autoencoder without top-k.</param>
    internal SparseAutoencoder(SaeParameters parameters, int k, float inputScale, float? threshold, Lanes lanes) =>
        (Parameters, K, InputScale, Threshold, this.lanes) = (parameters, k, inputScale, threshold, lanes);

    public int DIn => Parameters.DIn;
    public int DSae => Parameters.DSae;

    /// <summary>Latents kept for one token; 0 for an autoencoder without top-k.</summary>
    public int K { get; }

    public SaeArchitecture Architecture => K > 0 ? SaeArchitecture.TopK : Thresholds is null ? SaeArchitecture.Standard : SaeArchitecture.JumpRelu;

    /// <summary>[F], of <see cref="SaeArchitecture.JumpRelu"/>; else null.</summary>
    public float[]? Thresholds { get; internal init; }

    /// <summary>Whether b_dec is taken off an input before it is encoded.</summary>
    public bool SubtractsDecoderBias { get; internal init; } = true;

    public SampleNorm SampleNorm { get; internal init; }

    /// <summary>s of training: activations were multiplied by it. Already folded in.</summary>
    public float InputScale { get; }

    /// <summary>Mean of the least value kept on a token: where a JumpReLU of about the same sparsity would cut. Null where unknown.</summary>
    public float? Threshold { get; }

    public ReadOnlySpan<float> EncoderBias => Parameters.BEnc.Span;                            // [F]
    public ReadOnlySpan<float> DecoderBias => Parameters.BDec.Span[..DIn];                     // [d]
    public ReadOnlySpan<float> EncoderRow(int latent) => Parameters.WEnc.Slice((long)latent * Parameters.Stride, DIn);
    public ReadOnlySpan<float> DecoderRow(int latent) => Parameters.WDec.Slice((long)latent * Parameters.Stride, DIn);

    internal SaeParameters Parameters { get; }

    /// <summary>Exact, ties of a top-k going to the lower latent; the same on any number of threads. Calls wait for each other.</summary>
    /// <param name="x">[rows, d]</param>
    /// <param name="rows">Number of rows.</param>
    /// <exception cref="ArgumentException">A value is NaN or infinite; the message names row and component.</exception>
    public SparseCodes Encode(ReadOnlySpan<float> x, int rows)
    {
        if (rows < 0 || x.Length != (long)rows * DIn)
            throw new ArgumentException($"{x.Length} values are not {rows} rows of {DIn}", nameof(x));
        lock (gate)
        {
            workspace ??= new(this);
            var codes = new SparseCodesBuilder(DSae);
            var scales = SampleNorm == SampleNorm.None ? null : new RowScales(new float[rows], new float[rows]);
            for (var first = 0; first < rows; first += workspace.ChunkRows)
            {
                var n = Math.Min(workspace.ChunkRows, rows - first);
                Prepare(x.Slice(first * DIn, n * DIn), first, workspace.X, scales);
                if (workspace.Threshold is { } threshold)
                {
                    threshold.Encode(workspace.X.Pointer, n, codes);
                    continue;
                }
                workspace.TopK!.Encode(workspace.X.Pointer, n, workspace.Top!);
                for (var i = 0; i < n; i++)
                    codes.Add(workspace.Top!.IndicesOf(i), workspace.Top.ValuesOf(i));
            }
            return codes.Build(scales);
        }
    }

    /// <summary>x̂ of every row of <paramref name="codes"/>.</summary>
    /// <param name="codes">Width d_sae; where <see cref="SampleNorm"/> is not none, as <see cref="Encode"/> gave them.</param>
    /// <param name="reconstruction">[rows, d]</param>
    public void Decode(SparseCodes codes, Span<float> reconstruction)
    {
        if (codes.Width != DSae || reconstruction.Length != (long)codes.Rows * DIn)
            throw new ArgumentException(
                $"codes [{codes.Rows}, {codes.Width}] do not decode into {reconstruction.Length} values of rows of {DIn}", nameof(codes));
        if (SampleNorm != SampleNorm.None && codes.Scales is null)
            throw new ArgumentException("the autoencoder normalises its inputs, and these codes do not say by what", nameof(codes));
        var row = new AlignedBuffer<float>(Parameters.Stride);
        fixed (int* index = codes.Index.Span)
        fixed (float* value = codes.Value.Span)
            for (var i = 0; i < codes.Rows; i++)
            {
                var n = (int)(codes.Start[i + 1] - codes.Start[i]);
                RowKernel.Decode(index + codes.Start[i], value + codes.Start[i], n, Parameters.WDec.Pointer,
                    Parameters.BDec.Pointer, 1, row.Pointer, Parameters.Stride);
                var target = reconstruction.Slice(i * DIn, DIn);
                row.Slice(0, DIn).CopyTo(target);
                if (SampleNorm != SampleNorm.None)
                    for (var j = 0; j < target.Length; j++)
                        target[j] = target[j] * codes.Scales!.Scale[i] + codes.Scales.Shift[i];
            }
    }

    /// <summary>Rows as the encoder takes them: finite, normalised, less b_dec.</summary>
    private void Prepare(ReadOnlySpan<float> x, int firstRow, AlignedBuffer<float> target, RowScales? scales)
    {
        for (var i = 0; i * DIn < x.Length; i++)
        {
            var from = x.Slice(i * DIn, DIn);
            var to = target.Slice((long)i * Parameters.Stride, DIn);
            for (var j = 0; j < from.Length; j++)
                if (!float.IsFinite(from[j]))
                    throw new ArgumentException($"the activation at row {firstRow + i}, component {j} is {from[j]}", nameof(x));
            from.CopyTo(to);
            if (scales is not null)
                (scales.Scale[firstRow + i], scales.Shift[firstRow + i]) = SampleNorms.Apply(SampleNorm, to);
            if (SubtractsDecoderBias)
                for (var j = 0; j < to.Length; j++)
                    to[j] -= Parameters.BDec.Pointer[j];
        }
    }
}
