namespace SaeService.Corpora;

/// <summary>What became of a word when tokens were laid over it.</summary>
public enum Alignment : byte
{
    Aligned,

    /// <summary>All tokens that touch it reach into another word too.</summary>
    Ambiguous,

    /// <summary>No token touches it.</summary>
    Unaligned,

    /// <summary>A part of a multi-word token whose parts do not spell the surface.</summary>
    Multiword,

    /// <summary>Only special tokens touch it: the text spells one.</summary>
    Special,
}

/// <summary>
/// Lays tokens over words by their character spans (method 1a), never by their strings. Both come in the order of the text. Spans of tokens are
/// first trimmed of white space. A token that overlaps one word is its own; a word without one is dropped. A token that overlaps several is
/// ambiguous and goes to the word with the larger overlap, of equals to the later: a word's last token is then the one that has seen all of it.
/// </summary>
public static class WordAligner
{
    /// <param name="text">What was tokenised.</param>
    /// <param name="words">Spans in <paramref name="text"/>, by start; only parts of one multi-word token may overlap (they are equal).</param>
    /// <param name="shared">For each word, whether it shares its span with others and so can have no token of its own.</param>
    /// <param name="tokens">Spans in <paramref name="text"/>, by start. Byte tokens of one character may have equal spans.</param>
    /// <param name="ignored">For each token, whether it can belong to no word (special tokens).</param>
    /// <param name="first">[words] first token of each aligned word.</param>
    /// <param name="last">[words] last token, included; tokens between the two are its own, or white space inside it.</param>
    /// <returns>How many tokens overlap several words.</returns>
    /// <exception cref="CorpusException">Token spans that are outside the text or out of order.</exception>
    public static int Align(ReadOnlySpan<char> text, ReadOnlySpan<(int Start, int End)> words, ReadOnlySpan<bool> shared,
        ReadOnlySpan<(int Start, int End)> tokens, ReadOnlySpan<bool> ignored, Span<int> first, Span<int> last, Span<Alignment> outcome)
    {
        for (var w = 0; w < words.Length; w++)
            (first[w], last[w], outcome[w]) = (-1, -1, shared[w] ? Alignment.Multiword : Alignment.Unaligned);

        var lowest = 0;
        var ambiguous = new List<(int Token, int Word)>();
        for (var t = 0; t < tokens.Length; t++)
        {
            var (start, end) = tokens[t];
            if (start < 0 || end > text.Length || start > end || (t > 0 && start < tokens[t - 1].Start))
                throw new CorpusException($"the tokenizer gave token {t} the span [{start}, {end}), "
                    + $"outside a text of {text.Length} characters or before the last token");
            (start, end) = Trim(text, start, end);
            if (start == end)
                continue;
            while (lowest < words.Length && words[lowest].End <= start)
                lowest++;
            var (owner, touched, most) = (-1, 0, 0);
            for (var w = lowest; w < words.Length && words[w].Start < end; w++)
            {
                if (words[w].End <= start)
                    continue;
                if (outcome[w] is Alignment.Unaligned or Alignment.Special)
                    outcome[w] = ignored[t] ? Alignment.Special : Alignment.Ambiguous;
                touched++;
                var overlap = Math.Min(end, words[w].End) - Math.Max(start, words[w].Start);
                if (overlap >= most)
                    (owner, most) = (w, overlap);
            }
            if (touched == 0 || ignored[t] || shared[owner])
                continue;
            if (touched > 1)
            {
                ambiguous.Add((t, owner));
                continue;
            }
            if (first[owner] < 0)
                first[owner] = t;
            last[owner] = t;
            outcome[owner] = Alignment.Aligned;
        }
        // Only at an end of a word that has tokens of its own, and never out of the order of the words.
        foreach (var (t, w) in ambiguous)
            if (outcome[w] == Alignment.Aligned && (t < first[w] ? t > LastBefore(w, last) : t < FirstAfter(w, first)))
                (first[w], last[w]) = (Math.Min(first[w], t), Math.Max(last[w], t));
        return ambiguous.Count;
    }

    private static int LastBefore(int word, ReadOnlySpan<int> last)
    {
        while (--word >= 0 && last[word] < 0)
        {
        }
        return word < 0 ? -1 : last[word];
    }

    private static int FirstAfter(int word, ReadOnlySpan<int> first)
    {
        while (++word < first.Length && first[word] < 0)
        {
        }
        return word == first.Length ? int.MaxValue : first[word];
    }

    internal static (int Start, int End) Trim(ReadOnlySpan<char> text, int start, int end)
    {
        while (start < end && char.IsWhiteSpace(text[start]))
            start++;
        while (end > start && char.IsWhiteSpace(text[end - 1]))
            end--;
        return (start, end);
    }
}
