namespace SaeService.Checkpoints;

/// <summary>
/// WordPiece (Schuster &amp; Nakajima 2012, as in BERT): from the left, always the longest token that fits; a piece that does not come out is unknown as a whole.
/// </summary>
internal sealed class WordPieceModel(Dictionary<string, int> ids, string unknown, string prefix, int maxCharacters, Func<string, CheckpointException> invalid) : TokenModel(ids)
{
    private readonly int? _unknown = ids.TryGetValue(unknown, out var id) ? id : null;
    private readonly TokenTrie _starts = new(ids.Select(t => (t.Key, t.Value)));
    private readonly TokenTrie _continuations = new(ids.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(t => (t.Key[prefix.Length..], t.Value)));

    public static new WordPieceModel Read(StrictJson json) => new(
        TokenizerJson.Vocabulary(json, "vocab"),
        json.Text("unk_token") ?? "[UNK]",
        json.Text("continuing_subword_prefix") ?? "##",
        TokenizerJson.Count(json, "max_input_chars_per_word", 100, int.MaxValue),
        message => json.Invalid("unk_token", message));

    protected override void Encode(ReadOnlySpan<char> piece, List<PieceToken> tokens)
    {
        var at = piece.Length > maxCharacters && Characters(piece) > maxCharacters ? -1 : 0;
        while (at >= 0 && at < piece.Length)
        {
            var trie = at == 0 ? _starts : _continuations;
            var (length, id) = trie.Longest(piece[at..]);
            if (length > 0)
                tokens.Add(new(id, at, at + length));
            at = length > 0 ? at + length : -1;
        }
        if (at >= 0)
            return;
        tokens.Clear();
        tokens.Add(new(_unknown ?? throw invalid($"'{unknown}' is not in the vocabulary, and the text has an unknown word"), 0, piece.Length));
    }

    private static int Characters(ReadOnlySpan<char> piece)
    {
        var count = 0;
        foreach (var _ in piece.EnumerateRunes())
            count++;
        return count;
    }
}
