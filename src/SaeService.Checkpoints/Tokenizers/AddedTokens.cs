using System.Buffers;

namespace SaeService.Checkpoints;

/// <summary>Tokens that are found in the text before the model sees it.</summary>
/// <param name="Normalized">Found in the normalised text, not in the original.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool Normalized)
{
    public static AddedToken Read(StrictJson json)
    {
        var token = new AddedToken(
            json.Value("id") is { } value && value.TryGetInt32(out var id) && id is >= 0 and <= TokenizerJson.MaxId ? id : throw json.Invalid("id", "must be a token id"),
            json.RequiredText("content"),
            json.Flag("special", false),
            json.Flag("normalized", true));
        foreach (var flag in new[] { "single_word", "lstrip", "rstrip" })
            TokenizerJson.Require(json, flag, false, absent: false);
        TokenizerJson.RefuseUnread(json);
        return token.Content.Length > 0 ? token : throw json.Invalid("content", "is empty");
    }
}

/// <summary>Finds the leftmost, and there the longest, of a set of strings.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly SearchValues<char> _firsts;
    private readonly Dictionary<char, (string Content, int Id)[]> _longestFirst;

    public AddedTokenMatcher(IEnumerable<(string Content, int Id)> tokens)
    {
        _longestFirst = tokens.GroupBy(t => t.Content[0]).ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Content.Length).ToArray());
        _firsts = SearchValues.Create([.. _longestFirst.Keys]);
    }

    /// <summary>The next match at or after <paramref name="from"/>; Start is the text's length where there is none.</summary>
    public (int Start, int End, int Id) Next(ReadOnlySpan<char> text, int from)
    {
        for (var at = from; at < text.Length; at++)
        {
            var skip = text[at..].IndexOfAny(_firsts);
            if (skip < 0)
                break;
            at += skip;
            foreach (var (content, id) in _longestFirst[text[at]])
                if (text[at..].StartsWith(content, StringComparison.Ordinal))
                    return (at, at + content.Length, id);
        }
        return (text.Length, text.Length, -1);
    }
}
