namespace SaeService.Contracts;

/// <summary>
/// Information over the words of entities only: the task without <c>O</c>, which most words carry and which rules bits and accuracy. Probes of its own, fitted
/// and scored on those words.
/// </summary>
public sealed record WithoutO
{
    public required double EntropyBits { get; init; }
    public required InformationEstimate IvBits { get; init; }

    /// <summary>I_V / H_V(Y).</summary>
    public required double Normalised { get; init; }
    public required double TypeInformationBits { get; init; }
    public required double ControlBits { get; init; }
    public required double ShuffledBits { get; init; }
    public required double Accuracy { get; init; }
    public required double MacroF1 { get; init; }
}

/// <summary>
/// The task with the label of the next word as its target, read from the last piece of this one: what a causal model is about in its last layers (Voita
/// et al. 2019). Words whose next word is of another document, or was dropped, are left out. The word-type table predicts from this word's form too.
/// </summary>
public sealed record NextWordFindings
{
    public required double EntropyBits { get; init; }
    public required double Majority { get; init; }
    public required double TypeBaselineAccuracy { get; init; }
    public required double TypeInformationBits { get; init; }
    public required double Lambda { get; init; }
    public required IReadOnlyList<LayerInformation> Layers { get; init; }
}

/// <summary>
/// Single dimensions of the layer's vectors against the task's labels by nearest neighbours (Ross 2014), as scikit-learn's <c>mutual_info_classif</c>, on
/// the probes' train words. For rankings of axes only: neither maximum nor sum is the information of the vector. At the embedding a dimension has one value
/// for each token, which names it: there every dimension knows what the word form knows.
/// </summary>
/// <param name="Words">N.</param>
/// <param name="Neighbours">k.</param>
/// <param name="ShuffledMaxBits">The largest value of any dimension once labels are shuffled: what the best of so many axes has by chance.</param>
/// <param name="Dimensions">The dimensions with most, best first; the first is 0.</param>
public sealed record DimensionInformation(string Estimator, int Neighbours, int Words, double ShuffledMaxBits, IReadOnlyList<DimensionBits> Dimensions);

public sealed record DimensionBits(int Dimension, double Bits);

/// <summary>
/// Plug-in information between k-means clusters of the layer's vectors and labels (Voita et al. 2019). Mostly bias where clusters or labels are many: for
/// the shape over layers only, beside <paramref name="ShuffledBits"/>. The same words and the same k at every layer.
/// </summary>
/// <param name="Words">N.</param>
/// <param name="K">Clusters: 200, at most sqrt(N).</param>
/// <param name="Labels">Distinct labels, or word forms.</param>
/// <param name="EntropyBits">H(Y) over these words.</param>
/// <param name="ShuffledBits">The same estimate with the labels shuffled over the words.</param>
/// <param name="ExpectedBits">Its expectation over all shuffles, in closed form (Vinh et al. 2010).</param>
/// <param name="Adjusted">(I - E) / (mean(H) - E), the adjusted mutual information.</param>
public sealed record ClusterInformation(string Method, int Words, int K, int Labels, double EntropyBits, double Bits, double ShuffledBits, double ExpectedBits,
    double Adjusted);

/// <summary>
/// Minimum description length by online code (Voita and Titov 2020): train words in the order of shuffled sentences, each block coded by a linear probe
/// fitted on all blocks before it, the first uniformly. Bits, over all words.
/// </summary>
public sealed record OnlineCode
{
    public required int Words { get; init; }

    /// <summary>K.</summary>
    public required int Labels { get; init; }

    /// <summary>L_online.</summary>
    public required double Bits { get; init; }

    /// <summary>n log2 K.</summary>
    public required double UniformBits { get; init; }

    /// <summary>uniform / online.</summary>
    public required double Compression { get; init; }

    /// <summary>Code of all words by the probe fitted on all of them.</summary>
    public required double DataBits { get; init; }

    /// <summary>online - data: what the probe itself costs.</summary>
    public required double ModelBits { get; init; }

    /// <summary>Cumulative words and the bits of each block; the first is coded uniformly.</summary>
    public required IReadOnlyList<OnlineCodeBlock> Blocks { get; init; }

    /// <summary>Of the control task: a random label for each word form.</summary>
    public OnlineCode? Control { get; init; }
}

/// <param name="Fraction">Of the sentences, up to the end of this block.</param>
public sealed record OnlineCodeBlock(double Fraction, int Words, double Bits);

/// <summary>
/// Held-out information by a network with one hidden layer: a second lower bound, tighter where the labels are there but not linearly. Of three initialisations
/// the best on dev words. It memorises word forms more readily than the linear probe, so its selectivity is the smaller.
/// </summary>
public sealed record MlpBound
{
    public required InformationEstimate IvBits { get; init; }

    /// <summary>I_V / H_V(Y).</summary>
    public required double Normalised { get; init; }
    public required double Accuracy { get; init; }
    public required double ControlBits { get; init; }
    public required double ControlAccuracy { get; init; }
    public required double SelectivityBits { get; init; }
    public required double SelectivityAccuracy { get; init; }

    /// <summary>Units of the hidden layer.</summary>
    public required int Hidden { get; init; }

    /// <summary>Held-out information by initialisation, bits.</summary>
    public required IReadOnlyList<double> BySeed { get; init; }
}
