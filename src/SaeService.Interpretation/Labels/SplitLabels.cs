using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>What two disjoint halves of the documents say of a feature.</summary>
/// <param name="First">The label of highest F1 on the first half's words; -1 where none occurs with it.</param>
/// <param name="FirstActive">Words of that half it fires on.</param>
/// <param name="FirstConsistency">Share of these that carry the label the feature has (from train documents).</param>
internal readonly record struct SplitLabels(int First, int Second, int FirstActive, int SecondActive, double FirstConsistency, double SecondConsistency)
{
    public bool Enough(LabelRules rules) => Math.Min(FirstActive, SecondActive) >= rules.MinSupport;

    /// <summary>Of all features of a task together (method 1b, ii).</summary>
    public static SplitConsistency Compare(string task, IEnumerable<SplitLabels> features, int labels, LabelRules rules)
    {
        var compared = features.Where(f => f.Enough(rules)).ToArray();
        if (compared.Length == 0)
            return new SplitConsistency(task, 0, null, null, null);
        double n = compared.Length, agreement = compared.Count(f => f.First == f.Second) / n;
        var chance = Enumerable.Range(-1, labels + 1).Sum(y => compared.Count(f => f.First == y) / n * (compared.Count(f => f.Second == y) / n));
        var rank = RankCorrelation.Spearman(Array.ConvertAll(compared, f => f.FirstConsistency), Array.ConvertAll(compared, f => f.SecondConsistency));
        return new SplitConsistency(task, compared.Length, agreement, chance >= 1 ? null : (agreement - chance) / (1 - chance), double.IsNaN(rank) ? null : rank);
    }
}
