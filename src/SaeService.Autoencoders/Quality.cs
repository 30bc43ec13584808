namespace SaeService.Autoencoders;

/// <summary>
/// How faithful an autoencoder is on a set of rows, by published formulas. Sums run over all rows that were looked at, in float64; a mean over batches of
/// ratios, which depends on the size of the batches, is only in <see cref="ExplainedVarianceLegacy"/>.
/// </summary>
public sealed record SaeQuality
{
    /// <summary>Bins of <see cref="LogDensityHistogram"/>: eight a decade from 10^-6 to 1; rarer latents count in the first.</summary>
    public const int DensityBins = 48;
    private const int BinsPerDecade = 8, Decades = 6;

    /// <summary>Rows looked at.</summary>
    public required long Tokens { get; init; }

    /// <summary>
    /// Fraction of variance unexplained: sum ‖x - x̂‖² / sum ‖x - mean‖², the mean over all rows (Cunningham et al. 2023, arXiv 2309.08600). A reconstruction
    /// by the mean gives 1; NaN where the rows do not vary.
    /// </summary>
    public required double Fvu { get; init; }

    /// <summary>1 - FVU, as SAELens has it since 6.45.1.</summary>
    public double ExplainedVariance => 1 - Fvu;

    /// <summary>
    /// Mean over rows of 1 - ‖x - x̂‖² / ‖x - mean of its block of 2048‖²: what older SAELens and SAEBench report, for comparison with their figures. Rows that
    /// are the mean of their block are left out; NaN where all are.
    /// </summary>
    public required double ExplainedVarianceLegacy { get; init; }

    /// <summary>Mean over rows of the cosine between x and x̂ (SAEBench's cossim); 0 for a row where either is 0.</summary>
    public required double Cosine { get; init; }

    /// <summary>
    /// Mean over rows of ‖x̂‖ / ‖x‖ (SAEBench's l2_ratio): below 1, reconstructions are too short. Rows of zeros are left out; NaN where all are.
    /// </summary>
    public required double NormRatio { get; init; }

    /// <summary>
    /// γ = sum ‖x̂‖² / sum ⟨x̂, x⟩, the factor by which the reconstructions are best divided: below 1 they shrink (defined by Rajamanoharan et al. 2024, arXiv
    /// 2404.16014). NaN where they are all 0.
    /// </summary>
    public required double RelativeReconstructionBias { get; init; }

    /// <summary>Mean number of active latents on a row.</summary>
    public required double L0 { get; init; }

    /// <summary>Rows on which each latent is active, [F].</summary>
    public required IReadOnlyList<long> Fired { get; init; }

    /// <summary>Mean over latents of the largest |cosine| of their decoder row to another's.</summary>
    public required double DecoderCosineMean { get; init; }

    /// <summary>Largest |cosine| between two decoder rows: near 1, two latents are one.</summary>
    public required double DecoderCosineMax { get; init; }

    /// <summary>Latents active on none of the rows.</summary>
    public int Dead => Fired.Count(n => n == 0);
    public double DeadShare => (double)Dead / Fired.Count;

    /// <summary>Latents by log10 of the share of rows they are active on, dead ones left out.</summary>
    public int[] LogDensityHistogram
    {
        get
        {
            var bins = new int[DensityBins];
            foreach (var n in Fired)
                if (n > 0)
                    bins[Math.Clamp((int)((Math.Log10((double)n / Tokens) + Decades) * BinsPerDecade), 0, DensityBins - 1)]++;
            return bins;
        }
    }
}

/// <summary>Measures an autoencoder in one streaming pass; memory is one block of rows.</summary>
public static class Quality
{
    private const int BlockRows = 2048;

    /// <param name="sae">The autoencoder.</param>
    /// <param name="activations">The file it is measured on.</param>
    /// <param name="rows">Which of its rows.</param>
    /// <exception cref="ArgumentException">No rows, or a width that does not fit.</exception>
    public static SaeQuality Evaluate(SparseAutoencoder sae, ActivationFile activations, ReadOnlySpan<int> rows)
    {
        var d = sae.DIn;
        if (activations.Dim != d)
            throw new ArgumentException($"the autoencoder takes rows of {d}, {activations.Path} has rows of {activations.Dim}", nameof(activations));
        if (rows.Length == 0)
            throw new ArgumentException("there is no row to evaluate on", nameof(rows));
        var size = Math.Min(BlockRows, rows.Length);
        float[] x = new float[size * d], reconstruction = new float[size * d];   // [block, d]
        var sums = new ReconstructionSums(sae.DecoderBias);
        var fired = new long[sae.DSae];
        long active = 0;
        for (var first = 0; first < rows.Length; first += size)
        {
            var n = Math.Min(size, rows.Length - first);
            activations.Gather(rows.Slice(first, n), x.AsSpan(0, n * d));
            var codes = sae.Encode(x.AsSpan(0, n * d), n);
            sae.Decode(codes, reconstruction.AsSpan(0, n * d));
            active += codes.NonZeros;
            foreach (var latent in codes.Index)
                fired[latent]++;
            sums.Add(x.AsSpan(0, n * d), reconstruction.AsSpan(0, n * d));
        }
        var cosines = DecoderCosines.Largest(sae, new Lanes());
        return new()
        {
            Tokens = rows.Length,
            Fvu = sums.Fvu,
            ExplainedVarianceLegacy = sums.ExplainedVarianceLegacy,
            Cosine = sums.Cosine,
            NormRatio = sums.NormRatio,
            RelativeReconstructionBias = sums.RelativeReconstructionBias,
            L0 = (double)active / rows.Length,
            Fired = fired,
            DecoderCosineMean = cosines.Average(c => (double)c),
            DecoderCosineMax = cosines.Max(),
        };
    }
}
