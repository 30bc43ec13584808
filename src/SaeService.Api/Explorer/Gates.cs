using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>A condition that a feature must meet to count as highly consistent.</summary>
/// <param name="Value">What it has, and what is asked for, as shown.</param>
public sealed record Gate(string Name, string Value, string Asked, bool Passed);

/// <summary>Gates of features and cells in words; their names are those of the document's <c>failed_gates</c>.</summary>
public static class Gates
{
    private static readonly Dictionary<string, string> s_words = new()
    {
        ["min_support"] = "fires on too few held-out words",
        ["min_sentences"] = "its words come from too few sentences",
        ["fdr"] = "could be chance (false discovery rate)",
        ["consistency_lower"] = "not surely precise enough (lower bound of consistency)",
        ["kappa"] = "not far enough above the label's frequency (kappa)",
        ["max_drop"] = "train and held-out documents differ too much",
        ["excess_over_random"] = "not surely above random directions",
        ["excess_over_token_types"] = "not surely above detectors of word forms",
        ["excess_over_untrained_model"] = "not surely above the untrained model",
        ["information_over_types"] = "no more information than word forms alone",
        ["information_over_control"] = "no more information than about random labels (control task)",
    };

    /// <summary>Why a cell or a feature fails, for a reader.</summary>
    public static string Why(string gate) => s_words.GetValueOrDefault(gate, gate);

    /// <param name="rules">Of the job, with defaults filled in.</param>
    public static IReadOnlyList<Gate> Of(FeatureSummary f, LabelSettings rules)
    {
        var gates = new List<Gate>();
        if (rules.MinSupport is { } support)
            gates.Add(new("min_support", Shown.Many(f.Support, "held-out word"), $"at least {support}", f.Support >= support));
        if (rules.MinSentences is { } sentences)
            gates.Add(new("min_sentences", Shown.Many(f.Sentences, "sentence"), $"at least {sentences}", f.Sentences >= sentences));
        if (rules.Fdr is { } fdr)
            gates.Add(new("fdr", $"q of {Shown.Rate(f.Q)}", $"below {fdr.ToString(CultureInfo.InvariantCulture)}", f.Q < fdr));
        if (rules.ConsistencyLower is { } lower)
            gates.Add(new("consistency_lower", $"consistency surely {Shown.Score(f.ConsistencyLower)}", $"at least {Shown.Score(lower)}", f.ConsistencyLower >= lower));
        if (rules.Kappa is { } kappa)
            gates.Add(new("kappa", $"kappa {Shown.Score(f.Kappa)}", $"at least {Shown.Score(kappa)}", f.Kappa >= kappa));
        if (rules.MaxDrop is { } drop)
            gates.Add(new("max_drop", $"{Shown.Score(f.TrainConsistency - f.Consistency)} from train to held-out", $"at most {Shown.Score(drop)} either way", Math.Abs(f.TrainConsistency - f.Consistency) <= drop));
        return gates;
    }
}
