using SaeService.Contracts;
using SaeService.Interpretation.Labels;

namespace SaeService.Interpretation.Conclusions;

/// <summary>
/// Every dictionary of a layer side by side, by what the same rules find in it (method 4; the base paper's figure 2 with labels in place of explanations).
/// Shown, not gates: what must be beaten is in <see cref="Cells"/>.
/// </summary>
internal static class Comparisons
{
    public static IReadOnlyList<DictionaryFindings> Of(LayerEvidence layer, LayerLabelling tokenTypes, double? fvu) =>
    [
        Describe(DictionaryNames.Autoencoder, null, layer.Autoencoder) with { Fvu = fvu },
        .. layer.Random.Select(random => Describe(DictionaryNames.RandomDirections, DictionaryNames.MatchedByFeature, random)),
        Describe(DictionaryNames.TokenTypes, null, tokenTypes),
        .. layer.Dictionaries.Select(d => Describe(d.Of.Name, d.Of.Matched, d.Labelling) with
        {
            Fvu = d.Of.Fvu, Iterations = d.Of.Iterations, Converged = d.Of.Converged,
        }),
        .. layer.Untrained.Select(u => Describe(u.Name, DictionaryNames.MatchedByWord, u.Labelling) with { Fvu = u.Quality.Fvu }),
    ];

    private static DictionaryFindings Describe(string name, string? matched, LayerLabelling labelling) =>
        new(name, matched, labelling.Width, labelling.Alive, Math.Round(labelling.L0, 3), [.. labelling.Tasks.Select(Describe)]);

    private static DictionaryTask Describe(TaskLabelling task)
    {
        var scored = task.Labels.Where(label => label.HeldOutWords > 0).Select(label => label.Union?.F1 ?? 0).ToArray();
        return new(task.Task, task.Tests, task.Consistent.Count, scored.DefaultIfEmpty().Max(), scored.DefaultIfEmpty().Average(), task.ConsistencyHistogram);
    }
}
