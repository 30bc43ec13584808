namespace SaeService.Corpora;

/// <summary>Where a row of tokens is cut into contexts.</summary>
internal static class ContextCuts
{
    /// <summary>
    /// As many whole sentences as fit; where not even one does, up to the last start of a word that fits; where one word fills it, anywhere.
    /// </summary>
    /// <param name="tokens">[T] spans in <paramref name="text"/>, by start.</param>
    /// <param name="sentenceStart">Offsets of the sentences in <paramref name="text"/>, rising.</param>
    /// <param name="firstToken">[words] first token of each word, or -1.</param>
    /// <param name="capacity">Most tokens between two cuts.</param>
    /// <returns>Token indices, rising, from 0 to T; only 0 for no tokens.</returns>
    public static List<int> Choose(string text, (int Start, int End)[] tokens, int[] sentenceStart, int[] firstToken, int capacity)
    {
        var sentences = SentenceCuts(text, tokens, sentenceStart);
        var words = firstToken.Where(t => t > 0).ToList(); // Rising, because words and tokens are in the order of the text.
        var cuts = new List<int> { 0 };
        while (cuts[^1] < tokens.Length)
        {
            var from = cuts[^1];
            var to = from + capacity;
            cuts.Add(to >= tokens.Length ? tokens.Length : LastIn(sentences, from, to) ?? LastIn(words, from, to) ?? to);
        }
        return cuts;
    }

    /// <summary>The first token of each sentence but the first; a token that reaches over the border leaves none.</summary>
    private static List<int> SentenceCuts(string text, (int Start, int End)[] tokens, int[] sentenceStart)
    {
        var cuts = new List<int>(sentenceStart.Length);
        var (sentence, reached) = (1, 0);
        for (var t = 0; t < tokens.Length; t++)
        {
            var (start, end) = WordAligner.Trim(text, tokens[t].Start, tokens[t].End);
            // White space alone goes with what follows it: its own place is its end.
            var place = start == end ? tokens[t].End : start;
            while (sentence < sentenceStart.Length && sentenceStart[sentence] <= place)
            {
                if (reached <= sentenceStart[sentence] && t > 0 && (cuts.Count == 0 || cuts[^1] < t))
                    cuts.Add(t);
                sentence++;
            }
            reached = Math.Max(reached, start == end ? reached : end);
        }
        return cuts;
    }

    /// <summary>The greatest of a rising list in (from, to], or null.</summary>
    private static int? LastIn(List<int> rising, int from, int to)
    {
        var at = rising.BinarySearch(to);
        at = at >= 0 ? at : ~at - 1;
        return at >= 0 && rising[at] > from ? rising[at] : null;
    }
}
