using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Tests;

/// <summary>
/// Real words and gold parts of speech, with vectors that need no model: the word's character trigrams and the word before it, each hashed to a fixed random
/// vector. Correlated, with rare labels and unequal documents: what synthetic mixtures lack.
/// </summary>
internal static class FormVectors
{
    public const int Dimension = 32;

    public static (LabelledWords Words, TaskLabels Task, float[] Vectors) Of(string conllu)
    {
        List<int> document = [], sentence = [], types = [], labels = [];
        List<string> forms = [];
        Dictionary<string, int> typeIds = [], labelIds = [];
        int documents = 0, sentences = 0;
        foreach (var line in File.ReadLines(conllu))
        {
            if (line.StartsWith("# newdoc", StringComparison.Ordinal))
                documents++;
            sentences += line.Length == 0 ? 1 : 0;
            var columns = line.Split('\t');
            if (columns.Length != 10 || columns[0].Contains('-') || columns[0].Contains('.'))
                continue;
            forms.Add(columns[1].ToLowerInvariant());
            document.Add(documents - 1);
            sentence.Add(sentences);
            types.Add(Id(typeIds, forms[^1]));
            labels.Add(Id(labelIds, columns[3]));
        }
        var vectors = new float[forms.Count * Dimension];
        for (var word = 0; word < forms.Count; word++)
        {
            var into = vectors.AsSpan(word * Dimension, Dimension);
            var padded = $"<{forms[word]}>";
            for (var at = 0; at + 3 <= padded.Length; at++)
                Add(into, padded.Substring(at, 3), 1f);
            if (word > 0 && sentence[word] == sentence[word - 1])
                Add(into, forms[word - 1], 1.5f);
        }
        var parts = Enumerable.Range(0, documents).Select(d => (d % 4) switch { 2 => Part.Dev, 3 => Part.Test, _ => Part.Train }).ToArray();
        var task = new TaskLabels("pos", [.. labelIds.Keys], [.. labels], new HashSet<int>());
        return (new([.. document], [.. sentence], [.. types], parts, [task]), task, vectors);
    }

    private static int Id(Dictionary<string, int> ids, string name)
    {
        if (!ids.TryGetValue(name, out var id))
            ids[name] = id = ids.Count;
        return id;
    }

    private static void Add(Span<float> into, string key, float scale)
    {
        long hash = 17;
        foreach (var letter in key)
            hash = hash * 1_000_003 + letter;
        var random = new CounterRandom(hash, 1);
        for (var j = 0; j < into.Length; j++)
            into[j] += scale * (float)random.NextNormal();
    }
}
