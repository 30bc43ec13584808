namespace SaeService.Contracts;

/// <summary>What each layer does: the document of method section 6, schema <c>layer-functionality/1.0</c>.</summary>
public sealed record LayerFunctionalityDocument
{
    public string Schema { get; init; } = "layer-functionality/1.0";
    public required Guid Id { get; init; }
    public required DateTimeOffset CreatedUtc { get; init; }
    public required Provenance Provenance { get; init; }
    public required Counts Counts { get; init; }
    public required IReadOnlyList<TaskFindings> Tasks { get; init; }
    public required IReadOnlyList<LayerFindings> Layers { get; init; }
    public required MultipleTesting MultipleTesting { get; init; }
    public required IReadOnlyList<string> Caveats { get; init; }
    public required IReadOnlyDictionary<string, string> Glossary { get; init; }
}

/// <summary>A value with its 95 % document-bootstrap interval [low, high].</summary>
public sealed record Estimate(double Value, double[]? Ci95 = null);

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

/// <summary>What was left after every filter.</summary>
public sealed record Counts
{
    public required int Documents { get; init; }
    public required int Sentences { get; init; }
    public required int Words { get; init; }
    public required int Tokens { get; init; }
    public required int Aligned { get; init; }
    public required int AmbiguousDropped { get; init; }
    public required int UnalignedDropped { get; init; }
    public required int MultiwordDropped { get; init; }
    public required int TruncatedDropped { get; init; }
    public required int TooManyPiecesDropped { get; init; }
    public required int FirstPositionDropped { get; init; }

    /// <summary>Words dropped at some layer for a vector longer than the norm filter allows, by layer.</summary>
    public required IReadOnlyDictionary<string, int> NormFiltered { get; init; }

    /// <summary>Words kept, by part of the split.</summary>
    public required IReadOnlyDictionary<string, int> Split { get; init; }

    /// <summary>Kept words by task and label.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyDictionary<string, int>> PerLabel { get; init; }
}

/// <summary>One task over all layers.</summary>
public sealed record TaskFindings
{
    public required string Task { get; init; }
    public required int Labels { get; init; }
    public required double EntropyBits { get; init; }
    public required double Majority { get; init; }
    public required double TypeBaselineAccuracy { get; init; }

    /// <summary>Mean over labels of the F1 of a tagger that knows word forms only.</summary>
    public double? TypeBaselineMacroF1 { get; init; }

    /// <summary>Held-out information of a word-type table, bits.</summary>
    public required double TypeInformationBits { get; init; }
    public required string Target { get; init; }

    /// <summary>L2 strength of the probes, chosen on the dev part at one layer and held fixed across layers.</summary>
    public required double Lambda { get; init; }
    public required IReadOnlyList<LayerInformation> Layers { get; init; }

    /// <summary>Layers whose information is not significantly below that of the best (paired document bootstrap). Empty where no layer has any.</summary>
    public IReadOnlyList<int> InformationPeakSet { get; init; } = [];

    /// <summary>Where <c>information.target</c> is <c>both</c>: the same with the next word's label as target.</summary>
    public NextWordFindings? NextWord { get; init; }
    public required IReadOnlyList<LabelProfile> Profiles { get; init; }
}

/// <summary>Held-out linear V-information between a layer's representation and a task's labels, with its controls.</summary>
public sealed record LayerInformation
{
    public required int Layer { get; init; }
    public required InformationEstimate IvBits { get; init; }

    /// <summary>I_V / H_V(Y): the uncertainty coefficient.</summary>
    public required double Normalised { get; init; }

    /// <summary>I_V minus the word-type table's: what context adds.</summary>
    public required Estimate ContextGainBits { get; init; }

    /// <summary>I_V of a control task that gives every word type a random label (Hewitt and Liang 2019).</summary>
    public required double ControlBits { get; init; }
    public required double SelectivityBits { get; init; }

    /// <summary>I_V with labels shuffled over words: near or below zero.</summary>
    public required double ShuffledBits { get; init; }
    /// <summary>I_V of the same layer of the untrained model, fresh; what architecture and tokenizer give for nothing. Null: not run in this mode.</summary>
    public double? UntrainedBits { get; init; }

    /// <summary>I_V of the same layer under trained embeddings and permuted blocks. Null: not run in this mode.</summary>
    public double? PermutedBits { get; init; }
    public required double Accuracy { get; init; }
    public required double MacroF1 { get; init; }

    /// <summary>Of the control task's probe. Null in documents of older versions, as all that follows it.</summary>
    public double? ControlAccuracy { get; init; }

    /// <summary>accuracy - control_accuracy: Hewitt and Liang's selectivity as they have it.</summary>
    public double? SelectivityAccuracy { get; init; }

    /// <summary>I_V minus that of the layer measured before, in the same resampled documents. Null at the first.</summary>
    public Estimate? ChangeFromPrevious { get; init; }

    /// <summary>For dep: I_V beyond what the part of speech says. Null for other tasks.</summary>
    public double? GivenPosBits { get; init; }
    public double[]? GivenPosCi95 { get; init; }

    /// <summary>Of a task with the label <c>O</c>; null for others, and where too few words carry another.</summary>
    public WithoutO? WithoutO { get; init; }

    /// <summary>Modes full and thorough.</summary>
    public DimensionInformation? Dimensions { get; init; }

    /// <summary>Mode thorough, as what follows.</summary>
    public OnlineCode? OnlineCode { get; init; }
    public MlpBound? Mlp { get; init; }
    public ClusterInformation? Clusters { get; init; }
    public required IReadOnlyList<LabelInformation> PerLabel { get; init; }
}

public sealed record InformationEstimate(double Value, double[] Ci95, string Estimator, int NTrain, int NTest);

/// <summary>The same softmax read as a binary code for one label.</summary>
public sealed record LabelInformation(string Label, double IvBits, double[] Ci95, double Normalised, int Support)
{
    /// <summary>For dep: what the vectors say of this label beyond the part of speech. Null for other tasks.</summary>
    public double? GivenPosBits { get; init; }
    public double[]? GivenPosCi95 { get; init; }
    /// <summary>F1 of "the probe thinks this label likeliest": about what a detector of the label could reach with the whole vector.</summary>
    public double? ProbeF1 { get; init; }

    /// <summary>The same of the word-type table, a tagger that knows forms only; the same at every layer.</summary>
    public double? TypeF1 { get; init; }
}

/// <summary>One label by depth.</summary>
public sealed record LabelProfile
{
    public required string Label { get; init; }
    public required IReadOnlyList<string> Aliases { get; init; }

    /// <summary>Excess union F1 over the best gating baseline, by layer asked for.</summary>
    public required IReadOnlyList<double> Score { get; init; }

    /// <summary>I_V(1[y]) / H(1[y]), by layer.</summary>
    public required IReadOnlyList<double> Information { get; init; }
    public required CentreOfGravity? CentreOfGravity { get; init; }
    public required ExpectedLayer? ExpectedLayerPerLayer { get; init; }

    /// <summary>Layers not significantly worse than the best (paired document bootstrap).</summary>
    public required IReadOnlyList<int> PeakSet { get; init; }

    /// <summary>The same of the information.</summary>
    public IReadOnlyList<int> InformationPeakSet { get; init; } = [];

    /// <summary>First layer with at least 0.9 of the best score; null where there is no score.</summary>
    public int? Onset { get; init; }
}

/// <param name="Localised">False where the profile is too flat for the value to mean anything (method 1c).</param>
public sealed record CentreOfGravity(double Value, double Relative, double[] Ci95, double ConcentrationBits, bool Localised);

/// <summary>From per-layer information as it is and from its running maximum; suppressed where context adds less than 2 points.</summary>
/// <param name="Signed">Null where the last layer is less than 2 points above the first: the ratio then leaves the range of layers.</param>
/// <param name="Headroom">Best layer minus the first, as a share of the label's entropy.</param>
/// <param name="SignedCi95">95 % document bootstrap, paired across layers; null with <paramref name="Signed"/>.</param>
/// <param name="GainConcentrationBits">KL of the positive gains from uniform over the layers above the first: near 0, gains are spread evenly.</param>
public sealed record ExpectedLayer(double? Signed, double RunningMax, double Headroom, double[]? SignedCi95 = null, double[]? RunningMaxCi95 = null,
    double? GainConcentrationBits = null);

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
