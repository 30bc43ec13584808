using SaeService.Autoencoders.Screens;

namespace SaeService.Autoencoders;

/// <summary>
/// Exact top B k of ReLU(W x + b) over a whole batch (BatchTopK, Bussmann et al. 2024, arXiv 2412.06410): a token has as many latents as it needs, k on
/// average. Of equal <see cref="PreActivation"/>s those of the earlier row win, and in a row the lower latent.
/// </summary>
/// <remarks>
/// Each row's <see cref="Spread"/> k largest are found as <see cref="TopKEncoder"/> finds them, above a floor a little below the least value that the
/// batch before kept. A row that may hide more than those behind them is looked at whole; a floor that left too few is taken away. So both decide the
/// speed and never the result.
/// </remarks>
internal sealed unsafe class BatchTopKEncoder
{
    private const int Spread = 4, RowsLookedAtWhole = 64;
    private const float FloorShare = 0.95f;
    private readonly int d, latents, k;
    private readonly Lanes lanes;
    private readonly TopKEncoder widely;
    private readonly ActiveRows found;
    private readonly Row?[] whole;             // [rows], of those that were looked at whole
    private float[] pool = [];
    private float* weights, biases;            // [F, d], [F]
    private float floor;

    private sealed record Row(int[] Index, float[] Value);

    public BatchTopKEncoder(int d, int latents, int k, int maxRows, Lanes lanes)
    {
        (this.d, this.latents, this.k, this.lanes) = (d, latents, k, lanes);
        var perRow = PerRow(latents, k);
        widely = new(d, latents, perRow, maxRows, lanes);
        found = new(maxRows, perRow);
        whole = new Row[maxRows];
    }

    /// <summary>Latents that are found of a row at first.</summary>
    public static int PerRow(int latents, int k) => Math.Min(latents, Spread * k);

    /// <summary>Takes over W [F, d] and b [F], which must stay as they are until the last <see cref="Encode"/>.</summary>
    public void Pack(float* w, float* b)
    {
        weights = w;
        biases = b;
        widely.Pack(w, b, latents);
    }

    /// <param name="x">[rows, d], centred.</param>
    /// <param name="rows">B; at most the maximum named at construction.</param>
    /// <param name="result">Overwritten; has room for k a row, which it is packed into.</param>
    /// <returns>The least value kept; 0 where fewer than B k are above 0.</returns>
    public float Encode(float* x, int rows, ActiveRows result)
    {
        var wanted = (long)rows * k;
        Array.Clear(whole);
        widely.EncodeAbove(x, rows, found, floor);
        if (floor > 0 && Found(rows) < wanted)
            widely.EncodeAbove(x, rows, found, 0);
        var least = Least(rows, wanted);
        int[] hiding = [.. Enumerable.Range(0, rows).Where(i => MayHide(i) && LeastOf(i) > least)];
        foreach (var some in hiding.Chunk(RowsLookedAtWhole))
        {
            lanes.For(some.Length, (j, _) =>
            {
                if (LeastOf(some[j]) > least)
                    whole[some[j]] = LookAtWhole(x + (long)some[j] * d, MathF.Max(0, MathF.BitDecrement(least)));
            });
            least = Least(rows, wanted);
        }
        Keep(x, rows, wanted, least, result);
        floor = FloorShare * least;
        return least;
    }

    /// <summary>All that is above the least, and of what equals it the first, until there are as many as wanted.</summary>
    private void Keep(float* x, int rows, long wanted, float least, ActiveRows result)
    {
        var spare = wanted;
        for (var i = 0; i < rows; i++)
            foreach (var value in ValuesOf(i))
                spare -= value > least ? 1 : 0;
        var next = 0;
        for (var i = 0; i < rows; i++)
        {
            if (spare > 0 && MayHide(i) && whole[i] is null && LeastOf(i) == least)
                whole[i] = LookAtWhole(x + (long)i * d, MathF.BitDecrement(least));
            var indices = IndicesOf(i);
            var values = ValuesOf(i);
            result.Start.Pointer[i] = next;
            for (var j = 0; j < values.Length; j++)
            {
                if (values[j] < least || (values[j] == least && spare-- <= 0))
                    continue;
                result.Index.Pointer[next] = indices[j];
                result.Value.Pointer[next++] = values[j];
            }
            result.Count.Pointer[i] = next - result.Start.Pointer[i];
        }
    }

    /// <summary>The value that as many as are wanted are not below; 0 where there are fewer.</summary>
    private float Least(int rows, long wanted)
    {
        const int Padding = 8;
        var n = 0;
        var total = Found(rows);
        if (total < wanted)
            return 0;
        if (pool.Length < total + Padding)
            pool = new float[total + total / 8 + Padding];
        for (var i = 0; i < rows; i++)
        {
            var values = ValuesOf(i);
            values.CopyTo(pool.AsSpan(n));
            n += values.Length;
        }
        fixed (float* values = pool)
            return TopK.LowerBoundOfKth(values, n, (int)wanted, 0);
    }

    private int Found(int rows)
    {
        var total = 0;
        for (var i = 0; i < rows; i++)
            total += ValuesOf(i).Length;
        return total;
    }

    /// <summary>Whether latents of a row may have been left out that are as large as the least of those that were found.</summary>
    private bool MayHide(int row) => found.PerRow < latents && found.Count.Pointer[row] == found.PerRow;

    private float LeastOf(int row)
    {
        var least = float.MaxValue;
        foreach (var value in found.ValuesOf(row))
            least = MathF.Min(least, value);
        return least;
    }

    private ReadOnlySpan<int> IndicesOf(int row) => whole[row] is { } r ? r.Index : found.IndicesOf(row);
    private ReadOnlySpan<float> ValuesOf(int row) => whole[row] is { } r ? r.Value : found.ValuesOf(row);

    /// <summary>Every latent of a row above a threshold, which is at least 0.</summary>
    private Row LookAtWhole(float* x, float threshold)
    {
        var (index, value) = (new List<int>(), new List<float>());
        var some = stackalloc int[PreActivation.Latents];
        var tile = stackalloc float[PreActivation.Rows * PreActivation.Latents];
        for (var f = 0; f < latents; f += PreActivation.Latents)
        {
            var count = Math.Min(PreActivation.Latents, latents - f);
            for (var c = 0; c < count; c++)
                some[c] = f + c;
            PreActivation.Tile(x, 1, weights, biases, some, count, d, tile);
            for (var c = 0; c < count; c++)
                if (tile[c] > threshold)
                {
                    index.Add(f + c);
                    value.Add(tile[c]);
                }
        }
        return new([.. index], [.. value]);
    }
}
