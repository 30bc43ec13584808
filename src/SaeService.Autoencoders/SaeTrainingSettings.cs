using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SaeService.Autoencoders;

/// <summary>How latents are chosen in training. Names on the wire are those of SAELens.</summary>
public enum TrainingArchitecture
{
    /// <summary><c>topk</c>: the k largest of each token (Gao et al. 2024).</summary>
    TopK,

    /// <summary><c>batchtopk</c>: the B k largest of a batch of B tokens (Bussmann et al. 2024, arXiv 2412.06410). In use, a JumpReLU.</summary>
    BatchTopK,

    /// <summary><c>matryoshka_batchtopk</c>: the same, and nested prefixes of the latents each reconstruct (Bussmann et al. 2025, arXiv 2503.17547).</summary>
    MatryoshkaBatchTopK,
}

/// <summary>
/// What an autoencoder is trained with. Every value has a default after Gao et al. (2024, arXiv 2406.04093) and the repairs that later
/// work made to their recipe; the resolved values are the members without a question mark.
/// </summary>
/// <param name="DIn">d_in, width of the activations.</param>
/// <param name="DSae">d_sae, number of latents.</param>
/// <param name="K">Latents kept for one token, of a batch's top-k on average.</param>
/// <param name="Seed">Of the initial directions and, where no other is given, of the order of the tokens.</param>
/// <param name="TrainTokens">Tokens seen in training, repeated ones counted; rounded up to whole batches.</param>
/// <param name="BatchTokens">Tokens in a step.</param>
/// <param name="LearningRate">Peak of the schedule; absent: <see cref="PeakLearningRate"/>.</param>
public sealed record SaeTrainingSettings(int DIn, int DSae, int K, int Seed = 0, long TrainTokens = 2_000_000, int BatchTokens = 2048, double? LearningRate = null)
{
    public TrainingArchitecture Architecture { get; init; }

    /// <summary>Of a Matryoshka autoencoder, the widths of its prefixes, ascending, the last d_sae; absent: <see cref="Prefixes"/>.</summary>
    public IReadOnlyList<int>? MatryoshkaWidths { get; init; }

    /// <summary>Of the order of the tokens and of the sample that centre and scale come from. Runs that share a pass share it. Absent: <see cref="Seed"/>.</summary>
    public int? ShuffleSeed { get; init; }

    /// <summary>Weight of the auxiliary loss that revives dead latents; 0 turns it off.</summary>
    public double AuxCoefficient { get; init; } = 1.0 / 32;

    /// <summary>Dead latents that reconstruct the residual of one token; absent: <see cref="AuxK"/>.</summary>
    public int? AuxLatents { get; init; }

    /// <summary>Tokens of a batch, the first, whose residual the dead latents reconstruct; absent: <see cref="AuxTokens"/>.</summary>
    public int? AuxBatchTokens { get; init; }

    /// <summary>Tokens without a positive value after which a latent is dead; absent: <see cref="DeadAfter"/>.</summary>
    public long? DeadAfterTokens { get; init; }

    /// <summary>Global norm to which the gradient is clipped, after the projection of the decoder's part.</summary>
    public double ClipNorm { get; init; } = 1.0;

    /// <summary>Widths that reconstruct: d_sae alone, or of a Matryoshka autoencoder by default 1, 3, 7, 15 and 32 parts in 32 of it.</summary>
    public IReadOnlyList<int> Prefixes => Architecture != TrainingArchitecture.MatryoshkaBatchTopK ? [DSae]
        : MatryoshkaWidths ?? [.. new[] { 1, 3, 7, 15, 32 }.Select(parts => (int)((long)DSae * parts / 32)).Where(width => width > 0).Distinct()];

    public int OrderSeed => ShuffleSeed ?? Seed;

    public long Steps => (TrainTokens + BatchTokens - 1) / BatchTokens;
    public long TotalTokens => Steps * BatchTokens;

    /// <summary><see cref="LearningRate"/>, or <see cref="DefaultLearningRate"/>.</summary>
    public double PeakLearningRate => LearningRate ?? DefaultLearningRate(DSae, Steps);

    /// <summary>
    /// 2e-4 / sqrt(d_sae / 2^14), the scaling law of Gao et al., raised for runs shorter than theirs by sqrt(10^5 / steps), at most tenfold, and
    /// never above 8e-3, the largest rate that was tried. Measured on residual streams of a 3 M parameter Llama (d_in 192, d_sae 1536, k 32,
    /// batches of 2048, held-out FVU): 977 steps at 6.5e-4 0.173, 2e-3 0.142, 4e-3 0.132, 8e-3 0.125; 245 steps at 6.5e-4 0.255, 4.2e-3
    /// 0.173, 8e-3 0.164; dead latents at most 0.2 %.
    /// </summary>
    public static double DefaultLearningRate(int dSae, long steps) =>
        Math.Min(8e-3, 2e-4 / Math.Sqrt(dSae / 16384.0) * Math.Clamp(Math.Sqrt(1e5 / steps), 1, 10));

    /// <summary>The power of two next to d_in / 2, at most d_sae.</summary>
    public int AuxK => Math.Min(DSae, AuxLatents ?? (int)Math.Pow(2, Math.Max(0, Math.Round(Math.Log2(DIn / 2.0)))));

    /// <summary>
    /// All of the batch as long as no more dead latents than max(2 k, 64) reconstruct a token's residual; with more, fewer by the third power, in whole blocks of 64,
    /// but an eighth at least. Tokens are shuffled, so that some estimate the loss over all without bias; and k_aux is d / 2, eight times a common k, so that all of
    /// them would cost more than the loss itself.
    /// </summary>
    public int AuxTokens(int dead)
    {
        var share = Math.Clamp(Math.Pow(Math.Max(2.0 * K, 64) / Math.Max(1, Math.Min(AuxK, dead)), 3), 0.125, 1);
        return Math.Min(BatchTokens, ((AuxBatchTokens ?? (int)(BatchTokens * share)) + 63) / 64 * 64);
    }

    /// <summary>10 million tokens, or 5 % of the budget where that is less.</summary>
    public long DeadAfter => DeadAfterTokens ?? Math.Min(10_000_000, Math.Max(1, TotalTokens / 20));

    /// <summary>1000 steps, or 5 % of the steps where that is less.</summary>
    public long WarmupSteps => Math.Min(1000, Steps / 20);

    /// <summary>Learning rate of the step with this number (from 0): linear warm-up, constant, linear decay to 0 over the last 20 %.</summary>
    public double LearningRateAt(long step)
    {
        var warm = Math.Min(1.0, (step + 1.0) / (WarmupSteps + 1.0));
        var decaySteps = Math.Max(1, Steps / 5);
        var decay = Math.Min(1.0, (Steps - step) / (double)decaySteps);
        return PeakLearningRate * warm * decay;
    }

    /// <exception cref="ArgumentException">Names the field that is out of range and says what it may be.</exception>
    public SaeTrainingSettings Validate()
    {
        Check(DIn is >= 1 and <= 65_536, nameof(DIn), DIn, "from 1 to 65536");
        Check(DSae is >= 1 and <= 1 << 22, nameof(DSae), DSae, "from 1 to 4194304");
        Check((long)DSae * Padded(DIn) <= int.MaxValue / 2, nameof(DSae), DSae, $"at most {int.MaxValue / 2 / Padded(DIn)} at DIn = {DIn}");
        Check(K is >= 1 and <= 4096, nameof(K), K, "from 1 to 4096");
        Check(K <= DSae, nameof(K), K, $"at most DSae = {DSae}");
        Check(TrainTokens is >= 1 and <= 1_000_000_000_000, nameof(TrainTokens), TrainTokens, "from 1 to 10^12");
        Check(BatchTokens is >= 1 and <= 1 << 20, nameof(BatchTokens), BatchTokens, "from 1 to 1048576");
        var widest = Math.Max(Padded(DIn) * Prefixes.Count, Math.Max(Architecture == TrainingArchitecture.TopK ? K : BatchTopKEncoder.PerRow(DSae, K), AuxK));
        Check((long)BatchTokens * widest <= int.MaxValue / 2, nameof(BatchTokens), BatchTokens, $"at most {int.MaxValue / 2 / widest} at this width");
        Check(LearningRate is null or > 0 and <= 1, nameof(LearningRate), LearningRate, "above 0 and at most 1");
        Check(AuxCoefficient is >= 0 and <= 10, nameof(AuxCoefficient), AuxCoefficient, "from 0 to 10");
        Check(AuxLatents is null or >= 1 and <= 4096, nameof(AuxLatents), AuxLatents, "from 1 to 4096");
        Check(AuxBatchTokens is null or >= 1, nameof(AuxBatchTokens), AuxBatchTokens, "at least 1");
        Check(MatryoshkaWidths is null || Architecture == TrainingArchitecture.MatryoshkaBatchTopK, nameof(MatryoshkaWidths), "given",
            $"absent for the architecture {Architecture}");
        Check(MatryoshkaWidths is null || (MatryoshkaWidths.Count is >= 1 and <= 32 && MatryoshkaWidths[0] >= 1 && MatryoshkaWidths[^1] == DSae
            && MatryoshkaWidths.Zip(MatryoshkaWidths.Skip(1)).All(pair => pair.First < pair.Second)), nameof(MatryoshkaWidths),
            MatryoshkaWidths is null ? null : string.Join(", ", MatryoshkaWidths.Take(33)), $"1 to 32 widths, ascending, from 1 up, the last DSae = {DSae}");
        Check(DeadAfterTokens is null or >= 1, nameof(DeadAfterTokens), DeadAfterTokens, "at least 1");
        Check(ClipNorm > 0, nameof(ClipNorm), ClipNorm, "above 0");
        return this;
    }

    /// <summary>SHA-256 over every resolved value: a checkpoint with another hash is of another run.</summary>
    public string Hash()
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"sae-3|{Architecture}|{string.Join(',', Prefixes)}|{DIn}|{DSae}|{K}|{Seed}|{OrderSeed}|{Steps}|{BatchTokens}|{PeakLearningRate:R}|{AuxCoefficient:R}|{AuxK}|{AuxBatchTokens}|{DeadAfter}|{ClipNorm:R}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>Floats from one row of width <paramref name="d"/> to the next in the kernels' buffers: whole cache lines.</summary>
    internal static int Padded(int d) => (d + 15) & ~15;

    private static void Check(bool holds, string field, object? value, string allowed)
    {
        if (!holds)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{field} is {value}; it must be {allowed}"), field);
    }
}
