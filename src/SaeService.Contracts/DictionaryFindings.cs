namespace SaeService.Contracts;

/// <summary>What the rules of features find in a dictionary.</summary>
/// <param name="Name">
/// <c>autoencoder</c>; the baselines <c>random_directions</c> (an entry a seed), <c>token_types</c>, <c>untrained_model</c> and <c>permuted_model</c> (the same
/// layer of models nobody has trained, each with an autoencoder of its own); and for comparison only <c>identity</c> (neurons), <c>pca</c>, <c>ica</c>,
/// <c>untrained_autoencoder</c> (before its first step) and <c>gaussian_autoencoder</c> (trained on normal vectors with the layer's mean and covariance).
/// </param>
/// <param name="Matched">
/// <c>l0</c>: on a word as many features fire as the autoencoder has on average; <c>density</c>: features fire as often as the autoencoder's do; null: neither.
/// </param>
/// <param name="L0">Features that fire on a word, on average.</param>
public sealed record DictionaryFindings(string Name, string? Matched, int Features, int Alive, double L0, IReadOnlyList<DictionaryTask> Tasks)
{
    /// <summary>Of an autoencoder: variance unexplained on held-out tokens of the vectors its features are read from.</summary>
    public double? Fvu { get; init; }

    /// <summary>Of <c>ica</c>.</summary>
    public int? Iterations { get; init; }
    public bool? Converged { get; init; }
}

/// <param name="Tests">Features tested.</param>
/// <param name="Consistent">Features that pass every gate.</param>
/// <param name="BestUnionF1">Of all labels with held-out words, the highest union F1.</param>
/// <param name="MeanUnionF1">Over the same labels, those without a consistent feature at 0.</param>
/// <param name="ConsistencyHistogram">
/// Features with the support that is asked for, by held-out consistency, whatever their other gates: counts of twenty equal bins of [0, 1].
/// </param>
public sealed record DictionaryTask(string Task, int Tests, int Consistent, double BestUnionF1, double MeanUnionF1, IReadOnlyList<int> ConsistencyHistogram);
