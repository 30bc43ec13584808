using SaeService.Contracts;

namespace SaeService.Interpretation.Labels;

/// <summary>When a feature counts as highly consistent (method 1b). The defaults of a job's <c>labels</c> settings.</summary>
public sealed record LabelRules
{
    /// <summary>Held-out words it must fire on.</summary>
    public int MinSupport { get; init; } = 30;

    /// <summary>Held-out sentences these come from.</summary>
    public int MinSentences { get; init; } = 10;

    /// <summary>Benjamini-Hochberg level, per layer and task.</summary>
    public double Fdr { get; init; } = 0.05;

    /// <summary>Least Wilson lower bound of the held-out precision.</summary>
    public double ConsistencyLower { get; init; } = 0.8;

    /// <summary>Least (precision - base rate) / (1 - base rate), held out: what keeps frequent labels out.</summary>
    public double Kappa { get; init; } = 0.7;

    /// <summary>Most difference of precision between train and held-out documents.</summary>
    public double MaxDrop { get; init; } = 0.1;

    /// <summary>Kappa from which a significant feature is at least suggestive.</summary>
    public double SuggestiveKappa { get; init; } = 0.3;

    /// <summary>Below this many word forms in effect, 2^H(form | fires), a feature is lexical.</summary>
    public double LexicalDiversity { get; init; } = 2;

    /// <summary>At or below this context gain a feature is lexical.</summary>
    public double LexicalContextGain { get; init; } = 0.02;

    /// <summary>
    /// Whether each feature's firing threshold is chosen on train documents (<see cref="FiringThresholds"/>), or is 0: any positive activation.
    /// </summary>
    public bool ChooseThresholds { get; init; } = true;

    public int BootstrapSamples { get; init; } = 1000;
    public int Seed { get; init; } = 1;

    /// <summary>The rules a job asks for; what it leaves open has the value above.</summary>
    public static LabelRules From(JobRequest request)
    {
        var rules = new LabelRules();
        return rules with
        {
            MinSupport = request.Labels?.MinSupport ?? rules.MinSupport,
            MinSentences = request.Labels?.MinSentences ?? rules.MinSentences,
            Fdr = request.Labels?.Fdr ?? rules.Fdr,
            ConsistencyLower = request.Labels?.ConsistencyLower ?? rules.ConsistencyLower,
            Kappa = request.Labels?.Kappa ?? rules.Kappa,
            MaxDrop = request.Labels?.MaxDrop ?? rules.MaxDrop,
            ChooseThresholds = request.Labels?.Firing != "positive",
            BootstrapSamples = request.Information?.BootstrapSamples ?? rules.BootstrapSamples,
            Seed = request.Seed ?? rules.Seed,
        };
    }
}

/// <summary>Names of the gates a feature can fail, in the order they are listed: those of the settings they stand for, as on the wire.</summary>
public static class FeatureGates
{
    public const string Support = "min_support";
    public const string Sentences = "min_sentences";
    public const string Fdr = "fdr";
    public const string ConsistencyLower = "consistency_lower";
    public const string Kappa = "kappa";
    public const string Drop = "max_drop";
}
