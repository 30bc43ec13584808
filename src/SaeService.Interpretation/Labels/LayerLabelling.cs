using System.Text.Json;
using SaeService.Contracts;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// What the conclusion needs of one dictionary over the words of one corpus: small whatever the width of the dictionary, and the same for an
/// autoencoder, random directions or token detectors.
/// </summary>
public sealed record LayerLabelling
{
    /// <summary>Features of the dictionary.</summary>
    public required int Width { get; init; }

    /// <summary>Features that fire on at least one word.</summary>
    public required int Alive { get; init; }

    /// <summary>Features that fire on a word, on average.</summary>
    public double L0 { get; init; }

    /// <summary>Held-out documents, ascending: what every per-document array below runs over.</summary>
    public required int[] HeldOutDocuments { get; init; }
    public required IReadOnlyList<TaskLabelling> Tasks { get; init; }

    /// <summary>Probes on a few features, by task and label. Empty where they were not asked for: only the autoencoder has them.</summary>
    public IReadOnlyList<LabelProbes> Probes { get; init; } = [];

    public static LayerLabelling Read(Stream stream) =>
        JsonSerializer.Deserialize<LayerLabelling>(stream) ?? throw new InvalidDataException("a labelling is empty");

    public void Write(Stream stream) => JsonSerializer.Serialize(stream, this);
}

/// <param name="Tests">Features tested: those with a label from train that fire on held-out words.</param>
/// <param name="Consistent">Features that pass every gate, by label, then by held-out F1, best first.</param>
/// <param name="Labels">Every label that is not excluded, in the order of the task's names.</param>
/// <param name="Split">Null of labellings that were written before it was measured.</param>
public sealed record TaskLabelling(string Task, int Tests, IReadOnlyList<FeatureSummary> Consistent, IReadOnlyList<LabelUnion> Labels, SplitConsistency? Split = null)
{
    /// <summary>
    /// Features with the support that is asked for, by held-out consistency, whatever their other gates: counts of twenty equal bins of [0, 1], the last with 1.
    /// </summary>
    public int[] ConsistencyHistogram { get; init; } = [];
}

public sealed record LabelProbes(string Task, string Label, IReadOnlyList<SparseProbe> Probes);

/// <summary>A label and the union of its consistent features: "any of them fires", judged on held-out words.</summary>
public sealed record LabelUnion
{
    public required string Label { get; init; }

    /// <summary>Words with the label.</summary>
    public required int TrainWords { get; init; }
    public required int HeldOutWords { get; init; }

    /// <summary>Consistent features, and how many of them are of each kind.</summary>
    public required int Features { get; init; }
    public required int Lexical { get; init; }
    public required int Contextual { get; init; }
    public required int Mixed { get; init; }

    /// <summary>True and false positives and false negatives of the union, by held-out document. Null without consistent features.</summary>
    public required UnionCounts? Union { get; init; }

    /// <summary>
    /// The feature with the highest F1 on train, whatever its own label: a sparse probe with k = 1. Where its own label is another, its q is p
    /// times the tests of the task.
    /// </summary>
    public required FeatureSummary? Best { get; init; }

    /// <summary>
    /// Where no feature is consistent: of those with this label that are significant and have some kappa, the one that fails the fewest gates, and
    /// these gates.
    /// </summary>
    public required FeatureSummary? Candidate { get; init; }
    public required IReadOnlyList<string> CandidateFailedGates { get; init; }
}

public sealed record UnionCounts(int[] TruePositives, int[] FalsePositives, int[] FalseNegatives)
{
    public double Precision => Ratio(TruePositives.Sum(), TruePositives.Sum() + FalsePositives.Sum());
    public double Recall => Ratio(TruePositives.Sum(), TruePositives.Sum() + FalseNegatives.Sum());
    public double F1 => Ratio(2.0 * TruePositives.Sum(), 2.0 * TruePositives.Sum() + FalsePositives.Sum() + FalseNegatives.Sum());

    private static double Ratio(double part, double whole) => whole == 0 ? 0 : part / whole;
}
