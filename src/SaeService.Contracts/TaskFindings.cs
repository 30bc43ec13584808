namespace SaeService.Contracts;

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
