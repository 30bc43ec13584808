namespace SaeService.Checkpoints;

/// <summary>Each piece is a token of the vocabulary, or the unknown token.</summary>
internal sealed class WordLevelModel(Dictionary<string, int> ids, string unknown, Func<string, CheckpointException> invalid) : TokenModel(ids)
{
    private readonly int? _unknown = ids.TryGetValue(unknown, out var id) ? id : null;

    public static new WordLevelModel Read(StrictJson json) =>
        new(TokenizerJson.Vocabulary(json, "vocab"), json.RequiredText("unk_token"), message => json.Invalid("unk_token", message));

    protected override void Encode(ReadOnlySpan<char> piece, List<PieceToken> tokens) =>
        tokens.Add(new(Find(piece) ?? _unknown ?? throw invalid($"'{unknown}' is not in the vocabulary, and the text has an unknown word"), 0, piece.Length));
}
