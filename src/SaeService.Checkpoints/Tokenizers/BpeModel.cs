using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>
/// Byte-pair encoding as the tokenizers library does it: a character is a token, or its UTF-8 bytes as tokens <c>&lt;0xNN&gt;</c> (byte_fallback), or
/// the unknown token; then merges by rank.
/// </summary>
internal sealed class BpeModel
{
    private const int MaxCachedUnits = 48;
    private const int MaxCached = 1 << 16;

    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<int, int> _idOfRune = [];
    private readonly int[]? _idOfByte;
    private readonly int? _unknown;
    private readonly bool _fuseUnknown, _ignoreMerges;
    private readonly MergeTable _merges = new();

    // Character pairs that some merged token has inside it. Between any other two characters the text can be cut without changing a token.
    private readonly HashSet<(int, int)> _inside = [];
    private readonly bool _cut;

    private readonly ConcurrentDictionary<string, MergeTable.Symbol[]> _cache = new(StringComparer.Ordinal);
    private int _cached;

    public IReadOnlyDictionary<string, int> Ids => _ids;

    public BpeModel(StrictJson json)
    {
        var type = json.Text("type") ?? "BPE";
        if (type != "BPE")
            throw json.Unsupported("type", $"model '{type}' is not supported");
        if (json.Number("dropout", 0) != 0)
            throw json.Unsupported("dropout", "random merges are not supported");
        foreach (var affix in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            if (!string.IsNullOrEmpty(json.Text(affix)))
                throw json.Unsupported(affix, "is not supported");
        _ids = TokenizerJson.Vocabulary(json, "vocab");
        foreach (var (token, id) in _ids)
            if (token.Length > 0 && Rune.DecodeFromUtf16(token, out var rune, out var units) == System.Buffers.OperationStatus.Done && units == token.Length)
                _idOfRune[rune.Value] = id;
        if (json.Text("unk_token") is { } unknown)
            _unknown = _ids.TryGetValue(unknown, out var id) ? id : throw json.Invalid("unk_token", $"'{unknown}' is not in the vocabulary");
        _fuseUnknown = json.Flag("fuse_unk", false);
        _ignoreMerges = json.Flag("ignore_merges", false);
        var byteTokens = Enumerable.Range(0, 256).Select(b => _ids.GetValueOrDefault(ByteToken(b), -1)).ToArray();
        if (json.Flag("byte_fallback", false))
            _idOfByte = byteTokens;
        _cut = ReadMerges(json, byteTokens);
        TokenizerJson.RefuseUnread(json);
    }

    public static string ByteToken(int value) => $"<0x{value:X2}>";

    /// <summary>Encodes units [start, end) of the text, adding to the ids and to the spans in the original.</summary>
    public void Encode(AlignedText text, int start, int end, List<int> ids, List<(int Start, int End)> spans)
    {
        var chars = text.Chars[start..end];
        if (_ignoreMerges && _ids.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(chars, out var whole))
        {
            ids.Add(whole);
            spans.Add(text.Original(start, end));
            return;
        }
        for (int from = 0, to; from < chars.Length; from = to)
        {
            to = _cut ? NextCut(chars, from) : chars.Length;
            foreach (var symbol in Symbols(chars[from..to]))
            {
                ids.Add(symbol.Id);
                spans.Add(text.Original(start + from + symbol.Start, start + from + symbol.End));
            }
        }
    }

    private int NextCut(ReadOnlySpan<char> chars, int from)
    {
        Rune.DecodeFromUtf16(chars[from..], out var left, out var units);
        for (from += units; from < chars.Length; from += units)
        {
            Rune.DecodeFromUtf16(chars[from..], out var right, out units);
            // A run of unknown characters may become one token.
            if (!_inside.Contains((left.Value, right.Value)) && !(_fuseUnknown && IsUnknown(left) && IsUnknown(right)))
                return from;
            left = right;
        }
        return chars.Length;
    }

    private bool IsUnknown(Rune rune) => !_idOfRune.ContainsKey(rune.Value) && !HasBytes(rune);

    private ReadOnlySpan<MergeTable.Symbol> Symbols(ReadOnlySpan<char> chunk)
    {
        var cache = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (chunk.Length <= MaxCachedUnits && cache.TryGetValue(chunk, out var known))
            return known;
        var symbols = new List<MergeTable.Symbol>(chunk.Length);
        AddCharacters(chunk, symbols);
        var merged = symbols.ToArray();
        var result = merged.AsSpan(0, _merges.Merge(merged));
        if (chunk.Length <= MaxCachedUnits && Interlocked.Increment(ref _cached) <= MaxCached)
            cache.TryAdd(chunk, result.ToArray());
        return result;
    }

    private void AddCharacters(ReadOnlySpan<char> chunk, List<MergeTable.Symbol> symbols)
    {
        Span<byte> utf8 = stackalloc byte[4];
        var unknownBefore = false;
        for (int at = 0, units; at < chunk.Length; at += units)
        {
            Rune.DecodeFromUtf16(chunk[at..], out var rune, out units);
            var isUnknown = false;
            if (_idOfRune.TryGetValue(rune.Value, out var id))
                symbols.Add(new(id, at, at + units));
            else if (HasBytes(rune))
                foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
                    symbols.Add(new(_idOfByte![value], at, at + units));
            else if (_unknown is { } unknown)
            {
                isUnknown = true;
                if (_fuseUnknown && unknownBefore)
                    symbols[^1] = symbols[^1] with { End = at + units };
                else
                    symbols.Add(new(unknown, at, at + units));
            }
            unknownBefore = isUnknown;
        }
    }

    private bool HasBytes(Rune rune)
    {
        if (_idOfByte is null)
            return false;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
            if (_idOfByte[value] < 0)
                return false;
        return true;
    }

    /// <summary>Reads the merges, as strings parted by a space or as pairs. False if a byte token takes part in one, so that characters alone do not tell where to cut.</summary>
    private bool ReadMerges(StrictJson json, int[] byteTokens)
    {
        // gpt-nano-sort and other character models have a vocabulary and no merges.
        if (json.Value("merges") is not { } merges)
            return true;
        if (merges.ValueKind != JsonValueKind.Array)
            throw json.Invalid("merges", "must be an array");
        var bytes = byteTokens.Where(id => id >= 0).ToHashSet();
        var charactersTell = true;
        foreach (var merge in merges.EnumerateArray())
        {
            var (left, right) = Pair(json, merge);
            if (!_ids.TryGetValue(left, out var leftId) || !_ids.TryGetValue(right, out var rightId) || !_ids.TryGetValue(left + right, out var merged))
                throw json.Invalid($"merges[{_merges.Count}]", $"'{left}' + '{right}' is not made of tokens of the vocabulary");
            _merges.Add(leftId, rightId, merged);
            charactersTell &= !bytes.Contains(leftId) && !bytes.Contains(rightId) && !bytes.Contains(merged);
            Rune.DecodeLastFromUtf16(left, out var last, out _);
            Rune.DecodeFromUtf16(right, out var first, out _);
            _inside.Add((last.Value, first.Value));
        }
        return charactersTell;
    }

    private (string Left, string Right) Pair(StrictJson json, JsonElement merge)
    {
        if (merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2
            && merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String)
            return (merge[0].GetString()!, merge[1].GetString()!);
        if (merge.ValueKind == JsonValueKind.String && merge.GetString()!.Split(' ') is [var left, var right])
            return (left, right);
        throw json.Invalid($"merges[{_merges.Count}]", "must be two tokens");
    }
}
