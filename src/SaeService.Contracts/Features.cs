namespace SaeService.Contracts;

public enum FeatureKind { Lexical, Contextual, Mixed }

/// <summary>A feature against one task: label chosen on train documents, numbers from held-out documents (method 1b).</summary>
public sealed record FeatureSummary
{
    public required int Index { get; init; }
    public required string Task { get; init; }
    public required string DominantLabel { get; init; }

    /// <summary>Whether every gate of "highly consistent" is passed.</summary>
    public required bool Consistent { get; init; }

    /// <summary>Held-out share of the words it fires on that carry the label (precision).</summary>
    public required double Consistency { get; init; }

    /// <summary>Wilson 95 % lower bound of that.</summary>
    public required double ConsistencyLower { get; init; }
    public required double WeightedConsistency { get; init; }
    public required double TrainConsistency { get; init; }
    public required double Kappa { get; init; }
    public required double Recall { get; init; }
    public required double F1 { get; init; }
    public required double Mcc { get; init; }
    public required double? Auroc { get; init; }

    /// <summary>Held-out words it fires on (the idea's activationCount).</summary>
    public required int Support { get; init; }

    /// <summary>It is said to fire where its activation is above this, chosen on train documents; 0: any positive activation.</summary>
    public required double Threshold { get; init; }

    /// <summary>Consistency and support over every positive activation, whatever the threshold.</summary>
    public required double PositiveConsistency { get; init; }
    public required int PositiveSupport { get; init; }
    public required int Sentences { get; init; }
    public required double BaseRate { get; init; }
    public required double Lift { get; init; }

    /// <summary>log10 of the one-sided hypergeometric tail P(X ≥ hits): p itself underflows.</summary>
    public required double Log10P { get; init; }

    /// <summary>Benjamini-Hochberg, per layer and task; 0 where it underflows.</summary>
    public required double Q { get; init; }

    /// <summary>Exact I(fires; Y), bits, and its expectation under permutation.</summary>
    public required double MiBits { get; init; }
    public required double ExpectedMiBits { get; init; }

    /// <summary>mi_bits - expected_mi_bits. Null in results of older versions, as the three that follow.</summary>
    public double? ExcessMiBits { get; init; }

    /// <summary>I(fires; Y) / H(Y): the uncertainty coefficient.</summary>
    public double? NormalisedMi { get; init; }

    /// <summary>log10 p of I(fires; Y) by the G-test, 2 N I ~ χ²: rough where labels are rare, and words are taken as independent.</summary>
    public double? MiLog10P { get; init; }

    /// <summary>
    /// I(activation; Y) with the strength of positive activations, bits: I(activation > 0; Y) + P(activation > 0) I(activation; Y | activation > 0), the first exact,
    /// the second by nearest neighbours over active words (Ross 2014). Null where fewer held-out words than the least support are active.
    /// </summary>
    public double? MiMagnitudeBits { get; init; }

    /// <summary>H(Y | fires) / log K.</summary>
    public required double Entropy { get; init; }

    /// <summary>2^H(word form | fires): 1 means a detector of one word.</summary>
    public required double LexicalDiversity { get; init; }

    /// <summary>Mean of 1[y] - P(y | word form): above 0, it picks the occurrences that carry the label.</summary>
    public required double ContextGain { get; init; }
    public required double[]? ContextGainCi95 { get; init; }
    public required FeatureKind Kind { get; init; }
    public required IReadOnlyDictionary<string, int> LabelDistribution { get; init; }

    /// <summary>
    /// The most common label of the train words it fires on, labels that no feature may have (<c>O</c>, <c>X</c>) included: what the dominant label, which has the
    /// highest F1 there, would be without a base rate. This and what follows is null for jobs that ran before it was measured.
    /// </summary>
    public string? ModalLabel { get; init; }

    /// <summary>Consistency over the tenth of the held-out words with its highest activations; of equal activations a share.</summary>
    public double? TopDecileConsistency { get; init; }

    /// <summary>
    /// Whether two disjoint halves of the documents, train and held out alike, give it the same label. Null where it fires on fewer than <c>min_support</c> words of
    /// either half.
    /// </summary>
    public bool? SplitAgrees { get; init; }

    /// <summary>How well its label, taken for an explanation, tells where it fires. Null where it fires in no held-out window, or in all.</summary>
    public DetectionScore? Detection { get; init; }
}

/// <summary>
/// The two scores that explanations of features are usually given by asking a language model (Paulo et al. 2024, arXiv 2410.13928: detection and fuzzing), with the
/// feature's label for an explanation and no language model: "the label is there" predicts "it fires". Over held-out windows, which are runs of at most 32 labelled words of
/// one sentence. Accuracies of balanced draws, half of them firing: their expectation over all draws, so that nothing here is drawn.
/// </summary>
/// <param name="Accuracy">Detection: a window in which some word carries the label is said to be one in which the feature fires.</param>
/// <param name="Control">The same, expected with the labels shuffled inside sentences; equal where sentences are windows, for these keep their labels.</param>
/// <param name="Fuzzing">In windows in which it fires: a word that carries the label is said to be one it fires on. Null where it fires on every word of them.</param>
/// <param name="FuzzingControl">The same, expected with the labels shuffled inside sentences.</param>
/// <param name="FiringWindows">Held-out windows in which it fires, and those in which it does not.</param>
public sealed record DetectionScore(double Accuracy, double Control, double? Fuzzing, double? FuzzingControl, int FiringWindows, int SilentWindows);

/// <summary>A page of a layer's features against tasks, in the order asked for.</summary>
/// <param name="PreviousBefore">For <c>before</c>, the page before this one; null on the first.</param>
/// <param name="Total">How many match, on all pages.</param>
public sealed record FeaturePage(IReadOnlyList<FeatureSummary> Data, bool HasMore, string? NextAfter, string? PreviousBefore, long Total)
    : Page<FeatureSummary>(Data, HasMore, NextAfter);

/// <summary>One feature with everything known of it.</summary>
public sealed record FeatureDetail
{
    public required Guid JobId { get; init; }
    public required int Layer { get; init; }
    public required int Index { get; init; }
    public required bool Alive { get; init; }

    /// <summary>Share of words it fires on.</summary>
    public required double Density { get; init; }
    public required double MaxActivation { get; init; }
    public required double MeanActivation { get; init; }
    public required IReadOnlyList<FeatureSummary> Tasks { get; init; }
    public required ActivationHistogram Histogram { get; init; }

    /// <summary>By task, the words of <see cref="Histogram"/> by what they are labelled. Empty for jobs that ran before it was counted.</summary>
    public IReadOnlyList<LabelHistogram> LabelHistograms { get; init; } = [];

    /// <summary>Where it fires most strongly, one word a sentence, strongest first.</summary>
    public required IReadOnlyList<ActivatingContext> TopContexts { get; init; }

    /// <summary>Where it fires from weakly to strongly: samples of equal intervals of the activations, the strongest interval first. Empty for jobs that ran before they were drawn.</summary>
    public IReadOnlyList<ActivationInterval> Intervals { get; init; } = [];
    public required IReadOnlyList<TokenEffect> Promoted { get; init; }
    public required IReadOnlyList<TokenEffect> Suppressed { get; init; }
}

/// <summary>Positive activations over words, in equal bins from 0 to the maximum.</summary>
public sealed record ActivationHistogram(IReadOnlyList<double> Edges, IReadOnlyList<int> Counts);

/// <summary>A task's words in the bins of the feature's histogram.</summary>
/// <param name="Labels">The labels that most of the words have, at most seven, most common first.</param>
/// <param name="Other">Words of all other labels, and of none. With the labels' counts it adds up to the histogram.</param>
public sealed record LabelHistogram(string Task, IReadOnlyList<LabelCounts> Labels, IReadOnlyList<int> Other);

/// <param name="Counts">By bin.</param>
public sealed record LabelCounts(string Label, IReadOnlyList<int> Counts);

/// <summary>An interval of a feature's activations: Low to below High, and in the last to High, the maximum.</summary>
/// <param name="Words">On which it fires so strongly.</param>
/// <param name="Share">These among all words on which it fires.</param>
/// <param name="Contexts">Some of them, drawn at random but always the same, one a sentence, strongest first.</param>
public sealed record ActivationInterval(double Low, double High, int Words, double Share, IReadOnlyList<ActivatingContext> Contexts);

/// <summary>A word on which a feature fires, with at most twelve words of its sentence on either side: words as the data set has them, not tokens of the model.</summary>
/// <param name="Text">The whole sentence.</param>
/// <param name="Position">Index into <paramref name="Words"/> of the word that fires.</param>
/// <param name="Activations">Of each word shown, aligned with <paramref name="Words"/>.</param>
/// <param name="Labels">By task, of the word at <paramref name="Position"/>.</param>
public sealed record ActivatingContext(string Text, IReadOnlyList<string> Words, int Position, double Activation, IReadOnlyList<double> Activations,
    IReadOnlyDictionary<string, string?> Labels, string Sentence);

/// <param name="Value">Change of the token's logit per unit of activation, through the final norm's gain and the unembedding, centred.</param>
public sealed record TokenEffect(string Token, double Value);

/// <summary>The features whose decoder directions are most like one feature's.</summary>
public sealed record FeatureNeighbours(Guid JobId, int Layer, int Index, IReadOnlyList<LayerNeighbours> Layers);

/// <param name="Neighbours">Most like first.</param>
public sealed record LayerNeighbours(int Layer, IReadOnlyList<FeatureNeighbour> Neighbours);

/// <param name="Cosine">Of the two decoder directions, -1 to 1.</param>
/// <param name="Labels">That it is highly consistent for; empty where it is for none, or where its layer is not labelled yet.</param>
public sealed record FeatureNeighbour(int Index, double Cosine, IReadOnlyList<NeighbourLabel> Labels);

/// <param name="ConsistencyLower">Wilson 95 % lower bound of its consistency.</param>
public sealed record NeighbourLabel(string Task, string Label, double ConsistencyLower);

/// <summary>Layer x task and layer x label information with nulls, controls and intervals.</summary>
/// <param name="WordForms">By layer, clusters against word forms; empty outside mode thorough.</param>
public sealed record MutualInformationDocument(Guid JobId, IReadOnlyList<int> Layers, IReadOnlyList<TaskFindings> Tasks, IReadOnlyList<ClusterInformation> WordForms);

/// <summary>By label: score by depth, centre of gravity, expected layer.</summary>
public sealed record ProfilesDocument(Guid JobId, IReadOnlyList<int> Layers, IReadOnlyList<TaskProfiles> Tasks);

public sealed record TaskProfiles(string Task, IReadOnlyList<LabelProfile> Profiles);

/// <summary>One layer of the document, with its autoencoder's training curve.</summary>
public sealed record LayerDocument(Guid JobId, LayerFindings Layer, SaeProvenance Sae, SaeTraining Training);

public sealed record SaeTraining(double Seconds, double TokensPerSecond, IReadOnlyList<TrainingPoint> Curve, IReadOnlyList<int> DensityHistogram)
{
    /// <summary>Of <c>sae.variants</c>, in that order; null where there are none. Seconds and pace are those of the pass they share.</summary>
    public IReadOnlyList<SaeTraining>? Variants { get; init; }
}

/// <param name="Fvu">Of the training batches since the last point.</param>
/// <param name="AuxLoss">Normalised loss of the dead latents' reconstruction of the residual.</param>
public sealed record TrainingPoint(long Tokens, double Fvu, double AuxLoss, double L0, double Dead, double LearningRate);
