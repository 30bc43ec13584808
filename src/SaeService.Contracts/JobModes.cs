namespace SaeService.Contracts;

/// <summary>What <see cref="JobRequest.Mode"/> decides.</summary>
public static class JobModes
{
    /// <summary>What a request may name, the default first.</summary>
    public static IReadOnlyList<string> All { get; } = ["standard", "quick", "full", "thorough"];

    /// <summary>Whether an untrained model of the same architecture goes the whole way too: what a claim needs that the model learnt something.</summary>
    public static bool Untrained(string mode) => mode is "full" or "thorough";

    /// <summary>
    /// Whether so does the model with trained embeddings and permuted blocks: what embeddings alone give. Not where the layer is the embedding itself, which
    /// is the trained one there.
    /// </summary>
    public static bool Permuted(string mode, string hook, int layer) => mode == "thorough" && layer > (hook == "resid_pre" ? 1 : 0);

    /// <summary>Whether the dictionaries of the literature stand beside the autoencoder: identity, PCA, ICA, an untrained autoencoder.</summary>
    public static bool Comparisons(string mode) => mode is "full" or "thorough";

    /// <summary>Whether single dimensions of the vectors are ranked by their information.</summary>
    public static bool RanksDimensions(string mode) => mode is "full" or "thorough";

    /// <summary>Whether the slow estimators of information run: online code lengths, the bound of a network with a hidden layer, clusters.</summary>
    public static bool SlowEstimators(string mode) => mode == "thorough";

    /// <summary>Random dictionaries that each layer's features are compared with.</summary>
    public static int RandomRepeats(string mode) => mode == "quick" ? 1 : 3;

    /// <summary>Whether the model is run again with each layer's autoencoder in place.</summary>
    public static bool Splices(string mode) => mode != "quick";

    /// <summary>About so many predictions are measured there.</summary>
    public const int SplicedPredictions = 8192;
}
