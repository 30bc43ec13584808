using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Interpretation.Statistics;
using SaeService.Storage;

namespace SaeService.Pipeline;

/// <summary>What a feature looks like, whatever the task: how often and how strongly it fires, where most strongly, and where at every strength.</summary>
/// <param name="packed">Place in the corpus of each word of <paramref name="words"/>; the codes have their rows.</param>
/// <param name="held">Activations turned from by word to by feature at a time, 8 bytes each; a feature that has more is turned alone.</param>
internal sealed class FeatureCards(PackedCorpus corpus, LabelledWords words, Column<int> packed, SparseCodes codes, int held = 1 << 22)
{
    private const int TopContexts = 20;
    private const int WordsBeside = 12;
    private const int Bins = 20;
    private const int Intervals = 5;   // of four bins each
    private const int ContextsAnInterval = 3;
    private const int LabelsShown = 7;

    /// <summary>Longer tokens can not be searched for: an index entry must stay below 2,700 bytes.</summary>
    private const int LongestToken = 64;

    /// <summary>A row for every feature that fires on some word.</summary>
    /// <param name="effects">Promoted and suppressed tokens of a feature.</param>
    public IEnumerable<FeatureRow> Rows(Guid job, int layer, Func<int, (IReadOnlyList<TokenEffect> Promoted, IReadOnlyList<TokenEffect> Suppressed)> effects)
    {
        var start = new int[codes.Width + 1];
        foreach (var feature in codes.Index)
            start[feature + 1]++;
        for (var f = 0; f < codes.Width; f++)
            start[f + 1] += start[f];
        for (int from = 0, to; from < codes.Width; from = to)
        {
            to = from + 1;
            while (to < codes.Width && start[to + 1] - start[from] <= held)
                to++;
            var (word, value) = Turned(from, to, start);
            for (var feature = from; feature < to; feature++)
            {
                var (first, count) = (start[feature] - start[from], start[feature + 1] - start[feature]);
                if (count > 0)
                    yield return Row(job, layer, feature, word.AsSpan(first, count), value.AsSpan(first, count), effects(feature));
            }
        }
    }

    /// <summary>The words on which features from..to-1 fire, feature by feature, ascending in each; and how strongly.</summary>
    private (int[] Word, float[] Value) Turned(int from, int to, int[] start)
    {
        var word = new int[start[to] - start[from]];
        var value = new float[word.Length];
        var next = Array.ConvertAll(start[from..to], at => at - start[from]);
        for (var row = 0; row < codes.Rows && word.Length > 0; row++)
        {
            var index = codes.RowIndex(row);
            var n = index.BinarySearch(from);
            for (n = n < 0 ? ~n : n; n < index.Length && index[n] < to; n++)
            {
                var at = next[index[n] - from]++;
                (word[at], value[at]) = (row, codes.RowValue(row)[n]);
            }
        }
        return (word, value);
    }

    private FeatureRow Row(Guid job, int layer, int feature, ReadOnlySpan<int> word, ReadOnlySpan<float> value,
        (IReadOnlyList<TokenEffect> Promoted, IReadOnlyList<TokenEffect> Suppressed) effects)
    {
        var max = 0f;
        var sum = 0.0;
        foreach (var v in value)
            (max, sum) = (Math.Max(max, v), sum + v);
        var bin = new int[value.Length];
        for (var n = 0; n < bin.Length; n++)
            bin[n] = Math.Min(Bins - 1, (int)(Bins * (double)value[n] / max));
        // Bits of positive numbers are in the order of the numbers.
        var key = new ulong[value.Length];
        for (var n = 0; n < key.Length; n++)
            key[n] = uint.MaxValue - BitConverter.SingleToUInt32Bits(value[n]);
        return new FeatureRow
        {
            JobId = job,
            Layer = layer,
            Index = feature,
            Density = (double)word.Length / codes.Rows,
            MaxActivation = max,
            MeanActivation = (float)(sum / word.Length),
            HistogramJson = Json(new ActivationHistogram([.. Enumerable.Range(0, Bins + 1).Select(i => Edge(max, i))], Counts(bin))),
            LabelHistogramsJson = Json(ByLabel(word, bin)),
            ContextsJson = Json(Contexts(feature, word, value, First(word, key, TopContexts))),
            IntervalsJson = Json(Sampled(feature, word, value, bin, max)),
            PromotedJson = Json(effects.Promoted),
            SuppressedJson = Json(effects.Suppressed),
            PromotedTokens = string.Join('\n', effects.Promoted.Select(t => t.Token.ToLowerInvariant()).Where(t => t.Length <= LongestToken)),
        };
    }

    private static string Json<T>(T value) => JsonSerializer.Serialize(value, Wire.Json);

    private static double Edge(float max, int bin) => Math.Round((double)max * bin / Bins, 6);

    private static int[] Counts(ReadOnlySpan<int> bin)
    {
        var counts = new int[Bins];
        foreach (var b in bin)
            counts[b]++;
        return counts;
    }

    private List<LabelHistogram> ByLabel(ReadOnlySpan<int> word, int[] bin)
    {
        var tasks = new List<LabelHistogram>();
        foreach (var task in words.Tasks)
        {
            var total = new int[task.Names.Length];
            foreach (var w in word)
                if (task.Of[w] >= 0)
                    total[task.Of[w]]++;
            var shown = Enumerable.Range(0, total.Length).Where(y => total[y] > 0).OrderByDescending(y => total[y]).ThenBy(y => y).Take(LabelsShown).ToList();
            var counts = shown.ConvertAll(_ => new int[Bins]);
            var other = new int[Bins];
            for (var n = 0; n < word.Length; n++)
            {
                var at = shown.IndexOf(task.Of[word[n]]);
                (at < 0 ? other : counts[at])[bin[n]]++;
            }
            tasks.Add(new(task.Task, [.. shown.Select((y, at) => new LabelCounts(task.Names[y], counts[at]))], other));
        }
        return tasks;
    }

    /// <summary>Equal intervals of the activations from 0 to the maximum, the strongest first, with a few words of each.</summary>
    private List<ActivationInterval> Sampled(int feature, ReadOnlySpan<int> word, ReadOnlySpan<float> value, int[] bin, float max)
    {
        const int Width = Bins / Intervals;
        var intervals = new List<ActivationInterval>(Intervals);
        for (var i = Intervals - 1; i >= 0; i--)
        {
            var places = new List<int>();
            for (var n = 0; n < bin.Length; n++)
                if (bin[n] / Width == i)
                    places.Add(n);
            // A word's key is its own and the feature's, so that the draw is of words whatever else there is.
            var (some, key) = (new int[places.Count], new ulong[places.Count]);
            for (var n = 0; n < some.Length; n++)
                (some[n], key[n]) = (word[places[n]], new CounterRandom(feature, word[places[n]]).NextUInt64());
            var drawn = First(some, key, ContextsAnInterval).ConvertAll(n => places[n]);
            var strength = value.ToArray();
            drawn.Sort((a, b) => strength[b] != strength[a] ? strength[b].CompareTo(strength[a]) : a.CompareTo(b));
            intervals.Add(new(Edge(max, i * Width), Edge(max, (i + 1) * Width), places.Count, Math.Round((double)places.Count / word.Length, 6),
                Contexts(feature, word, value, drawn)));
        }
        return intervals;
    }

    /// <summary>Places of the smallest keys, smallest first, at most one a sentence, so that as many contexts are as many texts.</summary>
    /// <param name="word">Ascending, so that those of a sentence lie together.</param>
    private List<int> First(ReadOnlySpan<int> word, ReadOnlySpan<ulong> key, int most)
    {
        var best = new List<(ulong Key, int Place)>(most + 1);
        for (var n = 0; n < word.Length;)
        {
            var (first, sentence) = (n, words.Sentence[word[n]]);
            for (n++; n < word.Length && words.Sentence[word[n]] == sentence; n++)
                if (key[n] < key[first])
                    first = n;
            if (best.Count == most && best[^1].Key <= key[first])
                continue;
            var at = best.Count;
            while (at > 0 && best[at - 1].Key > key[first])
                at--;
            best.Insert(at, (key[first], first));
            if (best.Count > most)
                best.RemoveAt(most);
        }
        return best.ConvertAll(b => b.Place);
    }

    private List<ActivatingContext> Contexts(int feature, ReadOnlySpan<int> word, ReadOnlySpan<float> value, List<int> places)
    {
        var contexts = new List<ActivatingContext>(places.Count);
        foreach (var n in places)
            contexts.Add(Context(feature, word[n], value[n]));
        return contexts;
    }

    private ActivatingContext Context(int feature, int word, float activation)
    {
        var sentence = words.Sentence[word];
        var (first, last) = (word, word);
        while (first > 0 && word - first < WordsBeside && words.Sentence[first - 1] == sentence)
            first--;
        while (last + 1 < words.Count && last - word < WordsBeside && words.Sentence[last + 1] == sentence)
            last++;
        var shown = Enumerable.Range(first, last - first + 1).ToArray();
        return new(
            corpus.SentenceTexts[sentence],
            [.. shown.Select(w => corpus.Forms[corpus.WordForm[packed[w]]])],
            word - first,
            Math.Round(activation, 4),
            [.. shown.Select(w => Math.Round(Activation(feature, w), 4))],
            words.Tasks.ToDictionary(t => t.Task, t => t.Of[word] < 0 ? null : t.Names[t.Of[word]]),
            corpus.SentenceIds[sentence]);
    }

    private double Activation(int feature, int word)
    {
        var at = codes.RowIndex(word).BinarySearch(feature);
        return at < 0 ? 0 : codes.RowValue(word)[at];
    }
}
