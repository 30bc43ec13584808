using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace SaeService.Autoencoders;

/// <summary>
/// ReLU and JumpReLU: f_i = a_i where a_i > max(0, threshold_i), else 0, for a = W x + b. Pre-activations are looked at four rows by two latents at a
/// time and only those that pass are written, so memory is that of the result. Every dot product is one fixed chain of operations: its bits depend
/// neither on the batch nor on the number of threads.
/// </summary>
internal sealed unsafe class ThresholdEncoder
{
    private const int TileRows = 4, TileLatents = 2;
    private const int RowsInBlock = 64;           // of one lane
    private const int PanelBytes = 128 << 10;     // of W, so that they stay in a core's second-level cache while a block's rows pass
    private const int MostPreActivations = 1 << 24;

    private readonly TopKParameters parameters;
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
    public ThresholdEncoder(TopKParameters parameters, float[]? thresholds, int mostRows, Lanes lanes)
    {
        (this.parameters, this.lanes) = (parameters, lanes);
        cuts = new float[parameters.DSae];
        for (var f = 0; f < cuts.Length; f++)
            cuts[f] = Math.Max(0, thresholds?[f] ?? 0);
        ChunkRows = Math.Clamp(MostPreActivations / parameters.DSae, TileRows, mostRows) / TileRows * TileRows;
        hits = [.. Enumerable.Range(0, ChunkRows).Select(_ => new Hits())];
    }

    /// <summary>Most rows of a batch: a multiple of four, and so few that rows on which every latent is active fit in memory too.</summary>
    public int ChunkRows { get; }

    /// <param name="x">[ChunkRows, stride], centred; those from <paramref name="rows"/> on are read and make no difference.</param>
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
        var panel = Math.Max(1, PanelBytes / sizeof(float) / d / TileLatents) * TileLatents;
        var tile = stackalloc float[TileRows * TileLatents];
        for (var from = 0; from < latents; from += panel)
            for (var i = first; i < end; i += TileRows)
                for (var f = from; f < Math.Min(latents, from + panel); f += TileLatents)
                {
                    var second = Math.Min(f + 1, latents - 1);   // of an odd number of latents the last is computed twice and looked at once
                    Multiply(x + (long)i * d, parameters.WEnc.Pointer + (long)f * d, parameters.WEnc.Pointer + (long)second * d, d, tile);
                    for (var c = 0; c < Math.Min(TileLatents, latents - f); c++)
                    {
                        var (bias, cut) = (parameters.BEnc.Pointer[f + c], cuts[f + c]);
                        for (var r = 0; r < Math.Min(TileRows, end - i); r++)
                            if (tile[r * TileLatents + c] + bias is var a && a > cut)
                                hits[i + r].Add(f + c, a);
                    }
                }
    }

    /// <summary>tile[r, c] = x_r · w_c for four consecutive rows x and two rows w.</summary>
    private static void Multiply(float* x, float* w0, float* w1, int d, float* tile)
    {
        V a0 = V.Zero, a1 = V.Zero, a2 = V.Zero, a3 = V.Zero, b0 = V.Zero, b1 = V.Zero, b2 = V.Zero, b3 = V.Zero;
        for (var j = 0; j < d; j += 8)
        {
            V u = Vector256.Load(w0 + j), v = Vector256.Load(w1 + j), r;
            r = Vector256.Load(x + j); a0 = Vector256.FusedMultiplyAdd(r, u, a0); b0 = Vector256.FusedMultiplyAdd(r, v, b0);
            r = Vector256.Load(x + d + j); a1 = Vector256.FusedMultiplyAdd(r, u, a1); b1 = Vector256.FusedMultiplyAdd(r, v, b1);
            r = Vector256.Load(x + 2 * d + j); a2 = Vector256.FusedMultiplyAdd(r, u, a2); b2 = Vector256.FusedMultiplyAdd(r, v, b2);
            r = Vector256.Load(x + 3 * d + j); a3 = Vector256.FusedMultiplyAdd(r, u, a3); b3 = Vector256.FusedMultiplyAdd(r, v, b3);
        }
        (tile[0], tile[1], tile[2], tile[3]) = (Vector256.Sum(a0), Vector256.Sum(b0), Vector256.Sum(a1), Vector256.Sum(b1));
        (tile[4], tile[5], tile[6], tile[7]) = (Vector256.Sum(a2), Vector256.Sum(b2), Vector256.Sum(a3), Vector256.Sum(b3));
    }
}
