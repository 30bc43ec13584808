using System.Text;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>How a BPE model is read beyond its vocabulary and merges; the keys of tokenizer.json.</summary>
internal sealed record BpeOptions(string? Unknown, bool FuseUnknown, bool ByteFallback, bool IgnoreMerges, string Prefix, string Suffix);

/// <summary>
/// Byte-pair encoding as the tokenizers library does it: a character is a token, or its UTF-8 bytes as tokens <c>&lt;0xNN&gt;</c> (byte_fallback), or
/// the unknown token, or nothing; then merges by rank.
/// </summary>
internal sealed class BpeModel : TokenModel
{
    // Words are encoded, and remembered, as they are.
    private const int MinCut = 16;

    private readonly BpeOptions _options;
    private readonly Dictionary<int, int> _idOfRune = [];
    private readonly int[] _idOfByte;
    private readonly int? _unknown;
    private readonly MergeTable _merges;
    private readonly Func<string, CheckpointException> _invalid;

    // Character pairs that some merged token has inside it. Between any other two characters the text can be cut without changing a token.
    private readonly HashSet<(int, int)> _inside = [];
    private readonly bool _cut, _allBytes;

    public BpeModel(Dictionary<string, int> ids, MergeTable merges, IEnumerable<(string Left, string Right)> pairs, BpeOptions options, Func<string, CheckpointException> invalid)
        : base(ids)
    {
        (_options, _merges, _invalid) = (options, merges, invalid);
        foreach (var (token, id) in ids)
            if (token.Length is 1 or 2 && Rune.DecodeFromUtf16(token, out var rune, out var units) == System.Buffers.OperationStatus.Done && units == token.Length)
                _idOfRune[rune.Value] = id;
        if (options.Unknown is { } unknown && ids.TryGetValue(unknown, out var unknownId))
            _unknown = unknownId;
        _idOfByte = [.. Enumerable.Range(0, 256).Select(b => options.ByteFallback ? ids.GetValueOrDefault(ByteToken(b), -1) : -1)];
        _allBytes = !_idOfByte.Contains(-1);
        _cut = options.Prefix.Length == 0 && options.Suffix.Length == 0 && CharactersTell();
        foreach (var (left, right) in pairs)
        {
            Rune.DecodeLastFromUtf16(left, out var last, out _);
            Rune.DecodeFromUtf16(right, out var first, out _);
            _inside.Add((last.Value, first.Value));
        }
    }

    public static string ByteToken(int value) => $"<0x{value:X2}>";

    public static new BpeModel Read(StrictJson json)
    {
        if (json.Number("dropout", 0) != 0)
            throw json.Unsupported("dropout", "random merges are not supported");
        var options = new BpeOptions(json.Text("unk_token"), json.Flag("fuse_unk", false), json.Flag("byte_fallback", false), json.Flag("ignore_merges", false),
            json.Text("continuing_subword_prefix") ?? "", json.Text("end_of_word_suffix") ?? "");
        var ids = TokenizerJson.Vocabulary(json, "vocab");
        var (merges, pairs) = ReadMerges(json, ids, options.Prefix);
        return new(ids, merges, pairs, options, message => json.Invalid("unk_token", message));
    }

    /// <summary>Adds the pairs as merges; the right part of a merge loses the prefix for continuing tokens.</summary>
    public static MergeTable Merges(Dictionary<string, int> ids, IEnumerable<(string Left, string Right)> pairs, string prefix, Func<int, string, CheckpointException> invalid)
    {
        var merges = new MergeTable();
        foreach (var (left, right) in pairs)
        {
            if (!ids.TryGetValue(left, out var leftId) || !ids.TryGetValue(right, out var rightId) || right.Length < prefix.Length
                || !ids.TryGetValue(string.Concat(left, right.AsSpan(prefix.Length)), out var merged))
                throw invalid(merges.Count, $"'{left}' + '{right}' is not made of tokens of the vocabulary");
            merges.Add(leftId, rightId, merged);
        }
        return merges;
    }

    public override void Encode(AlignedText text, int start, int end, TokenList tokens)
    {
        var chars = text.Chars[start..end];
        if (_options.IgnoreMerges && Find(chars) is { } whole)
        {
            tokens.Add(whole, text.Original(start, end));
            return;
        }
        if (!_cut || chars.Length <= MinCut || (_unknown is null && !AllKnown(chars)))
        {
            EncodeCached(text, start, end, tokens);
            return;
        }
        for (int from = 0, to; from < chars.Length; from = to)
        {
            to = NextCut(chars, from);
            EncodeCached(text, start + from, start + to, tokens);
        }
    }

    private int NextCut(ReadOnlySpan<char> chars, int from)
    {
        var left = AlignedText.CodePoint(chars, from, out var units);
        for (from += units; from < chars.Length; from += units)
        {
            var right = AlignedText.CodePoint(chars, from, out units);
            // Unknown characters wait for the next of the vocabulary: they may become one token, and go behind bytes.
            if ((_allBytes || _idOfRune.ContainsKey(left)) && !_inside.Contains((left, right)))
                return from;
            left = right;
        }
        return chars.Length;
    }

    private bool IsKnown(int rune) => _idOfRune.ContainsKey(rune) || (_options.ByteFallback && HasBytes(rune));

    // A character that comes to nothing shifts the positions of all after it.
    private bool AllKnown(ReadOnlySpan<char> chars)
    {
        for (int at = 0, units; at < chars.Length; at += units)
            if (!IsKnown(AlignedText.CodePoint(chars, at, out units)))
                return false;
        return true;
    }

    /// <summary>False where a byte token or the unknown token takes part in a merge, so that characters alone do not tell where to cut.</summary>
    private bool CharactersTell()
    {
        var silent = _idOfByte.Where(id => id >= 0).ToHashSet();
        if (_unknown is { } unknown)
            silent.Add(unknown);
        return !_merges.Any(silent);
    }

    protected override void Encode(ReadOnlySpan<char> piece, List<PieceToken> tokens)
    {
        var symbols = new List<MergeTable.Symbol>(piece.Length);
        var regular = AddCharacters(piece, symbols);
        var merged = symbols.ToArray();
        var count = _merges.Merge(merged);
        for (var i = 0; i < count; i++)
            tokens.Add(new(merged[i].Id, merged[i].Start, merged[i].End));
        if (!regular)
            CountBytes(piece, merged.AsSpan(0, count), tokens);
    }

    /// <summary>Adds a symbol a character. False where a character came to nothing or out of order, after which positions are no longer those of the symbols' own text.</summary>
    private bool AddCharacters(ReadOnlySpan<char> piece, List<MergeTable.Symbol> symbols)
    {
        Span<byte> utf8 = stackalloc byte[4];
        var pending = new MergeTable.Symbol(-1, 0, 0);
        var regular = true;
        for (int at = 0, units; at < piece.Length; at += units)
        {
            var rune = AlignedText.CodePoint(piece, at, out units);
            var bytes = Utf8Length(rune);
            if (IdOf(rune, at == 0, at + units == piece.Length, piece.Slice(at, units)) is { } id)
            {
                Flush();
                symbols.Add(new(id, at, at + units) { Bytes = bytes });
            }
            else if (HasBytes(rune))
            {
                regular &= pending.Id < 0;
                foreach (var value in utf8[..new Rune(rune).EncodeToUtf8(utf8)])
                    symbols.Add(new(_idOfByte[value], at, at + units) { Bytes = 1 });
            }
            else if (_unknown is { } unknown)
            {
                if (_options.FuseUnknown && pending.Id >= 0)
                {
                    pending.End = at + units;
                    pending.Bytes += bytes;
                    continue;
                }
                Flush();
                pending = new(unknown, at, at + units) { Bytes = bytes };
            }
            else if (_options.Unknown is { } missing)
                throw _invalid($"'{missing}' is not in the vocabulary, and the text has an unknown character");
            else
                regular = false;
        }
        Flush();
        return regular;

        void Flush()
        {
            if (pending.Id >= 0)
                symbols.Add(pending);
            pending.Id = -1;
        }
    }

    private int? IdOf(int rune, bool first, bool last, ReadOnlySpan<char> units)
    {
        if ((first || _options.Prefix.Length == 0) && (!last || _options.Suffix.Length == 0))
            return _idOfRune.TryGetValue(rune, out var id) ? id : null;
        return Find(string.Concat(first ? "" : _options.Prefix, units, last ? _options.Suffix : ""));
    }

    /// <summary>The library's positions: each token begins where the one before ends, counted in bytes of the piece, and belongs to the characters there.</summary>
    private static void CountBytes(ReadOnlySpan<char> piece, ReadOnlySpan<MergeTable.Symbol> symbols, List<PieceToken> tokens)
    {
        var unitOfByte = new List<(int Start, int End)>();
        for (int at = 0, units; at < piece.Length; at += units)
        {
            var length = Utf8Length(AlignedText.CodePoint(piece, at, out units));
            for (var i = 0; i < length; i++)
                unitOfByte.Add((at, at + units));
        }
        var position = 0;
        for (var i = 0; i < symbols.Length; i++)
        {
            var end = position + symbols[i].Bytes;
            tokens[i] = tokens[i] with { Start = unitOfByte[position].Start, End = unitOfByte[end - 1].End };
            position = end;
        }
    }

    private static int Utf8Length(int rune) => rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;

    private bool HasBytes(int rune)
    {
        if (!_options.ByteFallback)
            return false;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var value in utf8[..new Rune(rune).EncodeToUtf8(utf8)])
            if (_idOfByte[value] < 0)
                return false;
        return true;
    }

    /// <summary>Reads the merges, as strings parted by a space or as pairs.</summary>
    private static (MergeTable, List<(string, string)>) ReadMerges(StrictJson json, Dictionary<string, int> ids, string prefix)
    {
        // gpt-nano-sort and other character models have a vocabulary and no merges.
        if (json.Value("merges") is not { } merges)
            return (new(), []);
        if (merges.ValueKind != JsonValueKind.Array)
            throw json.Invalid("merges", "must be an array");
        var pairs = new List<(string, string)>(merges.GetArrayLength());
        foreach (var merge in merges.EnumerateArray())
            pairs.Add(Pair(json, merge, pairs.Count));
        return (Merges(ids, pairs, prefix, (i, message) => json.Invalid($"merges[{i}]", message)), pairs);
    }

    private static (string Left, string Right) Pair(StrictJson json, JsonElement merge, int index)
    {
        if (merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2
            && merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String)
            return (merge[0].GetString()!, merge[1].GetString()!);
        if (merge.ValueKind == JsonValueKind.String && merge.GetString()!.Split(' ') is [var left, var right])
            return (left, right);
        throw json.Invalid($"merges[{index}]", "must be two tokens");
    }
}
