using SaeService.Contracts;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;

namespace SaeService.Interpretation.Conclusions;

/// <summary>Everything an analysis measured, brought together for the conclusion.</summary>
public sealed record Evidence
{
    public required Guid Id { get; init; }
    public required DateTimeOffset CreatedUtc { get; init; }
    public required Provenance Provenance { get; init; }
    public required Counts Counts { get; init; }
    public required LabelledWords Words { get; init; }
    public required LabelRules Rules { get; init; }

    /// <summary>By layer, ascending.</summary>
    public required IReadOnlyList<LayerEvidence> Layers { get; init; }

    /// <summary>Labels of the token-type detectors: the same for every layer, because they see no model.</summary>
    public required LayerLabelling TokenTypes { get; init; }

    /// <summary>One of <see cref="JobModes.All"/>.</summary>
    public required string Mode { get; init; }

    /// <summary>The data set has no document boundaries, so that each sentence was taken for a document.</summary>
    public bool SentencesAsDocuments { get; init; }

    /// <summary>What else the reader must know, from stages that know more.</summary>
    public IReadOnlyList<string> Caveats { get; init; } = [];
}

/// <summary>What was measured at one layer.</summary>
public sealed record LayerEvidence
{
    public required int Layer { get; init; }
    public required string HookPoint { get; init; }
    public required LayerLabelling Autoencoder { get; init; }

    /// <summary>Random directions matched in density, one entry a seed. At least one.</summary>
    public required IReadOnlyList<LayerLabelling> Random { get; init; }

    /// <summary>The autoencoder under shuffled labels; null where not run.</summary>
    public LayerLabelling? Shuffled { get; init; }

    /// <summary>Against autoencoders of other seeds; null where there are none.</summary>
    public IReadOnlyList<SeedStability>? SeedStability { get; init; }
    /// <summary>What the layer's features are compared with beyond that; empty where not run.</summary>
    public IReadOnlyList<ComparedDictionary> Dictionaries { get; init; } = [];

    /// <summary>The same layer of untrained models, the fresh one first; empty where not run.</summary>
    public IReadOnlyList<UntrainedEvidence> Untrained { get; init; } = [];

    /// <summary>One entry a task. A task without an entry at some layer is left out of the conclusion, and the caveats say so.</summary>
    public required IReadOnlyList<TaskInformation> Information { get; init; }

    /// <summary>Clusters of the vectors against word forms; null where not run.</summary>
    public ClusterInformation? WordForms { get; init; }
}

/// <param name="Name">One of <see cref="DictionaryNames"/>.</param>
/// <param name="Matched">
/// What it has in common with the autoencoder: <see cref="DictionaryNames.MatchedByWord"/> or <see cref="DictionaryNames.MatchedByFeature"/>.
/// </param>
public sealed record MadeDictionary(string Name, string Matched)
{
    /// <summary>Of an autoencoder, on the layer's own held-out tokens.</summary>
    public double? Fvu { get; init; }

    /// <summary>Of what is found by iterations.</summary>
    public int? Iterations { get; init; }
    public double? Change { get; init; }
    public bool? Converged { get; init; }
}

public sealed record ComparedDictionary(MadeDictionary Of, LayerLabelling Labelling);

/// <param name="Fvu">Of its own autoencoder on held-out tokens.</param>
public sealed record UntrainedQuality(double Fvu);

/// <param name="Name"><see cref="DictionaryNames.UntrainedModel"/> or <see cref="DictionaryNames.PermutedModel"/>.</param>
/// <param name="Labelling">Of the features of an autoencoder trained on its vectors, over the same words.</param>
public sealed record UntrainedEvidence(string Name, LayerLabelling Labelling, IReadOnlyList<TaskInformation> Information, UntrainedQuality Quality);

/// <summary>Dictionaries as the document names them.</summary>
public static class DictionaryNames
{
    public const string Autoencoder = "autoencoder";
    public const string RandomDirections = "random_directions";
    public const string TokenTypes = "token_types";
    public const string Identity = "identity";
    public const string Pca = "pca";
    public const string Ica = "ica";
    public const string UntrainedAutoencoder = "untrained_autoencoder";
    public const string GaussianAutoencoder = "gaussian_autoencoder";
    public const string UntrainedModel = "untrained_model";
    public const string PermutedModel = "permuted_model";

    /// <summary>On each word as many features fire as the autoencoder has on average.</summary>
    public const string MatchedByWord = "l0";

    /// <summary>Features fire as often as the autoencoder's do.</summary>
    public const string MatchedByFeature = "density";
}
