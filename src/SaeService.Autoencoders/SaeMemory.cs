namespace SaeService.Autoencoders;

/// <summary>
/// Bytes that training, judging and using a sparse autoencoder hold, from the shapes that the classes beside this one allocate: F latents, rows of d floats
/// padded to whole cache lines, B tokens in a step. A test compares them with what is allocated.
/// </summary>
public static class SaeMemory
{
    // Rows that an autoencoder in use encodes at a time.
    private const int Chunk = 2048;

    /// <summary>W_enc, W_dec and the biases: also the size of their file.</summary>
    public static long Weights(int dIn, int dSae) => sizeof(float) * (2L * dSae * SaeTrainingSettings.Padded(dIn) + dSae + dIn);

    /// <summary>A trainer's checkpoint: weights and both moments, and the tokens since each latent fired.</summary>
    public static long Checkpoint(int dIn, int dSae) => 3 * Weights(dIn, dSae) + sizeof(long) * (long)dSae;

    /// <summary>
    /// A trainer at work: weights, gradient and both moments of Adam; W_enc packed for the screen; a batch and its errors; its top-k by row and by latent;
    /// and the same for the dead latents' share of the loss, which comes with the first that dies.
    /// </summary>
    public static long Training(SaeTrainingSettings s, int threads)
    {
        long d = SaeTrainingSettings.Padded(s.DIn), f = s.DSae, b = s.BatchTokens;
        var latents = 4 * Weights(s.DIn, s.DSae)
            + Packed(d, f)
            + f * (sizeof(long) + sizeof(int) + sizeof(bool) + sizeof(float)) // since fired, dead, touched, along
            + LatentIndex(f, 0)
            + f / 32 * d * sizeof(float);                      // each block of latents' share of b_dec's gradient
        long prefixes = s.Prefixes.Count, aux = b;
        var batch = (2 + prefixes) * b * d * sizeof(float) + Rows(b, s.K) + b * s.K * sizeof(float) + LatentIndex(0, b * s.K) + prefixes * (b / 64 * d * sizeof(float));
        var auxiliary = s.AuxCoefficient == 0 ? 0 : LatentIndex(f, aux * s.AuxK) + Rows(aux, s.AuxK) + aux * (d + s.AuxK) * sizeof(float)
            + Encoding(d, f, s.AuxK, threads, aux);
        if (s.Architecture == TrainingArchitecture.TopK)
            return latents + batch + auxiliary + Scratch(d, s.K, threads, b);
        // More is found of each row than is kept, and the values of all are pooled.
        var perRow = BatchTopKEncoder.PerRow(s.DSae, s.K);
        return latents + batch + auxiliary + Encoding(d, f, perRow, threads, b) - Packed(d, f) + Rows(b, perRow) + b * perRow * sizeof(float);
    }

    /// <summary>
    /// Several autoencoders in one pass: each one's trainer, less what they share.
    /// </summary>
    public static long Training(IReadOnlyList<SaeTrainingSettings> sweep, int threads) => sweep.Sum(s => Training(s, threads))
        + (sweep.Count > 1 ? (2L - sweep.Count) * sweep[0].BatchTokens * SaeTrainingSettings.Padded(sweep[0].DIn) * sizeof(float) : 0);

    // What an encoder holds that screens, or that computes all where that costs no more.
    private static long Encoding(long d, long latents, int k, int threads, long rows) => latents > Screens.Screen.DenseShare * k
        ? Packed(d, latents) + Scratch(d, k, threads, rows)
        : threads * (TopKEncoder.DenseRows + 2L) * latents * sizeof(float);

    /// <summary>
    /// What is held beside the trainer while the result is taken and judged: its weights, what encoding takes, rows and their reconstructions, and each
    /// latent's nearest for each thread.
    /// </summary>
    public static long Judging(SaeTrainingSettings s, int threads) =>
        Weights(s.DIn, s.DSae) + Using(s.DIn, s.DSae, s.K, threads) + 2L * Chunk * s.DIn * sizeof(float)
        + (threads + 3L) * s.DSae * sizeof(float);

    /// <summary>What an autoencoder that encodes holds beside its weights: W_enc packed, a chunk of rows and their codes.</summary>
    public static long Using(int dIn, int dSae, int k, int threads)
    {
        long d = SaeTrainingSettings.Padded(dIn);
        return Packed(d, dSae) + 3 * Chunk * d * sizeof(float) + 3 * Rows(Chunk, k) + Scratch(d, k, threads, Chunk);
    }

    private static long Rows(long rows, int k) => rows * (1 + 2L * k) * sizeof(int);

    // 8 chunks' cursors and the starts; a row, a value and a product for each entry.
    private static long LatentIndex(long latents, long entries) => 9 * latents * sizeof(int) + 3 * entries * sizeof(int);

    // Components, and a scale and a bias of each latent.
    private static long Packed(long d, long latents) => latents * (d * ComponentBytes + 2 * sizeof(float));

    // Each thread's packed rows and their candidates.
    private static long Scratch(long d, int k, int threads, long batch)
    {
        // Of rows in 16 bits there are sums too, three for each four parts: see Strassen.
        var ofRow = Screens.Screen.Fastest == "float" ? sizeof(float) * d : sizeof(short) * d * 7 / 4;
        var rows = Math.Min(TopKEncoder.BlockBytes / ofRow, batch / (4 * threads) + 8);
        return threads * rows * (ofRow + Screens.Candidates.CapacityFor(k) * 2L * sizeof(int));
    }

    private static int ComponentBytes => Screens.Screen.Fastest == "float" ? sizeof(float) : sizeof(short);
}
