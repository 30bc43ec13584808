using SaeService.Autoencoders;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Tests;

/// <summary>
/// A made-up corpus of which the truth is known. <c>pos</c> hangs on the word form alone (form 0 is the only P, forms 1 and 2 the only D);
/// <c>dep</c> does not hang on the form at all, except that punct is P under another name; <c>ner</c> is 90 % O.
/// </summary>
internal static class Planted
{
    public const int The = 1;
    public static readonly string[] Pos = ["N", "V", "D", "P"];
    public static readonly string[] Dep = ["nsubj", "obj", "obl", "punct"];
    public static readonly string[] Ner = ["O", "PER", "LOC"];

    public static LabelledWords Words(int documents = 60, int sentencesEach = 12, int length = 12, int forms = 100)
    {
        var count = documents * sentencesEach * length;
        int[] document = new int[count], sentence = new int[count], type = new int[count], pos = new int[count], dep = new int[count], ner = new int[count];
        var random = new CounterRandom(2024, 1);
        for (var word = 0; word < count; word++)
        {
            sentence[word] = word / length;
            document[word] = sentence[word] / sentencesEach;
            type[word] = (word + 1) % length == 0 ? 0 : random.NextDouble() < 0.1 ? 1 + random.Next(2) : 3 + random.Next(forms - 3);
            pos[word] = type[word] switch { 0 => 3, < 3 => 2, _ => type[word] % 2 };
            dep[word] = type[word] == 0 ? 3 : random.Next(3);
            ner[word] = random.NextDouble() < 0.9 ? 0 : 1 + random.Next(2);
        }
        var parts = Enumerable.Range(0, documents).Select(d => (d % 5) switch { 3 => Part.Dev, 4 => Part.Test, _ => Part.Train }).ToArray();
        return new LabelledWords(document, sentence, type, parts,
        [
            new TaskLabels("pos", Pos, pos, new HashSet<int>()),
            new TaskLabels("dep", Dep, dep, new HashSet<int>()),
            new TaskLabels("ner", Ner, ner, new HashSet<int> { 0 }),
        ]);
    }

    public static TaskLabels Task(this LabelledWords words, string task) => words.Tasks.Single(t => t.Task == task);

    public static bool Carries(this LabelledWords words, string task, string label, int word) =>
        words.Task(task).Names[words.Task(task).Of[word]] == label;

    /// <summary>A dictionary of features, each given by its activation on a word; at or below 0 is silence.</summary>
    public static SparseCodes Codes(LabelledWords words, params IReadOnlyList<Func<int, float>> features)
    {
        var start = new long[words.Count + 1];
        var index = new List<int>();
        var value = new List<float>();
        for (var word = 0; word < words.Count; word++)
        {
            for (var feature = 0; feature < features.Count; feature++)
                if (features[feature](word) is > 0 and var activation)
                {
                    index.Add(feature);
                    value.Add(activation);
                }
            start[word + 1] = index.Count;
        }
        return new SparseCodes(features.Count, start, [.. index], [.. value]);
    }

    /// <summary>Fires on the given share of the words that carry a label, and on the share <paramref name="otherwise"/> of the rest.</summary>
    public static Func<int, float> Detector(LabelledWords words, string task, string label, double share = 0.8, double otherwise = 0.002, int seed = 1)
    {
        return word =>
        {
            var random = new CounterRandom(seed, word);
            var fires = random.NextDouble() < (words.Carries(task, label, word) ? share : otherwise);
            return fires ? (float)(0.5 + random.NextDouble()) : 0;
        };
    }

    /// <summary>Fires on a share of all words, whatever they are.</summary>
    public static Func<int, float> Noise(double share, int seed) => word =>
    {
        var random = new CounterRandom(seed, word);
        return random.NextDouble() < share ? (float)(0.1 + random.NextDouble()) : 0;
    };

    public static Func<int, float> FormDetector(LabelledWords words, int form) => word => words.Type[word] == form ? 1 : 0;
}
