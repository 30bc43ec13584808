namespace SaeService.Contracts;

/// <summary>One layer over all tasks.</summary>
public sealed record LayerFindings
{
    public required int Layer { get; init; }

    /// <summary><c>embed</c>, <c>blocks.0.resid_post</c> …</summary>
    public required string HookPoint { get; init; }
    public required double RelativeDepth { get; init; }

    /// <summary>Latents that fire on at least one word.</summary>
    public required int Alive { get; init; }

    /// <summary>Established and suggestive cells, best first.</summary>
    public required IReadOnlyList<Functionality> Functionalities { get; init; }

    /// <summary>True where no cell is established: a valid and common answer.</summary>
    public required bool FunctionalitiesNone { get; init; }

    /// <summary>Every label of every task with its best feature, whatever its status.</summary>
    public required IReadOnlyList<LabelCell> Cells { get; init; }

    /// <summary>The most consistent features, best first; the whole table is at <c>/v1/jobs/{id}/layers/{layer}/features</c>.</summary>
    public required IReadOnlyList<FeatureSummary> Features { get; init; }
    public required LayerSummary Summary { get; init; }

    /// <summary>Mode thorough: clusters of the vectors against word forms, what is left of the word's identity.</summary>
    public ClusterInformation? WordForms { get; init; }

    /// <summary>How many features pass as highly consistent where they should not.</summary>
    public ConsistencyControls? Controls { get; init; }

    /// <summary>By task: whether other documents would have given the features the same labels. Null for jobs that ran before it was measured.</summary>
    public IReadOnlyList<SplitConsistency>? SplitConsistency { get; init; }

    /// <summary>Against autoencoders of the layer that were trained from other seeds, one entry each. Null where there are none.</summary>
    public IReadOnlyList<SeedStability>? SeedStability { get; init; }

    /// <summary>The autoencoder and what it is compared with under the same rules, side by side.</summary>
    public IReadOnlyList<DictionaryFindings> Dictionaries { get; init; } = [];
}

/// <summary>Labels from two disjoint halves of the documents (each with half of the train and half of the held-out ones), over features that fire on enough words of both.</summary>
/// <param name="Features">Features compared: those that fire on at least <c>min_support</c> words of each half.</param>
/// <param name="Agreement">Share of them to which both halves give the same label, by highest F1. Null without features.</param>
/// <param name="Kappa">Agreement above what the labels' frequencies give by chance (Cohen 1960). Null where chance leaves nothing to be had.</param>
/// <param name="Spearman">Rank correlation of their consistency in one half with that in the other. Null where either is constant.</param>
public sealed record SplitConsistency(string Task, int Features, double? Agreement, double? Kappa, double? Spearman);

/// <summary>
/// Two autoencoders of one layer that differ in their seed. A latent of the one is matched to one of the other, largest cosine between decoder rows first, each at most
/// once and none below 0.7 (Paulo and Belrose 2025, arXiv 2501.16615, match by the Hungarian method, which from that cosine on hardly differs).
/// </summary>
/// <param name="Features">Latents with a direction, of either.</param>
/// <param name="Matched">Share of the first one's latents that have a match.</param>
/// <param name="MeanLargestCosine">Mean over the first one's latents of the largest cosine to any of the other (MMCS: Sharkey et al. 2022).</param>
/// <param name="Labels">By task.</param>
public sealed record SeedStability(int Seed, int OtherSeed, int Features, int OtherFeatures, double Matched, double MeanLargestCosine, IReadOnlyList<LabelStability> Labels);

/// <param name="Labelled">Latents of the first one with a label of the task.</param>
/// <param name="Matched">Share of these that have a match.</param>
/// <param name="SameLabel">Share of these that have a match with the same label.</param>
/// <param name="ByChance">What that share is expected to be when the labels of the other are dealt out anew among the matches.</param>
public sealed record LabelStability(string Task, int Labelled, double Matched, double SameLabel, double ByChance);

/// <summary>Highly consistent features, all tasks together, of the autoencoder and of what it is compared with under the same rules.</summary>
/// <param name="Random">Of as many random directions with the same densities, by seed.</param>
/// <param name="TokenTypes">Of detectors of frequent word forms, which know no model.</param>
/// <param name="Shuffled">Of the autoencoder with labels shuffled over words. Null: not run in this mode.</param>
public sealed record ConsistencyControls(int Autoencoder, IReadOnlyList<int> Random, int TokenTypes, int? Shuffled);

public enum CellStatus { Established, Suggestive, NotEstablished }

/// <summary>A layer x label cell that has something to say.</summary>
public sealed record Functionality
{
    public required string Task { get; init; }
    public required string Label { get; init; }
    public required IReadOnlyList<string> Aliases { get; init; }
    public required CellStatus Status { get; init; }
    public required int Rank { get; init; }

    /// <summary>Where not established: the gates that failed, by name.</summary>
    public required IReadOnlyList<string> FailedGates { get; init; }
    public required Encodes Encodes { get; init; }
    public required Distinguishes Distinguishes { get; init; }
    public required CellInformation Information { get; init; }
    public required CellFeatures Features { get; init; }
    public CausalStatus Causal { get; init; } = new("correlational");
}

/// <summary>The layer has separate features for the label: held-out F1 of "any of its consistent features fires".</summary>
public sealed record Encodes(double UnionF1, double[] Ci95, double Coverage, double UnionPrecision, GatingBaselines Baseline, Estimate Excess);

/// <summary>The same F1 of what must be beaten. Null: not run in this mode.</summary>
/// <param name="UntrainedModel">Of the best untrained model.</param>
public sealed record GatingBaselines(double Random, double TokenType, double? UntrainedModel = null);

/// <summary>Against the other layers: score minus the mean over layers, and minus the layer before.</summary>
/// <param name="LocationQuotient">log2 of the share of alive features that are for the label, over the mean of that share over layers.</param>
/// <param name="Holds">Whether the interval of the difference lies above 0: with an established status, what sets the layer apart.</param>
public sealed record Distinguishes(double DeltaFromMean, double[] Ci95, double? ChangeFromPrevious, double? LocationQuotient, bool Holds = false);

public sealed record CellInformation(double IvBits, double Normalised, double? GivenPosBits);

public sealed record CellFeatures(int Count, int Lexical, int Contextual, int Mixed, double ShareOfAlive);

public sealed record CausalStatus(string Status);

/// <summary>One label at one layer in brief.</summary>
/// <param name="Best">The single feature that detects the label best (chosen on train documents), with its held-out numbers.</param>
public sealed record LabelCell(string Task, string Label, CellStatus Status, double UnionF1, double Excess, int FeatureCount, double IvBits, double Normalised,
    int Support, FeatureSummary? Best)
{
    /// <summary>
    /// What a few features detect together, beside the one of <see cref="Best"/>. Null where it was not measured, or where train or held-out documents lack words with
    /// the label or without.
    /// </summary>
    public IReadOnlyList<SparseProbe>? SparseProbes { get; init; }

    /// <summary>
    /// To set <see cref="UnionF1"/> and the best feature's F1 (a sparse probe with k = 1) between: of the linear probe on the whole vector, and of a tagger that
    /// knows word forms only. Both are of test documents, while features are judged on dev and test documents. Null where the label has no scored word.
    /// </summary>
    public double? ProbeF1 { get; init; }

    /// <inheritdoc cref="ProbeF1"/>
    public double? TypeF1 { get; init; }
}

/// <summary>
/// A probe on <paramref name="K"/> features (Gurnee et al. 2023): those whose mean activation on words with the label differs most from that on others, on train
/// documents; logistic regression on them with an L2 penalty (scikit-learn's, C = 1, features in units of their standard deviation); judged on held-out documents.
/// </summary>
/// <param name="F1">At the threshold of highest F1 on train.</param>
/// <param name="Auroc">Chance that a word with the label scores above one without; ties count one half.</param>
/// <param name="Features">Their indices, the largest difference first.</param>
public sealed record SparseProbe(int K, double F1, double Auroc, IReadOnlyList<int> Features);

/// <param name="Plain">A sentence or two, filled in from established cells only.</param>
/// <param name="Confidence"><c>high</c>, <c>medium</c>, <c>low</c> or <c>none</c>.</param>
/// <param name="Basis">The cells it rests on.</param>
public sealed record LayerSummary(string Plain, string Confidence, IReadOnlyList<string> Basis);

/// <param name="Tests">Held-out tests made, all layers and tasks.</param>
public sealed record MultipleTesting(string Method, string Family, int Tests);
