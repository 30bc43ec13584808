using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Interpretation.Conclusions;

/// <summary>A layer in a sentence or two: templates filled from established cells, so that nothing is said which was not measured.</summary>
internal static class Summaries
{
    private const int MostMentioned = 4;

    /// <summary>Excess from which, with its lower bound, a cell is beyond reasonable doubt.</summary>
    private const double ClearExcess = 0.1;
    private const int FewDocuments = 20;

    /// <param name="ranked">Functionalities of the layer, best first.</param>
    /// <param name="tasks">Tasks that were concluded, in order.</param>
    /// <param name="faithful">Whether the layer's autoencoder passed its gate.</param>
    public static LayerSummary Of(int layer, IReadOnlyList<Functionality> ranked, IReadOnlyList<string> tasks, bool faithful, int heldOutDocuments)
    {
        var established = ranked.Where(c => c.Status == CellStatus.Established).ToArray();
        if (established.Length == 0)
            return new LayerSummary($"Layer {layer}: none established.", "none", []);

        var findings = WithoutAliases(established);
        var sentences = new List<string>
        {
            $"Layer {layer} has separate features for {Join(findings.Take(MostMentioned).Select(Describe))}{Rest(findings.Count)}.",
        };
        var apart = findings.Where(c => c.Distinguishes.Holds).Take(MostMentioned).Select(c => PlainNames.Of(c.Task, c.Label)).ToArray();
        if (apart.Length > 0)
            sentences.Add($"More than the average of the layers measured: {Join(apart)}.");
        var silent = tasks.Where(task => established.All(c => c.Task != task)).ToArray();
        if (silent.Length > 0)
            sentences.Add($"None established here of {Join(silent)}.");
        var confidence = Confidence(established, faithful, heldOutDocuments);
        return new LayerSummary(string.Join(' ', sentences), confidence, [.. established.Select(c => $"{c.Task}:{c.Label}")]);
    }

    private static string Confidence(Functionality[] established, bool faithful, int heldOutDocuments) =>
        !faithful || heldOutDocuments < FewDocuments ? "low"
        : established.Any(c => c.Encodes.Excess.Ci95![0] >= ClearExcess) ? "high"
        : "medium";

    /// <summary>Labels of two tasks on the same words are one finding: the better ranked stands for both.</summary>
    private static List<Functionality> WithoutAliases(IEnumerable<Functionality> cells)
    {
        var kept = new List<Functionality>();
        foreach (var cell in cells)
            if (!kept.Any(k => k.Aliases.Contains($"{cell.Task}:{cell.Label}")))
                kept.Add(cell);
        return kept;
    }

    private static string Describe(Functionality cell)
    {
        var baseline = Math.Max(Math.Max(cell.Encodes.Baseline.Random, cell.Encodes.Baseline.TokenType), cell.Encodes.Baseline.UntrainedModel ?? 0);
        var features = cell.Features.Count == 1 ? "1 feature" : $"{cell.Features.Count} features";
        return string.Create(CultureInfo.InvariantCulture,
            $"{PlainNames.Of(cell.Task, cell.Label)} ({cell.Task}:{cell.Label}; {features}, F1 {cell.Encodes.UnionF1:0.00}, best baseline {baseline:0.00})");
    }

    private static string Rest(int findings) => findings <= MostMentioned ? "" : $", and for {findings - MostMentioned} more {(findings - MostMentioned == 1 ? "label" : "labels")}";

    private static string Join(IEnumerable<string> items)
    {
        var all = items.ToArray();
        return all.Length < 2 ? string.Concat(all) : $"{string.Join(", ", all[..^1])} and {all[^1]}";
    }
}
