using SaeService.Contracts;

namespace SaeService.Pipeline;

/// <summary>What prepare found out of model and data set, for the stages after it and for the document's provenance.</summary>
public sealed record PreparedInputs
{
    public required ModelProvenance Model { get; init; }
    public required DataProvenance Data { get; init; }

    /// <summary>Counts before the norm filter, which capture applies.</summary>
    public required PackedCounts Counts { get; init; }
    public required bool SentencesAsDocuments { get; init; }
}

/// <summary>See <see cref="Counts"/>.</summary>
public sealed record PackedCounts(int Documents, int Sentences, int Words, int Tokens, int Aligned, int AmbiguousDropped, int UnalignedDropped, int MultiwordDropped,
    int TruncatedDropped, int TooManyPiecesDropped, int FirstPositionDropped, int ReconstructedSentences, bool StoppedAtMaxWords);

/// <summary>Which document is in which part of the split: an export, so that anyone can repeat a measurement on the same words.</summary>
public sealed record SplitExport(string Method, string Sha256, IReadOnlyList<SplitEntry> Documents);

public sealed record SplitEntry(string Document, string Part);
