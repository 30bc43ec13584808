using System.Text;

namespace SaeService.Checkpoints;

/// <summary>One character of a rewriting. Change 0: it stands for the next one of the text; -n: it does, and the n after that are dropped; 1: it is new.</summary>
internal readonly record struct Edit(int CodePoint, int Change);

/// <summary>Text on its way from the original to the vocabulary's form, with the span of the original that each UTF-16 unit came from.</summary>
/// <param name="capacity">Units to make room for.</param>
/// <param name="origin">Where in the original the text begins: the place of what is put before everything.</param>
internal sealed class AlignedText(int capacity, int origin)
{
    private char[] _chars = new char[Math.Max(capacity, 16)];
    private (int Start, int End)[] _spans = new (int, int)[Math.Max(capacity, 16)];

    public int Origin { get; } = origin;

    public int Length { get; private set; }

    public ReadOnlySpan<char> Chars => _chars.AsSpan(0, Length);

    /// <summary>A part of the original. Both units of a surrogate pair carry the pair's span; a lone surrogate, which no file can hold, becomes U+FFFD.</summary>
    public static AlignedText Of(string original, int start, int end)
    {
        var text = new AlignedText(end - start, start);
        for (var i = start; i < end; i++)
            if (!char.IsSurrogate(original[i]))
                text.Append(original[i], (i, i + 1));
            else if (i + 1 < end && char.IsSurrogatePair(original[i], original[i + 1]))
            {
                text.Append(original[i], (i, i + 2));
                text.Append(original[i + 1], (i, i + 2));
                i++;
            }
            else
                text.Append('\uFFFD', (i, i + 1));
        return text;
    }

    public void Append(char unit, (int Start, int End) span)
    {
        if (Length == _chars.Length)
            Grow(Length + 1);
        _chars[Length] = unit;
        _spans[Length++] = span;
    }

    public void Append(ReadOnlySpan<char> units, (int Start, int End) span)
    {
        Grow(Length + units.Length);
        units.CopyTo(_chars.AsSpan(Length));
        _spans.AsSpan(Length, units.Length).Fill(span);
        Length += units.Length;
    }

    public void Append(int codePoint, (int Start, int End) span)
    {
        if (codePoint <= 0xFFFF)
        {
            Append((char)codePoint, span);
            return;
        }
        Span<char> units = stackalloc char[2];
        new Rune(codePoint).EncodeToUtf16(units);
        Append(units, span);
    }

    public void Append(AlignedText other, int start, int end)
    {
        Grow(Length + end - start);
        other._chars.AsSpan(start, end - start).CopyTo(_chars.AsSpan(Length));
        other._spans.AsSpan(start, end - start).CopyTo(_spans.AsSpan(Length));
        Length += end - start;
    }

    /// <summary>The part of the original that units [start, end) came from.</summary>
    public (int Start, int End) Original(int start, int end) => (_spans[start].Start, _spans[end - 1].End);

    /// <summary>The place of something that is put before unit <paramref name="at"/>: that of the character before it.</summary>
    public (int Start, int End) Before(int at) => at == 0 ? (Origin, Origin) : _spans[at - 1];

    /// <summary>The code point at a unit, and how many units it has.</summary>
    public int CodePoint(int at, out int units) => CodePoint(_chars.AsSpan(0, Length), at, out units);

    public static int CodePoint(ReadOnlySpan<char> chars, int at, out int units)
    {
        var unit = chars[at];
        if (char.IsHighSurrogate(unit) && at + 1 < chars.Length && char.IsLowSurrogate(chars[at + 1]))
        {
            units = 2;
            return char.ConvertToUtf32(unit, chars[at + 1]);
        }
        units = 1;
        return unit;
    }

    /// <summary>
    /// The edits applied to units [start, end), appended to <paramref name="result"/>; the first <paramref name="dropped"/> characters have gone before them.
    /// These are the alignments of the library's NormalizedString::transform.
    /// </summary>
    public void Rewrite(int start, int end, IReadOnlyList<Edit> edits, AlignedText result, int dropped = 0)
    {
        var at = Skip(start, end, dropped);
        for (var i = 0; i < edits.Count; i++)
        {
            var (codePoint, change) = edits[i];
            var span = change > 0 ? Before(at) : _spans[Math.Min(at, Length - 1)];
            if (change <= 0)
                at = Skip(at, end, 1 - change);
            result.Append(codePoint, span);
        }
    }

    private int Skip(int at, int end, int characters)
    {
        for (; characters > 0 && at < end; characters--)
            at += char.IsHighSurrogate(_chars[at]) && at + 1 < end ? 2 : 1;
        return at;
    }

    private void Grow(int needed)
    {
        if (needed <= _chars.Length)
            return;
        var size = Math.Max(needed, _chars.Length * 2);
        Array.Resize(ref _chars, size);
        Array.Resize(ref _spans, size);
    }
}
