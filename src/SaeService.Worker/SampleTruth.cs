using System.Globalization;
using SaeService.Contracts;
using SaeService.Sample.Grammar;

namespace SaeService.Worker;

/// <summary>
/// A document of the bundled sample against its grammar. Layer 0 is a function of the written form, so that nothing may be found there that forms do not give;
/// what context alone decides must come later; what a short word list decides is never a finding; two names of one label must be told.
/// </summary>
internal static class SampleTruth
{
    /// <summary>Documents of the grammar, of a seed of their own, that its facts are counted on: about 400,000 words.</summary>
    private const int GrammarDocuments = 3000;
    private const ulong GrammarSeed = 4;

    /// <summary>Held-out words below which a label's figures are too rough to be held to a bound.</summary>
    private const int Judged = 100;

    /// <summary>F1 of the best word list below which context decides a label.</summary>
    private const double NeedsContext = 0.5;

    public static IEnumerable<TruthCheck> Checks(LayerFunctionalityDocument document) => Checks(document, GrammarFacts.Of(GrammarSeed, GrammarDocuments));

    public static IEnumerable<TruthCheck> Checks(LayerFunctionalityDocument document, GrammarFacts grammar)
    {
        if (document.Layers[0].Layer != 0 || document.Layers.Count < 2)
            throw new InvalidDataException($"the document starts at layer {document.Layers[0].Layer} and has {document.Layers.Count} layers; the grammar is held against layer 0 and those above");
        if (GrammarFacts.Tasks.Except(document.Tasks.Select(t => t.Task)).ToArray() is [_, ..] absent)
            throw new InvalidDataException($"the document says nothing of {string.Join(", ", absent)}");
        return [.. AtLayerZero(document, grammar), .. Above(document, grammar), .. Names(document, grammar)];
    }

    private static IEnumerable<TruthCheck> AtLayerZero(LayerFunctionalityDocument document, GrammarFacts grammar)
    {
        foreach (var task in document.Tasks.Where(t => GrammarFacts.Tasks.Contains(t.Task)))
        {
            var (found, most) = (task.Layers[0].IvBits.Value, grammar.FormBits(task.Task));
            yield return TruthCheck.AtMost($"sample, layer 0, {task.Task}: information above what written forms hold, bits", found - most, 0.05) with
            {
                Note = Invariant($"{found:0.000} bits, forms hold {most:0.000}"),
            };
        }

        // Of single labels by the lower end of the interval, for some are rare, and as shares of the entropy, for they are not as frequent here as in all the grammar.
        var (share, label) = document.Tasks.Where(t => GrammarFacts.Tasks.Contains(t.Task))
            .SelectMany(t => t.Layers[0].PerLabel.Where(l => l.Support >= Judged && l.IvBits > 0).Select(l =>
                (l.Normalised * l.Ci95[0] / l.IvBits - grammar.FormBits(t.Task, l.Label) / grammar.EntropyBits(t.Task, l.Label), $"{t.Task}:{l.Label}"))).Max();
        yield return TruthCheck.AtMost("sample, layer 0, any label: share of its entropy surely known beyond what forms hold", share, 0.02) with { Note = label };

        var cells = document.Layers[0].Cells.Where(c => GrammarFacts.Tasks.Contains(c.Task) && c.Support >= Judged).ToArray();
        var (f1, cell) = cells.Select(c => (c.UnionF1 - grammar.BestF1(c.Task, c.Label), $"{c.Task}:{c.Label}")).Max();
        yield return TruthCheck.AtMost("sample, layer 0, any label: union F1 above that of the best word list", f1, 0.05) with { Note = cell };

        var contextual = Labels(document, grammar).Where(l => grammar.BestF1(l.Task, l.Label) < NeedsContext).ToHashSet();
        yield return None("sample, layer 0: labels that only context decides and that are established", Established(document.Layers[0]).Where(contextual.Contains));

        // The service tells types apart without case; a feature of layer 0 may do better only by the capital letter.
        yield return None("sample, layer 0: labels with contextual features though neither context nor a capital can be seen", document.Layers[0].Functionalities
            .Where(f => f.Features.Contextual > 0 && GrammarFacts.Tasks.Contains(f.Task))
            .Where(f => grammar.FormBits(f.Task, f.Label) - grammar.FoldedFormBits(f.Task, f.Label) < 0.01 * grammar.EntropyBits(f.Task, f.Label))
            .Select(f => (f.Task, f.Label)));
    }

    private static IEnumerable<TruthCheck> Above(LayerFunctionalityDocument document, GrammarFacts grammar)
    {
        foreach (var task in document.Tasks.Where(t => GrammarFacts.Tasks.Contains(t.Task)))
        {
            var (first, best) = (task.Layers[0], task.Layers.MaxBy(l => l.IvBits.Value)!);
            yield return TruthCheck.AtLeast($"sample, {task.Task}: information of the best layer surely above layer 0's, bits", best.IvBits.Ci95[0] - first.IvBits.Ci95[1], 0) with
            {
                Note = Invariant($"layer {best.Layer}: {best.IvBits.Value:0.000} bits, layer 0: {first.IvBits.Value:0.000}"),
            };
            // Where forms leave a good part open, context must be seen to fill it.
            var most = grammar.FormBits(task.Task);
            if (most < 0.9 * task.EntropyBits)
                yield return TruthCheck.AtLeast($"sample, {task.Task}: information of the best layer surely above what forms hold, bits", best.IvBits.Ci95[0] - most, 0) with
                {
                    Note = Invariant($"layer {best.Layer}: {best.IvBits.Value:0.000} bits, forms hold {most:0.000} of {task.EntropyBits:0.000}"),
                };
        }
        var needing = Labels(document, grammar).Where(l => grammar.BestF1(l.Task, l.Label) < NeedsContext).ToHashSet();
        var later = document.Layers.Skip(1).SelectMany(Established).Where(needing.Contains).Distinct().ToArray();
        yield return TruthCheck.AtLeast("sample: labels that only context decides, established above layer 0", later.Length, 1) with { Note = List(later) };

        // Word lists are at least as good as any feature, and the word-type table knows all there is.
        var listed = Labels(document, grammar).Where(l => grammar.FormsOf(l.Task, l.Label) <= 12
            && grammar.FoldedFormBits(l.Task, l.Label) > 0.999 * grammar.EntropyBits(l.Task, l.Label)).ToHashSet();
        yield return None($"sample: labels that a word list of 12 decides ({List(listed)}) and that are established", document.Layers.SelectMany(Established).Where(listed.Contains));
    }

    private static IEnumerable<TruthCheck> Names(LayerFunctionalityDocument document, GrammarFacts grammar)
    {
        const double surely = 0.05; // The document's words are a sample of the grammar's.
        var wrong = new List<(string, string)>();
        var pairs = 0;
        foreach (var (task, profile) in document.Tasks.Where(t => GrammarFacts.Tasks.Contains(t.Task)).SelectMany(t => t.Profiles, (t, p) => (t.Task, p)))
            foreach (var (otherTask, other) in Labels(document, grammar).Where(l => l.Task != task))
            {
                var jaccard = grammar.Jaccard((task, profile.Label), (otherTask, other));
                var named = profile.Aliases.Contains($"{otherTask}:{other}");
                pairs += jaccard > 0.8 ? 1 : 0;
                if (jaccard > 0.8 + surely && !named || jaccard < 0.8 - surely && named)
                    wrong.Add((task, $"{profile.Label} and {otherTask}:{other}"));
            }
        yield return None($"sample: aliases told wrongly, of {pairs} in the grammar", wrong);
    }

    private static IEnumerable<(string Task, string Label)> Labels(LayerFunctionalityDocument document, GrammarFacts grammar) =>
        document.Layers[0].Cells.Select(c => (c.Task, c.Label)).Where(l => GrammarFacts.Tasks.Contains(l.Task) && grammar.EntropyBits(l.Task, l.Label) > 0);

    private static IEnumerable<(string Task, string Label)> Established(LayerFindings layer) =>
        layer.Functionalities.Where(f => f.Status == CellStatus.Established).Select(f => (f.Task, f.Label));

    private static TruthCheck None(string name, IEnumerable<(string, string)> found)
    {
        var all = found.Distinct().ToArray();
        return TruthCheck.Exactly(name, all.Length, 0) with { Note = all.Length == 0 ? null : List(all) };
    }

    private static string List(IEnumerable<(string Task, string Label)> labels) => string.Join(", ", labels.Select(l => $"{l.Task}:{l.Label}").Order(StringComparer.Ordinal));

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
