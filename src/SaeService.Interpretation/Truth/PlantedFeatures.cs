using SaeService.Autoencoders;
using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Truth;

/// <summary>A feature of which it is known on which words it fires and why.</summary>
/// <param name="Kind">Null: it fires at random, and has no label.</param>
public sealed record PlantedFeature(string Name, FeatureKind? Kind, string Task, string Label, Func<int, int, float> Activation)
{
    /// <summary>Shares, by layer, of the label's words on which a contextual feature fires. Empty for the others.</summary>
    public double[] Recall { get; init; } = [];
}

/// <summary>
/// Dictionaries of the planted language: detectors of labels that no form gives away (contextual), detectors of one frequent form (lexical), and features that
/// fire on a share of all words, whatever they are (noise).
/// </summary>
public static class PlantedFeatures
{
    /// <summary>Share of a detector's other words on which it fires too.</summary>
    public const double Misfires = 0.0003;

    /// <summary>Share of a detector's recall by layer; what is planted nowhere at layer 0 is found at none.</summary>
    private static readonly double[] s_middle = [0, 0.3, 0.8, 0.6, 0.2], s_top = [0, 0, 0.3, 0.6, 0.9];

    /// <param name="noise">How many features fire at random, on 0.5 to 10 % of the words each.</param>
    public static IReadOnlyList<PlantedFeature> Of(PlantedLanguage language, int noise)
    {
        var features = new List<PlantedFeature>
        {
            Detector(language, "dep", "nsubj", s_middle),
            Detector(language, "dep", "obj", s_middle),
            Detector(language, "dep", "obl", s_middle),
            Detector(language, "ner", "PER", s_top),
        };
        foreach (var (type, pos) in FrequentForms(language, 3))
            features.Add(new PlantedFeature($"form {type}", FeatureKind.Lexical, "pos", pos, (_, word) => language.Words.Type[word] == type ? 1 : 0));
        for (var n = 0; n < noise; n++)
        {
            var (stream, density) = (1000 + n, 0.005 * Math.Pow(20, (double)n / Math.Max(1, noise - 1)));
            features.Add(new PlantedFeature($"noise {n}", null, "", "", (layer, word) =>
            {
                var random = Chance(language, stream, layer, word);
                return random.NextDouble() < density ? (float)(0.1 + random.NextDouble()) : 0;
            }));
        }
        return features;
    }

    /// <summary>Rows in the order of the language's words; the features in the order given.</summary>
    public static SparseCodes Codes(PlantedLanguage language, IReadOnlyList<PlantedFeature> features, int layer)
    {
        var start = new long[language.Words.Count + 1];
        var index = new List<int>();
        var value = new List<float>();
        for (var word = 0; word < language.Words.Count; word++)
        {
            for (var feature = 0; feature < features.Count; feature++)
                if (features[feature].Activation(layer, word) is > 0 and var activation)
                {
                    index.Add(feature);
                    value.Add(activation);
                }
            start[word + 1] = index.Count;
        }
        return new SparseCodes(features.Count, start, [.. index], [.. value]);
    }

    private static PlantedFeature Detector(PlantedLanguage language, string task, string label, double[] recall)
    {
        var labels = language.Task(task);
        var id = Array.IndexOf(labels.Names, label);
        var stream = 100 * language.Words.Tasks.ToList().IndexOf(labels) + id;
        return new PlantedFeature($"{task}:{label}", FeatureKind.Contextual, task, label, (layer, word) =>
        {
            var random = Chance(language, stream, layer, word);
            var share = recall[layer] == 0 ? 0 : labels.Of[word] == id ? recall[layer] : Misfires;
            return random.NextDouble() < share ? (float)(0.5 + random.NextDouble()) : 0;
        })
        {
            Recall = recall,
        };
    }

    /// <summary>The most frequent forms that have one part of speech only.</summary>
    private static IEnumerable<(int Type, string Pos)> FrequentForms(PlantedLanguage language, int count)
    {
        var pos = language.Task("pos");
        return Enumerable.Range(0, language.Words.Count)
            .GroupBy(word => language.Words.Type[word])
            .Where(words => words.Select(w => pos.Of[w]).Distinct().Count() == 1)
            .OrderByDescending(words => words.Count()).ThenBy(words => words.Key)
            .Take(count)
            .Select(words => (words.Key, pos.Names[pos.Of[words.First()]]));
    }

    private static CounterRandom Chance(PlantedLanguage language, int stream, int layer, int word) =>
        new(language.Settings.Seed ^ ((stream * 64L + layer + 1) << 20), word);
}
