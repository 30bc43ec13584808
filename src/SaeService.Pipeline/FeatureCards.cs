using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Storage;

namespace SaeService.Pipeline;

/// <summary>What a feature looks like, whatever the task: how often and how strongly it fires, and where most strongly.</summary>
internal sealed class FeatureCards
{
    private const int TopContexts = 10;
    private const int WordsBeside = 12;
    private const int Bins = 20;

    private readonly PackedCorpus _corpus;
    private readonly LabelledWords _words;
    private readonly int[] _packed;
    private readonly SparseCodes _codes;
    private readonly int[] _start;   // [F + 1] into the two below
    private readonly int[] _word;    // words on which each feature fires, ascending
    private readonly float[] _value;

    /// <param name="packed">Place in the corpus of each word of <paramref name="words"/>; the codes have their rows.</param>
    public FeatureCards(PackedCorpus corpus, LabelledWords words, int[] packed, SparseCodes codes)
    {
        (_corpus, _words, _packed, _codes) = (corpus, words, packed, codes);
        _start = new int[codes.Width + 1];
        foreach (var feature in codes.Index)
            _start[feature + 1]++;
        for (var f = 0; f < codes.Width; f++)
            _start[f + 1] += _start[f];
        _word = new int[codes.Index.Length];
        _value = new float[codes.Index.Length];
        var next = _start.AsSpan(0, codes.Width).ToArray();
        for (var row = 0; row < codes.Rows; row++)
        {
            var index = codes.RowIndex(row);
            var value = codes.RowValue(row);
            for (var n = 0; n < index.Length; n++)
            {
                var at = next[index[n]]++;
                (_word[at], _value[at]) = (row, value[n]);
            }
        }
    }

    /// <summary>A row for every feature that fires on some word.</summary>
    /// <param name="effects">Promoted and suppressed tokens of a feature.</param>
    public IEnumerable<FeatureRow> Rows(Guid job, int layer, Func<int, (IReadOnlyList<TokenEffect> Promoted, IReadOnlyList<TokenEffect> Suppressed)> effects)
    {
        for (var feature = 0; feature < _codes.Width; feature++)
        {
            var count = _start[feature + 1] - _start[feature];
            if (count == 0)
                continue;
            var values = _value.AsMemory(_start[feature], count);
            var max = 0f;
            var sum = 0.0;
            foreach (var value in values.Span)
                (max, sum) = (Math.Max(max, value), sum + value);
            var (promoted, suppressed) = effects(feature);
            yield return new FeatureRow
            {
                JobId = job,
                Layer = layer,
                Index = feature,
                Density = (double)count / _codes.Rows,
                MaxActivation = max,
                MeanActivation = (float)(sum / count),
                HistogramJson = JsonSerializer.Serialize(Histogram(values.Span, max), Wire.Json),
                ContextsJson = JsonSerializer.Serialize(Strongest(feature).Select(n => Context(feature, _word[n], _value[n])), Wire.Json),
                PromotedJson = JsonSerializer.Serialize(promoted, Wire.Json),
                SuppressedJson = JsonSerializer.Serialize(suppressed, Wire.Json),
            };
        }
    }

    private static ActivationHistogram Histogram(ReadOnlySpan<float> values, float max)
    {
        var counts = new int[Bins];
        foreach (var value in values)
            counts[Math.Min(Bins - 1, (int)(Bins * (double)value / max))]++;
        return new([.. Enumerable.Range(0, Bins + 1).Select(i => Math.Round((double)max * i / Bins, 6))], counts);
    }

    /// <summary>Places in <see cref="_word"/> of the highest activations, at most one a sentence, so that ten contexts are ten texts.</summary>
    private List<int> Strongest(int feature)
    {
        var sentences = new HashSet<int>();
        var top = new List<int>(TopContexts);
        foreach (var n in Enumerable.Range(_start[feature], _start[feature + 1] - _start[feature]).OrderByDescending(n => _value[n]).ThenBy(n => _word[n]))
            if (sentences.Add(_words.Sentence[_word[n]]))
            {
                top.Add(n);
                if (top.Count == TopContexts)
                    break;
            }
        return top;
    }

    private ActivatingContext Context(int feature, int word, float activation)
    {
        var sentence = _words.Sentence[word];
        var (first, last) = (word, word);
        while (first > 0 && word - first < WordsBeside && _words.Sentence[first - 1] == sentence)
            first--;
        while (last + 1 < _words.Count && last - word < WordsBeside && _words.Sentence[last + 1] == sentence)
            last++;
        var shown = Enumerable.Range(first, last - first + 1).ToArray();
        return new(
            _corpus.SentenceTexts[sentence],
            [.. shown.Select(w => _corpus.Forms[_corpus.WordForm[_packed[w]]])],
            word - first,
            Math.Round(activation, 4),
            [.. shown.Select(w => Math.Round(Activation(feature, w), 4))],
            _words.Tasks.ToDictionary(t => t.Task, t => t.Of[word] < 0 ? null : t.Names[t.Of[word]]),
            _corpus.SentenceIds[sentence]);
    }

    private double Activation(int feature, int word)
    {
        var at = _codes.RowIndex(word).BinarySearch(feature);
        return at < 0 ? 0 : _codes.RowValue(word)[at];
    }
}
