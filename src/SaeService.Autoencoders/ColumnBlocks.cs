using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace SaeService.Autoencoders;

/// <summary>
/// The rows of a batch, sixteen columns (a cache line) at a time: [stride / 16, B, 16]. A latent adds up the rows that it fired on, dozens of them all over the
/// batch, and there are thousands of latents: whole rows would come from memory for each of them, but sixteen columns of all rows stay in a core's second-level cache
/// while all latents go by. Where a latent fires on a few rows only, it costs more to begin and end sixteen columns than to fetch them: then rows stay whole, [B, stride],
/// and a latent takes all of its columns before the next.
/// </summary>
/// <param name="whole">Whether rows stay whole; see <see cref="Suits"/>.</param>
internal sealed unsafe class ColumnBlocks(int rows, int stride, bool whole)
{
    public const int Width = 16;

    // Rows of a latent from which on columns are faster.
    private const int ManyRows = 16;

    private readonly AlignedBuffer<float> values = new((long)rows * stride);

    /// <summary>Whether whole rows suit so many entries of so many latents.</summary>
    public static bool Suits(long entries, int latents) => entries < (long)ManyRows * latents;

    /// <summary>From one row to the next.</summary>
    public int Step { get; } = whole ? stride : Width;

    private long NextBlock { get; } = whole ? Width : (long)rows * Width;

    public static int Count(int stride) => stride / Width;

    /// <summary>[B, 16], each <see cref="Step"/> behind the one before: columns from 16 <paramref name="block"/> on.</summary>
    public float* Of(int block) => values.Pointer + (block * NextBlock);

    /// <param name="x">[stride], which becomes row <paramref name="row"/>.</param>
    public void Put(float* x, int row)
    {
        var to = Of(0) + ((long)row * Step);
        for (var block = 0; block < Count(stride); block++, x += Width, to += NextBlock)
        {
            Vector256.Load(x).Store(to);
            Vector256.Load(x + 8).Store(to + 8);
        }
    }

    /// <param name="x">[stride], which row <paramref name="row"/> is written to.</param>
    public void Get(int row, float* x)
    {
        var from = Of(0) + ((long)row * Step);
        for (var block = 0; block < Count(stride); block++, x += Width, from += NextBlock)
        {
            Vector256.Load(from).Store(x);
            Vector256.Load(from + 8).Store(x + 8);
        }
    }

    /// <summary>
    /// sum = sum_i weight[i] columns[row[i]], in four chains of fused multiply-adds so that one need not wait for the other.
    /// </summary>
    /// <param name="row">[n]</param>
    /// <param name="weight">[n]</param>
    /// <param name="columns">[B, 16]</param>
    /// <param name="step">From one row of the columns to the next.</param>
    /// <param name="sum">[16]</param>
    public static void Sum(int* row, float* weight, int n, float* columns, long step, float* sum)
    {
        var i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> s0 = Vector512<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
            for (; i + 4 <= n; i += 4)
            {
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(weight[i]), Vector512.Load(columns + row[i] * step), s0);
                s1 = Vector512.FusedMultiplyAdd(Vector512.Create(weight[i + 1]), Vector512.Load(columns + row[i + 1] * step), s1);
                s2 = Vector512.FusedMultiplyAdd(Vector512.Create(weight[i + 2]), Vector512.Load(columns + row[i + 2] * step), s2);
                s3 = Vector512.FusedMultiplyAdd(Vector512.Create(weight[i + 3]), Vector512.Load(columns + row[i + 3] * step), s3);
            }
            for (; i < n; i++)
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(weight[i]), Vector512.Load(columns + row[i] * step), s0);
            (s0 + s1 + (s2 + s3)).Store(sum);
            return;
        }
        V l0 = V.Zero, l1 = l0, l2 = l0, l3 = l0, h0 = l0, h1 = l0, h2 = l0, h3 = l0;
        for (; i + 4 <= n; i += 4)
        {
            float* r0 = columns + row[i] * step, r1 = columns + row[i + 1] * step, r2 = columns + row[i + 2] * step, r3 = columns + row[i + 3] * step;
            V w0 = Vector256.Create(weight[i]), w1 = Vector256.Create(weight[i + 1]), w2 = Vector256.Create(weight[i + 2]), w3 = Vector256.Create(weight[i + 3]);
            l0 = Vector256.FusedMultiplyAdd(w0, Vector256.Load(r0), l0);
            h0 = Vector256.FusedMultiplyAdd(w0, Vector256.Load(r0 + 8), h0);
            l1 = Vector256.FusedMultiplyAdd(w1, Vector256.Load(r1), l1);
            h1 = Vector256.FusedMultiplyAdd(w1, Vector256.Load(r1 + 8), h1);
            l2 = Vector256.FusedMultiplyAdd(w2, Vector256.Load(r2), l2);
            h2 = Vector256.FusedMultiplyAdd(w2, Vector256.Load(r2 + 8), h2);
            l3 = Vector256.FusedMultiplyAdd(w3, Vector256.Load(r3), l3);
            h3 = Vector256.FusedMultiplyAdd(w3, Vector256.Load(r3 + 8), h3);
        }
        for (; i < n; i++)
        {
            var r = columns + row[i] * step;
            var w = Vector256.Create(weight[i]);
            l0 = Vector256.FusedMultiplyAdd(w, Vector256.Load(r), l0);
            h0 = Vector256.FusedMultiplyAdd(w, Vector256.Load(r + 8), h0);
        }
        (l0 + l1 + (l2 + l3)).Store(sum);
        (h0 + h1 + (h2 + h3)).Store(sum + 8);
    }
}
