using System.Buffers;

namespace SaeService.Checkpoints;

/// <summary>A token that is found in the text before the model sees it.</summary>
/// <param name="Normalized">Found in the normalised text, not in the original.</param>
/// <param name="SingleWord">Only where no word character stands before or after it.</param>
/// <param name="LeftStrip">White space before it is a part of it.</param>
internal sealed record AddedToken(string Content, bool Special, bool Normalized, bool SingleWord, bool LeftStrip, bool RightStrip)
{
    private const int MaxLength = 1_000;

    /// <summary>An entry of <c>added_tokens</c> with the id that the file gives it.</summary>
    public static (int Id, AddedToken Token) Read(StrictJson json)
    {
        var id = TokenizerJson.Count(json, "id", -1, TokenizerJson.MaxId);
        var special = json.Flag("special", false);
        var token = new AddedToken(json.RequiredText("content"), special, json.Flag("normalized", true),
            json.Flag("single_word", false), json.Flag("lstrip", false), json.Flag("rstrip", false));
        TokenizerJson.RefuseUnread(json);
        return token.Content.Length <= MaxLength ? (id, token) : throw json.Invalid("content", $"is longer than {MaxLength}");
    }
}

/// <summary>Finds added tokens: the leftmost, and there the longest, of a set of strings, with what their flags make of it.</summary>
internal sealed class AddedTokenFinder
{
    private readonly TokenTrie _trie;
    private readonly SearchValues<char> _firsts;
    private readonly IReadOnlyDictionary<int, AddedToken> _tokens;

    /// <param name="strings">What is looked for, with the token's id.</param>
    /// <param name="tokens">By id: whose flags count.</param>
    public AddedTokenFinder(IEnumerable<(string Text, int Id)> strings, IReadOnlyDictionary<int, AddedToken> tokens)
    {
        _trie = new(strings);
        _firsts = SearchValues.Create([.. _trie.Firsts]);
        _tokens = tokens;
    }

    /// <summary>The tokens of the text in order. One that takes white space to its right may reach over the next.</summary>
    public List<(int Start, int End, int Id)> Find(ReadOnlySpan<char> text)
    {
        List<(int, int, int)> found = [];
        var done = 0;
        for (var at = 0; at < text.Length;)
        {
            var skip = text[at..].IndexOfAny(_firsts);
            if (skip < 0)
                break;
            at += skip;
            var (length, id) = _trie.Longest(text[at..]);
            if (length == 0)
            {
                at++;
                continue;
            }
            var (start, end) = (at, at + length);
            at = end;
            var token = _tokens[id];
            if (token.SingleWord && (EndsInWord(text[..start]) || BeginsWithWord(text[end..])))
                continue;
            if (token.LeftStrip)
                while (start > done && UnicodeFacts.WhiteSpace.Contains(text[start - 1]))
                    start--;
            if (token.LeftStrip)
                start = Math.Max(start, done);
            if (token.RightStrip)
                while (end < text.Length && UnicodeFacts.WhiteSpace.Contains(text[end]))
                    end++;
            found.Add((start, end, id));
            done = end;
        }
        return found;
    }

    private static bool BeginsWithWord(ReadOnlySpan<char> text) => text.Length > 0 && UnicodeFacts.Word.Contains(AlignedText.CodePoint(text, 0, out _));

    private static bool EndsInWord(ReadOnlySpan<char> text)
    {
        if (text.Length == 0)
            return false;
        var pair = text.Length > 1 && char.IsLowSurrogate(text[^1]) && char.IsHighSurrogate(text[^2]);
        return UnicodeFacts.Word.Contains(AlignedText.CodePoint(text, text.Length - (pair ? 2 : 1), out _));
    }
}
