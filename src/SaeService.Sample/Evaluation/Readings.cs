using SaeService.Checkpoints;
using SaeService.Sample.Grammar;
using SaeService.Transformers;
using static TorchSharp.torch;

namespace SaeService.Sample.Evaluation;

/// <summary>
/// How well a linear map of the last piece of an ambiguous word tells its readings apart, by layer. Layer 0 is the embedding, which knows the
/// form only; <paramref name="FormMajority"/> is what always guessing the commonest reading of each form gives.
/// </summary>
public sealed record ReadingReport(string Ambiguity, int Words, double FormMajority, IReadOnlyList<double> AccuracyByLayer);

/// <summary>Ambiguous forms of the grammar, and whether the model's hidden states know which reading holds.</summary>
public static class Readings
{
    private static readonly HashSet<string> Names = ["April", "May", "June", "Jordan", "Sydney", "Florence", "Lincoln", "Austin"];

    // Each gives the reading of a word, or null where the word is not of the kind.
    private static readonly (string Name, Func<SampleWord, string?> Reading)[] Kinds =
    [
        ("noun or verb", w => w.Upos is "NOUN" or "VERB" ? w.Upos : null),
        ("person, place or month", w => Names.Contains(w.Form) && w.Entity != "O" ? w.Entity[2..] : null),
        ("that: determiner, conjunction or pronoun", w => w.Form is "that" ? w.Upos : null),
        ("her: possessive or object", w => w.Form is "her" ? w.Xpos : null),
    ];

    public static IReadOnlyList<ReadingReport> Measure(LanguageModel model, Tokenizer tokenizer, IReadOnlyList<SampleDocument> documents)
    {
        using var scope = NewDisposeScope();
        var occurrences = Kinds.Select(_ => new List<Occurrence>()).ToArray();
        for (var d = 0; d < documents.Count; d++)
            Collect(model, new EncodedDocument(documents[d], tokenizer, model.Description.ContextLength), trained: d % 2 == 0, occurrences);
        return [.. Kinds.Zip(occurrences, (kind, found) => Report(kind.Name, found)).OfType<ReadingReport>()];
    }

    /// <param name="Hidden">hidden state of the last piece at each layer [L + 1, d]</param>
    private sealed record Occurrence(string Form, string Reading, bool Trained, Tensor Hidden);

    private static void Collect(LanguageModel model, EncodedDocument document, bool trained, List<Occurrence>[] occurrences)
    {
        using var scope = NewDisposeScope();
        var layers = new List<Tensor>();
        model.Forward(tensor(Array.ConvertAll(document.Ids, id => (long)id)).unsqueeze(0), mask: null, logits: false, hook: (point, _, value) =>
        {
            if (point is HookPoint.Embed or HookPoint.ResidPost)
                layers.Add(value[0].DetachFromDisposeScope()); // [T, d], outlives the forward pass's own scope
            return null;
        });
        var hidden = stack(layers, 1); // [T, L + 1, d]
        layers.ForEach(layer => layer.Dispose());
        foreach (var (word, _, end) in document.Words)
        {
            var token = document.TokenAt(end - 1);
            if (token == int.MaxValue)
                break;
            for (var k = 0; k < Kinds.Length; k++)
                if (Kinds[k].Reading(word) is { } reading)
                    occurrences[k].Add(new(word.Form.ToLowerInvariant(), reading, trained, hidden[token].MoveToOuterDisposeScope()));
        }
    }

    /// <summary>Null where too few occurrences were found to fit and to test on.</summary>
    private static ReadingReport? Report(string name, List<Occurrence> found)
    {
        using var scope = NewDisposeScope();
        // Only forms that have two readings often enough in the half that is fitted.
        var ambiguous = found.Where(o => o.Trained).GroupBy(o => o.Form)
            .Where(g => g.GroupBy(o => o.Reading).Count(r => r.Count() >= 10) >= 2)
            .ToDictionary(g => g.Key, g => g.GroupBy(o => o.Reading).MaxBy(r => r.Count())!.Key);
        var train = found.Where(o => o.Trained && ambiguous.ContainsKey(o.Form)).ToArray();
        var test = found.Where(o => !o.Trained && ambiguous.ContainsKey(o.Form)).ToArray();
        if (train.Length == 0 || test.Length == 0)
            return null;
        var readings = train.Select(o => o.Reading).Distinct().Order(StringComparer.Ordinal).ToArray();

        var x = stack(train.Select(o => o.Hidden), 1).to(ScalarType.Float64); // [L + 1, N, d]
        var z = stack(test.Select(o => o.Hidden), 1).to(ScalarType.Float64);
        Tensor Indices(Occurrence[] of) => tensor(of.Select(o => (long)Array.IndexOf(readings, o.Reading)).ToArray());
        var target = nn.functional.one_hot(Indices(train), readings.Length).to(ScalarType.Float64); // [N, R]
        var expected = Indices(test); // [M]
        var accuracy = Enumerable.Range(0, (int)x.shape[0]).Select(layer => RidgeAccuracy(x[layer], target, z[layer], expected)).ToArray();
        return new(name, test.Length, test.Average(o => ambiguous[o.Form] == o.Reading ? 1.0 : 0), accuracy);
    }

    /// <summary>One-against-rest least squares with a small ridge: fitted on x [N, d], target [N, R]; share of z [M, d] with the right argmax.</summary>
    private static double RidgeAccuracy(Tensor x, Tensor target, Tensor z, Tensor expected)
    {
        using var scope = NewDisposeScope();
        var mean = x.mean([0]);
        var scale = x.std(0, unbiased: false) + 1e-6;
        var standard = cat([(x - mean) / scale, ones(x.shape[0], 1, dtype: x.dtype)], 1);
        var gram = standard.t().mm(standard) + 10 * eye(standard.shape[1], dtype: x.dtype);
        var weights = linalg.solve(gram, standard.t().mm(target)); // [d + 1, R]
        var predicted = cat([(z - mean) / scale, ones(z.shape[0], 1, dtype: x.dtype)], 1).mm(weights).argmax(1);
        return predicted.eq(expected).to(ScalarType.Float64).mean().item<double>();
    }
}
