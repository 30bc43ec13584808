using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>Bytes that a <see cref="TorchStep"/> takes on its device, from the shapes that it allocates: they do not depend on how many tokens there are.</summary>
internal static class TorchMemory
{
    // Of an entry: row, latent and value; both orders of them, and what sorting and gathering hold meanwhile.
    private const long EntryBytes = 120;

    /// <param name="chunk">Absent: the device's own.</param>
    public static long EstimatedBytes(SaeTrainingSettings s, Device device, long? chunk = null)
    {
        long d = s.DIn, f = s.DSae, b = s.BatchTokens, floats = chunk ?? TorchStep.DefaultChunk(device);
        var aux = s.AuxCoefficient == 0 ? 0 : b;
        var entries = (b * s.K + aux * s.AuxK) * EntryBytes + 4 * f * sizeof(long);
        var chosen = aux == 0 ? 0 : 2 * f * d * sizeof(float);              // rows of the dead latents, at worst of all
        // Three of a chunk's floats at once; of a batch's top-k each chunk's positive values by two numbers, before the largest are taken.
        var temporary = Math.Max(3 * Math.Max(floats, d) * sizeof(float),
            s.Architecture == TrainingArchitecture.TopK ? 0 : (Scratch(f, b, floats) / sizeof(float) + 2 * b * s.K) * 3L * sizeof(long));
        return HeldBytes(s, device, floats) + entries + chosen + temporary;
    }

    /// <summary>Of these, what is held from step to step once a latent has died.</summary>
    public static long HeldBytes(SaeTrainingSettings s, Device device, long? chunk = null)
    {
        long d = s.DIn, f = s.DSae, b = s.BatchTokens;
        return 4 * TorchParameters.Bytes(d, f)                              // parameters, gradient, both moments
            + Scratch(f, b, chunk ?? TorchStep.DefaultChunk(device))
            + (2 + (s.Prefixes.Count > 1 ? 1 : 0)) * b * d * sizeof(float)          // x, e, sums of e
            + (s.AuxCoefficient == 0 ? 0 : b) * d * sizeof(float)                          // ê + e
            + sizeof(float);
    }

    private static long Scratch(long f, long b, long chunk) => Math.Max(f, Math.Min(chunk, b * f)) * sizeof(float);
}
