using System.Text;

namespace SaeService.Corpora.Tests;

/// <summary>Tokenizers that are right by construction: their spans tile the text.</summary>
internal static class ToyTokenizers
{
    /// <summary>Like byte-level BPE without merges: each byte of a character is a token with the span of the whole character.</summary>
    public static (int[] Ids, (int Start, int End)[] Offsets) Bytes(string text)
    {
        var (ids, spans) = (new List<int>(), new List<(int, int)>());
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            foreach (var value in Encoding.UTF8.GetBytes(rune.ToString()))
            {
                ids.Add(value);
                spans.Add((at, at + rune.Utf16SequenceLength));
            }
            at += rune.Utf16SequenceLength;
        }
        return ([.. ids], [.. spans]);
    }

    /// <summary>Runs of letters or of other signs, each with the white space before it, like GPT-2's; runs are cut after three characters.</summary>
    public static (int[] Ids, (int Start, int End)[] Offsets) Pieces(string text) => Cut(text, at =>
    {
        var end = at;
        while (end < text.Length && char.IsWhiteSpace(text[end]))
            end++;
        for (var n = 0; end < text.Length && n < 3 && !char.IsWhiteSpace(text[end]); n++)
            end++;
        return end;
    });

    /// <summary>White space parts tokens, nothing else does.</summary>
    public static (int[] Ids, (int Start, int End)[] Offsets) Words(string text) => Cut(text, at =>
    {
        var end = at;
        while (end < text.Length && char.IsWhiteSpace(text[end]))
            end++;
        while (end < text.Length && !char.IsWhiteSpace(text[end]))
            end++;
        return end;
    });

    /// <summary>Cuts at given places, as a tokenizer would that knows nothing of words.</summary>
    public static Tokenize At(params int[] lengths) => text =>
    {
        var turn = 0;
        return Cut(text, at => Math.Min(text.Length, at + lengths[turn++ % lengths.Length]));
    };

    private static (int[] Ids, (int Start, int End)[] Offsets) Cut(string text, Func<int, int> end)
    {
        var spans = new List<(int Start, int End)>();
        for (var at = 0; at < text.Length;)
        {
            spans.Add((at, end(at)));
            at = spans[^1].End;
        }
        return ([.. spans.Select(s => 100 + (s.End - s.Start))], [.. spans]);
    }

    /// <summary>A sentence whose words are parted by white space, one label a word.</summary>
    public static Sentence Sentence(string id, string document, string text, Func<int, string?>? label = null)
    {
        var words = new List<Word>();
        for (var at = 0; at < text.Length;)
        {
            var start = at;
            while (at < text.Length && !char.IsWhiteSpace(text[at]))
                at++;
            if (at > start)
                words.Add(new Word(text[start..at], start, at));
            else
                at++;
        }
        return Of(id, document, text, words, label);
    }

    /// <summary>A sentence with words of given forms, found in the text from left to right.</summary>
    public static Sentence Spelled(string text, params string[] forms)
    {
        var (words, at) = (new List<Word>(), 0);
        foreach (var form in forms)
        {
            var start = text.IndexOf(form, at, StringComparison.Ordinal);
            words.Add(new Word(form, start, at = start + form.Length));
        }
        return Of("s", "d", text, words, null);
    }

    private static Sentence Of(string id, string document, string text, List<Word> words, Func<int, string?>? label) => new()
    {
        Id = id,
        Document = document,
        Text = text,
        TextReconstructed = false,
        Words = [.. words],
        Labels = new Dictionary<string, string?[]> { ["pos"] = [.. words.Select((_, i) => label is null ? "X" : label(i))] },
    };
}
