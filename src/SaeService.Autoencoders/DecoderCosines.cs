namespace SaeService.Autoencoders;

/// <summary>
/// How near each latent's direction comes to that of another: two latents of one direction are one latent twice, and features that were split or absorbed leave
/// neighbours behind (Bricken et al. 2023; Chanin et al. 2025, arXiv 2508.16560, average all |cosines| of a decoder for the same end).
/// </summary>
internal static unsafe class DecoderCosines
{
    private const int Block = 64, Group = 4;   // rows that stay in the second-level cache while all others pass; rows of one reading of another

    /// <summary>
    /// The largest |cosine| of every decoder row to another. Half of the F² products are taken, and nothing is held of them but F maxima for a lane.
    /// </summary>
    /// <returns>[F]; 0 for a row of zeros, or where there is no other.</returns>
    public static float[] Largest(SparseAutoencoder sae, Lanes lanes)
    {
        var (f, stride) = (sae.DSae, sae.Parameters.Stride);
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
            var dots = stackalloc float[Group];
            for (var j = first + 1; j < f; j++)
                for (var i = first; i < Math.Min(j, end); i += Group)
                {
                    // Of fewer rows than 4, the last stands in for those that are not there.
                    var last = Math.Min(i + Group, Math.Min(j, end)) - 1;
                    RowKernel.Dot4(Row(j), Row(i), Row(Math.Min(i + 1, last)), Row(Math.Min(i + 2, last)), Row(last), dots, stride);
                    for (var r = 0; r <= last - i; r++)
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

        float* Row(int latent) => sae.Parameters.WDec.Pointer + (long)latent * stride;
    }
}
