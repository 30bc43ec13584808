namespace SaeService.Autoencoders;

/// <summary>
/// What a pre-activation is, of every architecture: <see cref="RowKernel.Dot"/> of row and latent, plus the latent's bias, in float32. Its bits depend neither
/// on the tile that it is computed in nor on the processor.
/// </summary>
internal static unsafe class PreActivation
{
    /// <summary>Rows and latents of a tile.</summary>
    public const int Rows = 2, Latents = 4;

    /// <summary>values[step r + c] = ⟨x_r, w[latents[c]]⟩ + b[latents[c]]</summary>
    /// <param name="x">[rows, d]</param>
    /// <param name="rows">1 or 2.</param>
    /// <param name="w">[F, d]</param>
    /// <param name="b">[F]</param>
    /// <param name="latents">[count]</param>
    /// <param name="count">1 to 4.</param>
    /// <param name="d">Padded width of a row.</param>
    /// <param name="values">[2, step]; of its first four columns, what is not asked for is undefined.</param>
    /// <param name="step">From one row of values to the next, at least 4.</param>
    public static void Tile(float* x, int rows, float* w, float* b, int* latents, int count, int d, float* values, int step = Latents)
    {
        // The last stands in for those that are not there.
        float* w0 = w + (long)latents[0] * d, w1 = w + (long)latents[Math.Min(1, count - 1)] * d;
        float* w2 = w + (long)latents[Math.Min(2, count - 1)] * d, w3 = w + (long)latents[count - 1] * d;
        if (rows == 1)
            RowKernel.Dot4(x, w0, w1, w2, w3, values, d);
        else
            RowKernel.Dot2x4(x, x + d, w0, w1, w2, w3, values, values + step, d);
        for (var r = 0; r < rows; r++)
            for (var c = 0; c < count; c++)
                values[r * step + c] += b[latents[c]];
    }
}
