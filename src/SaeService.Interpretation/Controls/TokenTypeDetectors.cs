using SaeService.Autoencoders;
using SaeService.Columns;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// The dictionary that knows nothing but words: one feature for every word form frequent in train, which fires wherever that form stands.
/// On treebanks most of its features are nearly pure (method 0), so purity alone shows no function of a layer.
/// </summary>
public static class TokenTypeDetectors
{
    /// <param name="scratch">Where the codes lie; default: in memory.</param>
    /// <param name="minTrainWords">Least occurrences of a form in train documents.</param>
    public static SparseCodes Codes(LabelledWords words, ScratchSpace? scratch = null, int minTrainWords = 5)
    {
        scratch ??= ScratchSpace.Heap;
        var occurrences = new Dictionary<int, int>();
        for (var word = 0; word < words.Count; word++)
            if (words.PartOf(word) == Part.Train)
                occurrences[words.Type[word]] = occurrences.GetValueOrDefault(words.Type[word]) + 1;
        var frequent = occurrences.Where(o => o.Value >= minTrainWords).Select(o => o.Key).Order().ToArray();
        var featureOf = new Dictionary<int, int>(frequent.Length);
        for (var feature = 0; feature < frequent.Length; feature++)
            featureOf[frequent[feature]] = feature;

        var start = scratch.New<long>(words.Count + 1);
        var index = new ColumnList<int>(scratch);
        for (var word = 0; word < words.Count; word++)
        {
            if (featureOf.TryGetValue(words.Type[word], out var feature))
                index.Add(feature);
            start[word + 1] = index.Count;
        }
        var value = scratch.New<float>(index.Count);
        value.Span.Fill(1f);
        return new SparseCodes(frequent.Length, start, index.Complete(), value);
    }
}
