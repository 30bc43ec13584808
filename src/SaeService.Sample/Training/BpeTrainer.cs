using SaeService.Sample.Grammar;

namespace SaeService.Sample.Training;

/// <summary>Pieces in order of id, and merges in order of rank.</summary>
public sealed record BpeVocabulary(IReadOnlyList<string> Pieces, IReadOnlyList<(string Left, string Right)> Merges);

/// <summary>
/// Byte-pair encoding (Sennrich et al., 2016) over the corpus' own words, in the layout of the SentencePiece-like tokenizers of Llama models:
/// <c>&lt;unk&gt; &lt;s&gt; &lt;/s&gt;</c>, 256 byte pieces, merged pieces by rank, single characters. A space is the mark U+2581 at the head of a word;
/// merges are counted within words, so no piece holds the end of one word and the start of the next.
/// </summary>
public static class BpeTrainer
{
    public const string SpaceMark = "\u2581";
    public static readonly string[] SpecialPieces = ["<unk>", "<s>", "</s>"];

    /// <summary>
    /// Merges the commonest pair until <paramref name="vocabularySize"/> pieces exist or no pair occurs twice; ties by ordinal order of the pair.
    /// </summary>
    public static BpeVocabulary Train(IEnumerable<SampleDocument> documents, int vocabularySize)
    {
        var words = CountWords(documents);
        var characters = words.SelectMany(w => w.Pieces).Distinct().Order(StringComparer.Ordinal).ToArray();
        var fixedPieces = SpecialPieces.Length + 256 + characters.Length;
        if (vocabularySize < fixedPieces)
            throw new ArgumentOutOfRangeException(nameof(vocabularySize), vocabularySize, $"the special, byte and character pieces alone are {fixedPieces}");

        var merges = new List<(string, string)>();
        var merged = new HashSet<string>(StringComparer.Ordinal);
        while (fixedPieces + merged.Count < vocabularySize && MostFrequentPair(words) is { } pair)
        {
            merges.Add(pair);
            merged.Add(pair.Left + pair.Right);
            foreach (var word in words)
                word.Merge(pair);
        }
        var bytes = Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>");
        return new([.. SpecialPieces, .. bytes, .. merges.Select(m => m.Item1 + m.Item2).Distinct(), .. characters], merges);
    }

    private static CountedWord[] CountWords(IEnumerable<SampleDocument> documents)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var document in documents)
            foreach (var sentence in document.Sentences)
            {
                // A sentence starts after a space or at the start of the text, which the tokenizer gives a space too.
                var spaced = true;
                foreach (var word in sentence.Words)
                {
                    var key = (spaced ? SpaceMark : "") + word.Form;
                    counts[key] = counts.GetValueOrDefault(key) + 1;
                    spaced = word.SpaceAfter;
                }
            }
        return [.. counts.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => new CountedWord(c.Key, c.Value))];
    }

    private static (string Left, string Right)? MostFrequentPair(CountedWord[] words)
    {
        var counts = new Dictionary<(string Left, string Right), long>();
        foreach (var word in words)
            for (var i = 0; i + 1 < word.Pieces.Count; i++)
            {
                var pair = (word.Pieces[i], word.Pieces[i + 1]);
                counts[pair] = counts.GetValueOrDefault(pair) + word.Count;
            }
        (string Left, string Right)? best = null;
        var most = 1L;
        foreach (var (pair, count) in counts)
            if (count > most || (count == most && best is { } b && Before(pair, b)))
                (best, most) = (pair, count);
        return best;
    }

    private static bool Before((string Left, string Right) a, (string Left, string Right) b)
    {
        var left = string.CompareOrdinal(a.Left, b.Left);
        return left < 0 || (left == 0 && string.CompareOrdinal(a.Right, b.Right) < 0);
    }

    private sealed class CountedWord(string word, long count)
    {
        public long Count => count;

        public List<string> Pieces { get; } = [.. word.EnumerateRunes().Select(r => r.ToString())];

        public void Merge((string Left, string Right) pair)
        {
            for (var i = 0; i + 1 < Pieces.Count; i++)
                if (Pieces[i] == pair.Left && Pieces[i + 1] == pair.Right)
                {
                    Pieces[i] += Pieces[i + 1];
                    Pieces.RemoveAt(i + 1);
                }
        }
    }
}
