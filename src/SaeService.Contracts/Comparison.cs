namespace SaeService.Contracts;

/// <summary>Two jobs side by side: right minus left throughout.</summary>
public sealed record Comparison
{
    public required ComparedJob Left { get; init; }
    public required ComparedJob Right { get; init; }

    /// <summary>
    /// Whether both were judged on the same documents, parted alike: then intervals are of paired differences, otherwise of two independent samples.
    /// </summary>
    public required bool Paired { get; init; }

    /// <summary><c>layer</c>: the same layers of models of one depth; <c>relative_depth</c>: those nearest in depth.</summary>
    public required string MatchedBy { get; init; }
    public required IReadOnlyList<LayerPair> Layers { get; init; }

    /// <summary>Labels that both have, in the order of the left job's tasks and labels.</summary>
    public required IReadOnlyList<LabelComparison> Labels { get; init; }
    public required IReadOnlyList<InformationComparison> Information { get; init; }

    /// <summary>As <c>task:label</c>, and tasks whole as <c>task</c>: what only one of them has.</summary>
    public required IReadOnlyList<string> OnlyLeft { get; init; }
    public required IReadOnlyList<string> OnlyRight { get; init; }
    public required IReadOnlyList<string> Caveats { get; init; }
}

/// <param name="Depth">Blocks of the model.</param>
/// <param name="Layers">Layers that were measured.</param>
public sealed record ComparedJob(Guid JobId, string Model, string? Revision, string Dataset, string SplitSha256, string Mode, int Depth, IReadOnlyList<int> Layers);

public sealed record LayerPair(int Left, int Right, double LeftDepth, double RightDepth);

/// <summary>
/// <c>appeared</c>: established at some layer of the right job and at none of the left; <c>vanished</c>: the other way round; <c>moved</c>: established in both, and the interval of
/// the difference between their centres of gravity excludes 0; <c>kept</c>: established in both; <c>absent</c>: in neither.
/// </summary>
public enum LabelChange { Appeared, Vanished, Moved, Kept, Absent }

/// <param name="LeftEstablished">Layers at which it is established.</param>
/// <param name="LeftCentre">Null where its score is 0 everywhere, or one layer was measured.</param>
/// <param name="CentreDifference">In relative depth. Null where either centre is missing or not localised.</param>
/// <param name="Cells">One a pair of layers.</param>
public sealed record LabelComparison(string Task, string Label, LabelChange Change, IReadOnlyList<int> LeftEstablished, IReadOnlyList<int> RightEstablished,
    CentreOfGravity? LeftCentre, CentreOfGravity? RightCentre, Estimate? CentreDifference, IReadOnlyList<CellComparison> Cells);

/// <param name="UnionF1">Difference; its interval is missing for jobs that did not keep what it needs.</param>
/// <param name="Excess">Difference; with an interval where both cells have one.</param>
/// <param name="Features">Difference in the number of consistent features.</param>
/// <param name="IvBits">Difference in the label's information, bits.</param>
public sealed record CellComparison(int LeftLayer, int RightLayer, CellStatus LeftStatus, CellStatus RightStatus, Estimate UnionF1, Estimate Excess, int Features, double IvBits);

/// <summary>Information about a task at a pair of layers.</summary>
/// <param name="IvBits">Difference, bits.</param>
/// <param name="Normalised">Difference in shares of the entropy.</param>
public sealed record InformationComparison(string Task, int LeftLayer, int RightLayer, Estimate IvBits, double Normalised);

/// <summary>
/// What a job counted, by document, so that another on the same documents can be compared with it in pairs. An artifact of the conclude stage, not an answer.
/// </summary>
/// <param name="HeldOut">Ids of the documents on which features were judged: what the arrays of <paramref name="Cells"/> run over.</param>
/// <param name="Test">Ids of the documents on which probes were: what those of <paramref name="Information"/> run over.</param>
public sealed record DocumentSums(IReadOnlyList<string> HeldOut, IReadOnlyList<CellSums> Cells, IReadOnlyList<string> Test, IReadOnlyList<InformationSums> Information)
{
    /// <summary>Name of the artifact.</summary>
    public const string FileName = "document-sums.json";
}

/// <summary>True and false positives and false negatives of "any consistent feature fires", by document. Labels without consistent features have no entry.</summary>
public sealed record CellSums(int Layer, string Task, string Label, int[] TruePositives, int[] FalsePositives, int[] FalseNegatives);

/// <summary>Words scored and bits saved on them, by document.</summary>
public sealed record InformationSums(int Layer, string Task, int[] Words, double[] SavedBits);
