using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace SaeService.Checkpoints;

/// <summary>
/// SentencePiece's <c>precompiled_charsmap</c>: a length, a double-array trie (darts-clone: units of label, offset and leaf bits) over UTF-8 keys, and the
/// replacements, each ended by a NUL. Applied as the library does, which is not quite as SentencePiece does: by grapheme clusters of up to five bytes,
/// of which the shortest key wins, then by characters.
/// </summary>
internal sealed class CharsMap
{
    // The largest in use (nmt_nfkc_cf) has a quarter of a megabyte.
    private const int MaxBytes = 8 << 20;

    private readonly uint[] _trie;
    private readonly byte[] _replacements;

    private CharsMap(ReadOnlySpan<byte> data, Func<string, CheckpointException> invalid)
    {
        if (data.Length is < 4 or > MaxBytes)
            throw invalid($"the character map of {data.Length} bytes is none");
        var size = BinaryPrimitives.ReadUInt32LittleEndian(data);
        if (size % 4 != 0 || size > data.Length - 4)
            throw invalid("the character map is cut off");
        _trie = new uint[size / 4];
        for (var i = 0; i < _trie.Length; i++)
            _trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(data[(4 + 4 * i)..]);
        _replacements = data[(4 + (int)size)..].ToArray();
        if (!System.Text.Unicode.Utf8.IsValid(_replacements))
            throw invalid("the character map's replacements are not UTF-8");
    }

    public static CharsMap Read(StrictJson json)
    {
        var text = json.RequiredText("precompiled_charsmap");
        try
        {
            return Read(text.Length <= MaxBytes * 4L / 3 + 8 ? Convert.FromBase64String(text) : throw json.Invalid("precompiled_charsmap", "is too large"),
                message => json.Invalid("precompiled_charsmap", message));
        }
        catch (FormatException e)
        {
            throw json.Invalid("precompiled_charsmap", $"is not base64 ({e.Message})");
        }
    }

    public static CharsMap Read(ReadOnlySpan<byte> data, Func<string, CheckpointException> invalid) => new(data, invalid);

    public AlignedText Apply(AlignedText text)
    {
        var edits = new List<Edit>(text.Length);
        var chars = text.Chars;
        var modified = false;
        for (int at = 0, length; at < chars.Length; at += length)
        {
            length = StringInfo.GetNextTextElementLength(chars[at..]);
            var cluster = chars.Slice(at, length);
            if (Encoding.UTF8.GetByteCount(cluster) < 6 && Find(cluster) is { } whole)
            {
                modified = true;
                Replace(cluster, whole, edits);
                continue;
            }
            for (int i = 0, units; i < length; i += units)
            {
                var c = AlignedText.CodePoint(cluster, i, out units);
                if (Find(cluster.Slice(i, units)) is { } one)
                {
                    modified = true;
                    Replace(cluster.Slice(i, units), one, edits);
                }
                else
                    edits.Add(new Edit(c, 0));
            }
        }
        if (!modified)
            return text;
        var result = new AlignedText(text.Length, text.Origin);
        text.Rewrite(0, text.Length, edits, result);
        return result;
    }

    // More characters than before: the last ones are new. Fewer: the last one, or if there is none the one before, drops the rest.
    private static void Replace(ReadOnlySpan<char> before, string after, List<Edit> edits)
    {
        var (old, replaced) = (Count(before), Count(after));
        var i = 0;
        foreach (var rune in after.EnumerateRunes())
            edits.Add(new Edit(rune.Value, i++ < old ? 0 : 1));
        if (replaced < old && edits.Count > 0)
            edits[^1] = edits[^1] with { Change = edits[^1].Change + replaced - old };
    }

    private static int Count(ReadOnlySpan<char> text)
    {
        var count = 0;
        foreach (var _ in text.EnumerateRunes())
            count++;
        return count;
    }

    /// <summary>The replacement of the shortest key that the text begins with.</summary>
    private string? Find(ReadOnlySpan<char> text)
    {
        Span<byte> utf8 = stackalloc byte[64];
        if (_trie.Length == 0 || text.Length > 16)
            return null;
        var node = Offset(_trie[0]);
        foreach (var label in utf8[..Encoding.UTF8.GetBytes(text, utf8)])
        {
            if (label == 0)
                return null;
            node ^= label;
            if (node >= (uint)_trie.Length)
                return null;
            var unit = _trie[node];
            if ((unit & (1u << 31 | 0xFF)) != label)
                return null;
            node ^= Offset(unit);
            if ((unit >> 8 & 1) != 0)
                return node < (uint)_trie.Length ? Replacement(_trie[node] & (1u << 31) - 1) : null;
        }
        return null;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1u << 9) >> 6);

    private string? Replacement(uint from)
    {
        if (from >= (uint)_replacements.Length)
            return null;
        var rest = _replacements.AsSpan((int)from);
        var end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }
}
