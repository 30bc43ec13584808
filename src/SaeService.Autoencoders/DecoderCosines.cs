using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace SaeService.Autoencoders;

/// <summary>
/// How near each latent's direction comes to that of another: two latents of one direction are one latent twice, and features that were split or absorbed leave
/// neighbours behind (Bricken et al. 2023; Chanin et al. 2025, arXiv 2508.16560, average all |cosines| of a decoder for the same end).
/// </summary>
internal static class DecoderCosines
{
    private const int Block = 64, Group = 4;   // rows that stay in the second-level cache while all others pass; rows of one reading of another

    /// <summary>
    /// The largest |cosine| of every decoder row to another. Half of the F² products are taken, and nothing is held of them but F maxima for a lane.
    /// </summary>
    /// <returns>[F]; 0 for a row of zeros, or where there is no other.</returns>
    public static float[] Largest(TopKAutoencoder sae, Lanes lanes)
    {
        var f = sae.DSae;
        var inverse = new float[f];
        lanes.For((f + Block - 1) / Block, (block, _) =>
        {
            for (var i = block * Block; i < Math.Min(f, (block + 1) * Block); i++)
            {
                var square = 0.0;
                foreach (var value in sae.DecoderRow(i))
                    square += (double)value * value;
                inverse[i] = square > 0 ? (float)(1 / Math.Sqrt(square)) : 0;
            }
        });
        var largest = new float[lanes.Count][];   // the maximum of maxima does not depend on who took which
        lanes.For((f + Block - 1) / Block, (block, lane) =>
        {
            var mine = largest[lane] ??= new float[f];
            var (first, end) = (block * Block, Math.Min(f, (block + 1) * Block));
            Span<float> dots = stackalloc float[Group];
            for (var j = first + 1; j < f; j++)
                for (var i = first; i < Math.Min(j, end); i += Group)
                {
                    Dots(sae, i, Math.Min(j, end) - i, j, dots);
                    for (var r = 0; r < Math.Min(Group, Math.Min(j, end) - i); r++)
                    {
                        var cosine = Math.Abs(dots[r]) * inverse[i + r] * inverse[j];
                        mine[i + r] = Math.Max(mine[i + r], cosine);
                        mine[j] = Math.Max(mine[j], cosine);
                    }
                }
        });
        var result = new float[f];
        foreach (var some in largest)
            for (var i = 0; some is not null && i < f; i++)
                result[i] = Math.Max(result[i], some[i]);
        return result;
    }

    /// <summary>⟨row first + r, row other⟩ for r below 4; of fewer rows than 4, the last stands in for those that are not there.</summary>
    private static void Dots(TopKAutoencoder sae, int first, int rows, int other, Span<float> dots)
    {
        var last = first + Math.Min(rows, Group) - 1;
        ReadOnlySpan<float> y = sae.DecoderRow(other), a = sae.DecoderRow(first), b = sae.DecoderRow(Math.Min(first + 1, last)),
            c = sae.DecoderRow(Math.Min(first + 2, last)), d = sae.DecoderRow(last);
        ref float py = ref MemoryMarshal.GetReference(y), pa = ref MemoryMarshal.GetReference(a), pb = ref MemoryMarshal.GetReference(b),
            pc = ref MemoryMarshal.GetReference(c), pd = ref MemoryMarshal.GetReference(d);
        V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
        nuint j = 0;
        for (; j + 8 <= (nuint)y.Length; j += 8)
        {
            var v = Vector256.LoadUnsafe(ref py, j);
            s0 = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref pa, j), v, s0);
            s1 = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref pb, j), v, s1);
            s2 = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref pc, j), v, s2);
            s3 = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref pd, j), v, s3);
        }
        (dots[0], dots[1], dots[2], dots[3]) = (Vector256.Sum(s0), Vector256.Sum(s1), Vector256.Sum(s2), Vector256.Sum(s3));
        for (var i = (int)j; i < y.Length; i++)
        {
            dots[0] += a[i] * y[i];
            dots[1] += b[i] * y[i];
            dots[2] += c[i] * y[i];
            dots[3] += d[i] * y[i];
        }
    }
}
