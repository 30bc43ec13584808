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
