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

    /// <summary><c>quick</c> or <c>standard</c>.</summary>
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

    /// <summary>One entry a task. A task without an entry at some layer is left out of the conclusion, and the caveats say so.</summary>
    public required IReadOnlyList<TaskInformation> Information { get; init; }

    /// <summary>Clusters of the vectors against word forms; null where not run.</summary>
    public ClusterInformation? WordForms { get; init; }
}
