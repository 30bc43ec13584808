using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Api.Results;

/// <summary>RFC 4180; numbers in the shortest form that reads back the same.</summary>
public static class FeatureCsv
{
    private static readonly (string Name, Func<FeatureSummary, object?> Value)[] s_columns =
    [
        ("index", f => f.Index), ("task", f => f.Task), ("dominant_label", f => f.DominantLabel), ("consistent", f => f.Consistent),
        ("consistency", f => f.Consistency), ("consistency_lower", f => f.ConsistencyLower), ("weighted_consistency", f => f.WeightedConsistency),
        ("train_consistency", f => f.TrainConsistency), ("kappa", f => f.Kappa), ("recall", f => f.Recall), ("f1", f => f.F1), ("mcc", f => f.Mcc),
        ("auroc", f => f.Auroc), ("support", f => f.Support), ("sentences", f => f.Sentences), ("threshold", f => f.Threshold),
        ("positive_support", f => f.PositiveSupport), ("positive_consistency", f => f.PositiveConsistency), ("base_rate", f => f.BaseRate), ("lift", f => f.Lift),
        ("log10_p", f => f.Log10P), ("q", f => f.Q), ("mi_bits", f => f.MiBits), ("expected_mi_bits", f => f.ExpectedMiBits),
        ("excess_mi_bits", f => f.ExcessMiBits), ("normalised_mi", f => f.NormalisedMi), ("mi_log10_p", f => f.MiLog10P),
        ("mi_magnitude_bits", f => f.MiMagnitudeBits), ("entropy", f => f.Entropy),
        ("lexical_diversity", f => f.LexicalDiversity), ("context_gain", f => f.ContextGain), ("kind", f => f.Kind.ToString().ToLowerInvariant()),
    ];

    public static IEnumerable<string> Columns => s_columns.Select(c => c.Name);

    public static string Row(FeatureSummary feature) => string.Join(',', s_columns.Select(c => Cell(c.Value(feature))));

    private static string Cell(object? value)
    {
        var text = value switch
        {
            null => "",
            bool truth => truth ? "true" : "false",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
        return text.AsSpan().IndexOfAny("\",\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
