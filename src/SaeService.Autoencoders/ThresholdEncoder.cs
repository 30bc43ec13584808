namespace SaeService.Autoencoders;

/// <summary>
/// ReLU and JumpReLU: f_i = a_i where a_i > max(0, threshold_i), else 0, for a = W x + b. A tile of <see cref="PreActivation"/>s is looked at at a
/// time and only those that pass are written, so memory is that of the result.
/// </summary>
internal sealed unsafe class ThresholdEncoder
{
    private const int RowsInBlock = 64;           // of one lane
    private const int PanelBytes = 128 << 10;     // of W, so that they stay in a core's second-level cache while a block's rows pass
    private const int MostPreActivations = 1 << 24;

    private readonly SaeParameters parameters;
    private readonly float[] cuts;                // [F]
    private readonly Lanes lanes;
    private readonly Hits[] hits;                 // [ChunkRows]

    /// <summary>The latents of one row that passed, ascending.</summary>
    private sealed class Hits
    {
        private int[] index = new int[64];
        private float[] value = new float[64];
        private int count;

        public ReadOnlySpan<int> Index => index.AsSpan(0, count);
        public ReadOnlySpan<float> Value => value.AsSpan(0, count);

        public void Clear() => count = 0;

        public void Add(int latent, float activation)
        {
            if (count == index.Length)
            {
                Array.Resize(ref index, 2 * count);
                Array.Resize(ref value, 2 * count);
            }
            (index[count], value[count++]) = (latent, activation);
        }
    }

    /// <param name="thresholds">[F]; null: 0 for all.</param>
    /// <param name="mostRows">Rows of a batch that would be welcome; <see cref="ChunkRows"/> says how many there may be.</param>
    public ThresholdEncoder(SaeParameters parameters, float[]? thresholds, int mostRows, Lanes lanes)
    {
        (this.parameters, this.lanes) = (parameters, lanes);
        cuts = new float[parameters.DSae];
        for (var f = 0; f < cuts.Length; f++)
            cuts[f] = Math.Max(0, thresholds?[f] ?? 0);
        ChunkRows = Math.Clamp(MostPreActivations / parameters.DSae, 1, mostRows);
        hits = [.. Enumerable.Range(0, ChunkRows).Select(_ => new Hits())];
    }

    /// <summary>Most rows of a batch: so few that rows on which every latent is active fit in memory too.</summary>
    public int ChunkRows { get; }

    /// <param name="x">[rows, stride], centred.</param>
    /// <param name="rows">At most <see cref="ChunkRows"/>.</param>
    /// <param name="codes">To which the rows are added.</param>
    public void Encode(float* x, int rows, SparseCodesBuilder codes)
    {
        lanes.For((rows + RowsInBlock - 1) / RowsInBlock, (block, _) => Block(x, block * RowsInBlock, Math.Min(rows, (block + 1) * RowsInBlock)));
        for (var i = 0; i < rows; i++)
            codes.Add(hits[i].Index, hits[i].Value);
    }

    private void Block(float* x, int first, int end)
    {
        var (latents, d) = (parameters.DSae, parameters.Stride);
        for (var i = first; i < end; i++)
            hits[i].Clear();
        var panel = Math.Max(1, PanelBytes / sizeof(float) / d / PreActivation.Latents) * PreActivation.Latents;
        var tile = stackalloc float[PreActivation.Rows * PreActivation.Latents];
        var some = stackalloc int[PreActivation.Latents];
        for (var from = 0; from < latents; from += panel)
            for (var i = first; i < end; i += PreActivation.Rows)
                for (var f = from; f < Math.Min(latents, from + panel); f += PreActivation.Latents)
                {
                    var (rows, columns) = (Math.Min(PreActivation.Rows, end - i), Math.Min(PreActivation.Latents, latents - f));
                    for (var c = 0; c < columns; c++)
                        some[c] = f + c;
                    PreActivation.Tile(x + (long)i * d, rows, parameters.WEnc.Pointer, parameters.BEnc.Pointer, some, columns, d, tile);
                    for (var r = 0; r < rows; r++)
                        for (var c = 0; c < columns; c++)
                            if (tile[r * PreActivation.Latents + c] is var a && a > cuts[f + c])
                                hits[i + r].Add(f + c, a);
                }
    }
}
