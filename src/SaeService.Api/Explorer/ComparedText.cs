using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>Comparisons in words.</summary>
public static class ComparedText
{
    /// <summary>With its interval, where it has one.</summary>
    public static string Of(Estimate estimate) => Shown.Estimate(estimate.Value, estimate.Ci95);

    public static bool ExcludesZero(Estimate estimate) => estimate.Ci95 is [> 0, _] or [_, < 0];

    /// <summary>The whole in a sentence or two.</summary>
    public static string Summary(Comparison of)
    {
        var counts = of.Labels.GroupBy(x => x.Change).ToDictionary(x => x.Key, x => x.Count());
        int Count(LabelChange change) => counts.GetValueOrDefault(change);
        var changed = Count(LabelChange.Appeared) + Count(LabelChange.Vanished) + Count(LabelChange.Moved);
        var sentence = changed == 0
            ? $"No label appeared, vanished or moved: {Count(LabelChange.Kept)} are established in both jobs, {Count(LabelChange.Absent)} in neither."
            : $"Of {of.Labels.Count} labels that both have, {Count(LabelChange.Appeared)} appeared on the right, {Count(LabelChange.Vanished)} vanished, {Count(LabelChange.Moved)} moved in depth; "
                + $"{Count(LabelChange.Kept)} are established in both, {Count(LabelChange.Absent)} in neither.";
        var sure = of.Information.Count(x => ExcludesZero(x.IvBits));
        return $"{sentence} Information differs beyond its interval in {sure} of {of.Information.Count} pairs of layer and task.";
    }

    public static string Title(LabelChange change) => change.ToString().ToLowerInvariant();
}
