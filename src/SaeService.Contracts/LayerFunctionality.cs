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
/// <param name="Arch"><c>topk</c>, <c>standard</c> (ReLU) or <c>jumprelu</c>.</param>
/// <param name="K">0 where the architecture has none.</param>
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

    /// <summary>For dep: I_V beyond what the part of speech says. Null for other tasks.</summary>
    public double? GivenPosBits { get; init; }
    public required IReadOnlyList<LabelInformation> PerLabel { get; init; }
}

public sealed record InformationEstimate(double Value, double[] Ci95, string Estimator, int NTrain, int NTest);

/// <summary>The same softmax read as a binary code for one label.</summary>
public sealed record LabelInformation(string Label, double IvBits, double[] Ci95, double Normalised, int Support)
{
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
}

/// <param name="Localised">False where the profile is too flat for the value to mean anything (method 1c).</param>
public sealed record CentreOfGravity(double Value, double Relative, double[] Ci95, double ConcentrationBits, bool Localised);

/// <summary>From per-layer information as it is and from its running maximum; suppressed where context adds less than 2 points.</summary>
/// <param name="Signed">Null where the last layer is less than 2 points above the first: the ratio then leaves the range of layers.</param>
/// <param name="Headroom">Best layer minus the first, as a share of the label's entropy.</param>
public sealed record ExpectedLayer(double? Signed, double RunningMax, double Headroom);

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

    /// <summary>How many features pass as highly consistent where they should not.</summary>
    public ConsistencyControls? Controls { get; init; }

    /// <summary>The autoencoder and what it is compared with under the same rules, side by side.</summary>
    public IReadOnlyList<DictionaryFindings> Dictionaries { get; init; } = [];
}

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
    /// To set <see cref="UnionF1"/> and the best feature's F1 (a sparse probe with k = 1) between: of the linear probe on the whole vector, and of a tagger that
    /// knows word forms only. Both are of test documents, while features are judged on dev and test documents. Null where the label has no scored word.
    /// </summary>
    public double? ProbeF1 { get; init; }

    /// <inheritdoc cref="ProbeF1"/>
    public double? TypeF1 { get; init; }
}

/// <param name="Plain">A sentence or two, filled in from established cells only.</param>
/// <param name="Confidence"><c>high</c>, <c>medium</c>, <c>low</c> or <c>none</c>.</param>
/// <param name="Basis">The cells it rests on.</param>
public sealed record LayerSummary(string Plain, string Confidence, IReadOnlyList<string> Basis);

/// <param name="Tests">Held-out tests made, all layers and tasks.</param>
public sealed record MultipleTesting(string Method, string Family, int Tests);
