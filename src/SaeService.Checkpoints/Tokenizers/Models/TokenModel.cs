using System.Collections.Concurrent;

namespace SaeService.Checkpoints;

/// <summary>A token of a piece of text: its id, and the UTF-16 units of the piece that it stands for.</summary>
internal readonly record struct PieceToken(int Id, int Start, int End);

/// <summary>The <c>model</c> section of tokenizer.json: turns a piece of text into ids. Short pieces are remembered; safe for use by several threads.</summary>
internal abstract class TokenModel(Dictionary<string, int> ids)
{
    private const int MaxCachedUnits = 48;
    private const int MaxCached = 1 << 16;

    private readonly ConcurrentDictionary<string, PieceToken[]> _cache = new(StringComparer.Ordinal);
    private int _cached;

    /// <summary>The vocabulary.</summary>
    public IReadOnlyDictionary<string, int> Ids => ids;

    /// <summary>How many tokens the vocabulary lists; where tokens are added, their ids begin here.</summary>
    public virtual int Size => ids.Count;

    /// <summary>The id of text that the vocabulary cannot spell, where the library writes that text in place of a token's name.</summary>
    public virtual int? SpelledOutId => null;

    public static TokenModel Read(StrictJson json)
    {
        var kind = json.Text("type") ?? KindOf(json);
        TokenModel model = kind switch
        {
            "BPE" => BpeModel.Read(json),
            "WordPiece" => WordPieceModel.Read(json),
            "Unigram" => UnigramModel.Read(json),
            "WordLevel" => WordLevelModel.Read(json),
            _ => throw json.Unsupported("type", $"model '{kind}' is not supported"),
        };
        TokenizerJson.RefuseUnread(json);
        return model;
    }

    /// <summary>Encodes units [start, end) of the text.</summary>
    public virtual void Encode(AlignedText text, int start, int end, TokenList tokens) => EncodeCached(text, start, end, tokens);

    protected abstract void Encode(ReadOnlySpan<char> piece, List<PieceToken> tokens);

    protected void EncodeCached(AlignedText text, int start, int end, TokenList tokens)
    {
        var piece = text.Chars[start..end];
        var cache = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (piece.Length > MaxCachedUnits || !cache.TryGetValue(piece, out var known))
        {
            var fresh = new List<PieceToken>();
            Encode(piece, fresh);
            known = [.. fresh];
            if (piece.Length <= MaxCachedUnits && _cached < MaxCached && Interlocked.Increment(ref _cached) <= MaxCached)
                cache.TryAdd(piece, known);
        }
        foreach (var token in known)
            tokens.Add(token.Id, text.Original(start + token.Start, start + token.End), token.Id == SpelledOutId ? piece[token.Start..token.End] : default);
    }

    protected int? Find(ReadOnlySpan<char> token) => ids.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(token, out var id) ? id : null;

    /// <summary>Files from before the types were named are told apart by what they have.</summary>
    private static string KindOf(StrictJson json) =>
        json.Value("vocab") is { ValueKind: System.Text.Json.JsonValueKind.Array } ? "Unigram"
        : json.Value("merges") is not null ? "BPE"
        : json.Value("max_input_chars_per_word") is not null || json.Value("continuing_subword_prefix") is not null ? "WordPiece"
        : "BPE";
}
