using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>One feature against one label of one task: counts and measures of method 1b.</summary>
internal sealed class FeatureMeasures
{
    public required int Index { get; init; }
    public required int Label { get; init; }
    public required Contingency Train { get; init; }
    public required Contingency HeldOut { get; init; }

    /// <summary>It fires where its activation is above this.</summary>
    public required float Threshold { get; init; }

    /// <summary>Held out, of every activation above 0.</summary>
    public required Contingency Positive { get; init; }
    public required ReadOnlyMemory<int> HeldOutByLabel { get; init; } // [K]
    public required double WeightedConsistency { get; init; }
    public required double? Auroc { get; init; }
    public required double TopDecileConsistency { get; init; }

    /// <summary>Most common label of the train words it fires on.</summary>
    public required int ModalLabel { get; init; }
    public required SplitLabels Halves { get; init; }
    public required DetectionScore? Detection { get; init; }
    public required int Sentences { get; init; }
    public required double MiBits { get; init; }
    public required double ExpectedMiBits { get; init; }
    public required double NormalisedMi { get; init; }
    public required double MiLog10P { get; init; }
    public required double? MiMagnitudeBits { get; init; }
    public required double Entropy { get; init; }
    public required double LexicalDiversity { get; init; }
    public required double ContextGain { get; init; }
    public required double Log10P { get; init; }
    public double Q { get; set; } = 1;
    public double[]? ContextGainCi95 { get; set; }
    public IReadOnlyList<string> FailedGates { get; set; } = [];

    public bool Suggestive(LabelRules rules) => HeldOut.Active > 0 && Q < rules.Fdr && HeldOut.Kappa >= rules.SuggestiveKappa;

    public FeatureKind Kind(LabelRules rules) =>
        LexicalDiversity < rules.LexicalDiversity || ContextGain <= rules.LexicalContextGain ? FeatureKind.Lexical
        : ContextGainCi95 is [> 0, _] ? FeatureKind.Contextual
        : FeatureKind.Mixed;

    public IReadOnlyList<string> Gates(LabelRules rules)
    {
        var failed = new List<string>();
        if (HeldOut.Active < rules.MinSupport)
            failed.Add(FeatureGates.Support);
        if (Sentences < rules.MinSentences)
            failed.Add(FeatureGates.Sentences);
        if (!(Q < rules.Fdr))
            failed.Add(FeatureGates.Fdr);
        if (!(HeldOut.Wilson.Low >= rules.ConsistencyLower))
            failed.Add(FeatureGates.ConsistencyLower);
        if (!(HeldOut.Kappa >= rules.Kappa))
            failed.Add(FeatureGates.Kappa);
        if (!(Math.Abs(Train.Precision - HeldOut.Precision) <= rules.MaxDrop))
            failed.Add(FeatureGates.Drop);
        return failed;
    }

    public FeatureSummary Summary(TaskLabels task, LabelRules rules) => new()
    {
        Index = Index,
        Task = task.Task,
        DominantLabel = task.Names[Label],
        Consistent = FailedGates.Count == 0,
        Consistency = HeldOut.Precision,
        ConsistencyLower = HeldOut.Wilson.Low,
        WeightedConsistency = WeightedConsistency,
        TrainConsistency = Train.Precision,
        Kappa = HeldOut.Kappa,
        Recall = HeldOut.Recall,
        F1 = HeldOut.F1,
        Mcc = HeldOut.Mcc,
        Auroc = Auroc,
        Support = HeldOut.Active,
        Threshold = Threshold,
        PositiveConsistency = Positive.Precision,
        PositiveSupport = Positive.Active,
        Sentences = Sentences,
        BaseRate = HeldOut.BaseRate,
        Lift = HeldOut.Lift,
        Log10P = Log10P,
        Q = Q,
        MiBits = MiBits,
        ExpectedMiBits = ExpectedMiBits,
        ExcessMiBits = MiBits - ExpectedMiBits,
        NormalisedMi = NormalisedMi,
        MiLog10P = MiLog10P,
        MiMagnitudeBits = MiMagnitudeBits,
        Entropy = Entropy,
        LexicalDiversity = LexicalDiversity,
        ContextGain = ContextGain,
        ContextGainCi95 = ContextGainCi95,
        Kind = Kind(rules),
        LabelDistribution = Distribution(task),
        ModalLabel = task.Names[ModalLabel],
        TopDecileConsistency = TopDecileConsistency,
        SplitAgrees = Halves.Enough(rules) ? Halves.First == Halves.Second : null,
        Detection = Detection,
    };

    /// <summary>Held-out labels it fires on, most frequent first.</summary>
    private Dictionary<string, int> Distribution(TaskLabels task)
    {
        var distribution = new Dictionary<string, int>();
        var counts = HeldOutByLabel.ToArray();
        foreach (var label in Enumerable.Range(0, counts.Length).Where(y => counts[y] > 0).OrderByDescending(y => counts[y]).ThenBy(y => y))
            distribution.Add(task.Names[label], counts[label]);
        return distribution;
    }
}
