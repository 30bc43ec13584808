namespace SaeService.Contracts;

public sealed record Provenance
{
    public required ModelProvenance Model { get; init; }
    public required DataProvenance Data { get; init; }
    public required IReadOnlyList<SaeProvenance> Sae { get; init; }

    /// <summary>The request, resolved.</summary>
    public required JobRequest Settings { get; init; }

    /// <summary>Of the settings as they stand here, and of the packed corpus: tokens, words on them, labels and split. Null for jobs that ran before these were kept.</summary>
    public string? SettingsSha256 { get; init; }
    public string? CorpusSha256 { get; init; }

    /// <summary>Version, with the commit it was built from where that was known.</summary>
    public required string Software { get; init; }
    public required string Device { get; init; }
}

public sealed record FileHash(string Path, long Bytes, string Sha256);

/// <param name="Revision">Commit of the hub that the files are of; null where the model is a folder.</param>
/// <param name="Licence">As its card declares it; null where that is not known.</param>
public sealed record ModelProvenance(string Name, string? Revision, string Family, string Type, int Layers, int DModel, string Hook, IReadOnlyList<FileHash> Files,
    string? Licence = null);

/// <param name="Split">How documents were parted, in words.</param>
/// <param name="SplitSha256">Of the lines "document TAB part", in corpus order; the list itself is at <c>/v1/jobs/{id}/exports/split.json</c>.</param>
/// <param name="Revision">Commit that the files are of, where they were fetched.</param>
/// <param name="Licence">As the catalogue or the data set's card declares it; null where that is not known.</param>
public sealed record DataProvenance(string Name, IReadOnlyList<FileHash> Files, string Split, string SplitSha256, string Text, string? Revision = null, string? Licence = null);

/// <summary>One layer's autoencoder and how faithful it is on held-out tokens.</summary>
/// <param name="Fvu">Fraction of variance unexplained; x̂ = mean gives 1.</param>
/// <param name="L0">Mean number of active latents a token.</param>
/// <param name="Dead">Share of latents that fired on no held-out token.</param>
/// <param name="Arch">As trained here, <c>topk</c>, <c>batchtopk</c> or <c>matryoshka_batchtopk</c>; of others' <c>topk</c>, <c>standard</c> (ReLU) or <c>jumprelu</c>.</param>
/// <param name="K">0 where the architecture has none; of a batch's top-k, latents on an average token in training.</param>
/// <param name="TrainTokens">Here; 0 where it was trained elsewhere, and so is the seed.</param>
/// <param name="Gate"><c>pass</c> or <c>unfaithful</c> (FVU above 0.3, or less than 0.9 of the loss recovered where that was measured).</param>
/// <param name="Sha256">Of the weights as they are exported.</param>
/// <param name="Pretrained">Where it comes from, if it was not trained here.</param>
public sealed record SaeProvenance(int Layer, string Arch, int K, int DSae, int Seed, long TrainTokens, double Fvu, double L0, double Dead, string Gate,
    string Sha256, SaeOrigin? Pretrained = null)
{
    /// <summary>1 - FVU. This and what follows is null for jobs that ran before it was measured.</summary>
    public double? ExplainedVariance { get; init; }

    /// <summary>Mean over tokens of 1 - ‖x - x̂‖² / ‖x - mean of its block of 2048‖²: the figure of older SAELens and SAEBench, for comparison only.</summary>
    public double? ExplainedVarianceLegacy { get; init; }

    /// <summary>Mean cosine between a token's vector and its reconstruction.</summary>
    public double? Cosine { get; init; }

    /// <summary>Mean ‖x̂‖ / ‖x‖; below 1, reconstructions are too short.</summary>
    public double? NormRatio { get; init; }

    /// <summary>sum ‖x̂‖² / sum ⟨x̂, x⟩: by what the reconstructions are best divided (Rajamanoharan et al. 2024).</summary>
    public double? RelativeReconstructionBias { get; init; }

    /// <summary>Mean over latents of the largest |cosine| of their decoder row to another's.</summary>
    public double? DecoderCosineMean { get; init; }

    /// <summary>Largest |cosine| between two decoder rows; near 1, two latents are one.</summary>
    public double? DecoderCosineMax { get; init; }

    /// <summary>Null where it was not measured; the caveats say why.</summary>
    public SplicedLoss? Splice { get; init; }

    /// <summary>What was trained beside it (<c>sae.variants</c>), in that order; null where nothing was.</summary>
    public IReadOnlyList<SaeProvenance>? Variants { get; init; }
}

/// <summary>
/// The model's next-token loss on held-out documents with the layer's vectors replaced: by the autoencoder's reconstructions (<c>sae</c>), by zeros
/// (<c>zero</c>) or by their mean over train documents (<c>mean</c>). Special tokens and attention sinks keep their vectors; predictions made from replaced
/// vectors count. Nats a token. Zeros are a weak reference in a residual stream: nearly any reconstruction recovers most of their loss. Look at
/// <see cref="DeltaCe"/> and the mean too.
/// </summary>
public sealed record SplicedLoss
{
    /// <summary>Predictions measured.</summary>
    public required long Tokens { get; init; }

    /// <summary>Cross-entropy of the model as it is.</summary>
    public required double CeClean { get; init; }
    public required double CeSae { get; init; }
    public required double CeZero { get; init; }
    public required double CeMean { get; init; }

    /// <summary>ce_sae - ce_clean.</summary>
    public required double DeltaCe { get; init; }

    /// <summary>KL(clean ‖ sae): of the next token's distribution without and with reconstructions.</summary>
    public required double Kl { get; init; }
    public required double KlZero { get; init; }
    public required double KlMean { get; init; }

    /// <summary>(ce_zero - ce_sae) / (ce_zero - ce_clean); 1: nothing is lost, 0: no better than zeros. Null where zeros change nothing.</summary>
    public required double? CeLossRecovered { get; init; }

    /// <summary>(ce_mean - ce_sae) / (ce_mean - ce_clean).</summary>
    public required double? CeLossRecoveredMean { get; init; }
}

/// <summary>An autoencoder that was trained elsewhere.</summary>
/// <param name="Name">Its folder as the request has it, or the repository's id and the folder in it.</param>
/// <param name="Revision">The commit, of a repository.</param>
/// <param name="Format"><c>saelens</c>, <c>sparsify</c>, <c>dictionary_learning</c> or <c>openai</c>.</param>
/// <param name="Files">What was read.</param>
public sealed record SaeOrigin(string Name, string? Revision, string Format, IReadOnlyList<FileHash> Files);
