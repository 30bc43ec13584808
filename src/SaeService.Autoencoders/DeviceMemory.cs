namespace SaeService.Autoencoders;

/// <summary>
/// Bytes that a training step in libtorch's operators takes on its device, from the shapes that it allocates: they do not depend on how many tokens there are.
/// Here, and not beside that step, because an estimate is wanted where no libtorch is loaded.
/// </summary>
public static class DeviceMemory
{
    /// <summary>Floats of a temporary, about: 64 MB on a GPU, 32 MB on a CPU; hundreds of tokens at a time at the usual widths, since each piece's matrix product reads all weights.</summary>
    public const long GpuChunk = 1 << 24, CpuChunk = 1 << 23;

    // Of an entry: row, latent and value; both orders of them, and what sorting and gathering hold meanwhile.
    private const long EntryBytes = 120;

    /// <summary>At its peak.</summary>
    /// <param name="s">Of the autoencoder.</param>
    /// <param name="chunk">Floats of a temporary.</param>
    public static long Training(SaeTrainingSettings s, long chunk = GpuChunk)
    {
        long d = s.DIn, f = s.DSae, b = s.BatchTokens;
        var aux = s.AuxCoefficient == 0 ? 0 : b;
        var entries = (b * s.K + aux * s.AuxK) * EntryBytes + 4 * f * sizeof(long);
        var chosen = aux == 0 ? 0 : 2 * f * d * sizeof(float);              // rows of the dead latents, at worst of all
        // Three of a chunk's floats at once; of a batch's top-k each chunk's positive values by two numbers, before the largest are taken.
        var temporary = Math.Max(3 * Math.Max(chunk, d) * sizeof(float),
            s.Architecture == TrainingArchitecture.TopK ? 0 : (Scratch(f, b, chunk) / sizeof(float) + 2 * b * s.K) * 3L * sizeof(long));
        return Held(s, chunk) + entries + chosen + temporary;
    }

    /// <summary>Of these, what is held from step to step once a latent has died.</summary>
    public static long Held(SaeTrainingSettings s, long chunk = GpuChunk)
    {
        long d = s.DIn, f = s.DSae, b = s.BatchTokens;
        return 4 * sizeof(float) * (2 * d * f + d + f)                      // parameters, gradient, both moments
            + Scratch(f, b, chunk)
            + (2 + (s.Prefixes.Count > 1 ? 1 : 0)) * b * d * sizeof(float)          // x, e, sums of e
            + (s.AuxCoefficient == 0 ? 0 : b) * d * sizeof(float)                          // ê + e
            + sizeof(float);
    }

    private static long Scratch(long f, long b, long chunk) => Math.Max(f, Math.Min(chunk, b * f)) * sizeof(float);
}
