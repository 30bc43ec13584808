namespace SaeService.Checkpoints;

/// <summary>Text on its way from the original to the vocabulary's form, with the span of the original that each UTF-16 unit came from.</summary>
internal sealed class AlignedText(int capacity)
{
    private char[] _chars = new char[Math.Max(capacity, 16)];
    private (int Start, int End)[] _spans = new (int, int)[Math.Max(capacity, 16)];

    public int Length { get; private set; }

    public ReadOnlySpan<char> Chars => _chars.AsSpan(0, Length);

    /// <summary>A part of the original. Both units of a surrogate pair carry the pair's span; a lone surrogate, which no file can hold, becomes U+FFFD.</summary>
    public static AlignedText Of(string original, int start, int end)
    {
        var text = new AlignedText(end - start + 1);
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
        {
            Array.Resize(ref _chars, Length * 2);
            Array.Resize(ref _spans, Length * 2);
        }
        _chars[Length] = unit;
        _spans[Length++] = span;
    }

    public void Append(ReadOnlySpan<char> units, (int Start, int End) span)
    {
        foreach (var unit in units)
            Append(unit, span);
    }

    public void Append(AlignedText other, int start, int end)
    {
        for (var i = start; i < end; i++)
            Append(other._chars[i], other._spans[i]);
    }

    /// <summary>The part of the original that units [start, end) came from.</summary>
    public (int Start, int End) Original(int start, int end) => (_spans[start].Start, _spans[end - 1].End);
}
