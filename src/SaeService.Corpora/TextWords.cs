using System.Globalization;
using System.Text;

namespace SaeService.Corpora;

/// <summary>
/// Words of text that nobody has cut into words: runs of letters, digits and marks, with an apostrophe or a point inside (<c>don't</c>, <c>U.S</c>,
/// <c>3.14</c>, <c>1,000</c>), as UAX #29 has them; every other character that is no white space by itself, but a repeated one (<c>...</c>) as one. What a reader takes
/// for one character is never cut. Chinese characters and Hiragana stand alone: without a lexicon nobody knows where such words end.
/// </summary>
public static class TextWords
{
    private enum Kind { Space, Word, Alone, Other }

    /// <returns>Spans in UTF-16 units, by start; together they cover all but white space.</returns>
    public static Word[] Of(string text)
    {
        var words = new List<Word>();
        for (var start = 0; start < text.Length;)
        {
            var end = Next(text, start);
            var kind = KindAt(text, start);
            if (kind == Kind.Word)
                end = EndOfWord(text, end);
            else if (kind == Kind.Other)
                while (end < text.Length && string.CompareOrdinal(text, start, text, end, Next(text, start) - start) == 0)
                    end = Next(text, end);
            if (kind != Kind.Space)
                words.Add(new(text[start..end], start, end));
            start = end;
        }
        return [.. words];
    }

    /// <summary>Whether words of this text are written without spaces between them, so that they are not known.</summary>
    public static bool HasUnspacedScript(string text) => text.EnumerateRunes().Any(rune => IsUnspaced(rune.Value));

    private static int EndOfWord(string text, int end)
    {
        while (end < text.Length)
        {
            var after = Next(text, end);
            if (KindAt(text, end) == Kind.Word)
                end = after;
            else if (after < text.Length && KindAt(text, after) == Kind.Word && Joins(text, end, after))
                end = Next(text, after);
            else
                break;
        }
        return end;
    }

    private static bool Joins(string text, int at, int after)
    {
        // The one before ends a run, and so is not half of a pair unless it is its lower half; digits of the Basic Multilingual Plane are enough here.
        var digits = char.IsDigit(text[at - 1]) && char.IsDigit(text[after]);
        return text[at] switch
        {
            '\'' or '\u2019' or '.' => after == at + 1,
            '\u00B7' => after == at + 1 && !digits,
            ',' => after == at + 1 && digits,
            _ => false,
        };
    }

    private static Kind KindAt(string text, int at)
    {
        Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out _);
        if (Rune.IsWhiteSpace(rune))
            return Kind.Space;
        if (IsIdeograph(rune.Value))
            return Kind.Alone;
        return Rune.IsLetterOrDigit(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
            or UnicodeCategory.EnclosingMark or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber or UnicodeCategory.ConnectorPunctuation ? Kind.Word : Kind.Other;
    }

    private static int Next(string text, int at) => at + StringInfo.GetNextTextElementLength(text, at);

    // Hiragana; CJK ideographs with their extensions and compatibility forms.
    private static bool IsIdeograph(int rune) =>
        rune is >= 0x3040 and <= 0x309F or >= 0x3400 and <= 0x4DBF or >= 0x4E00 and <= 0x9FFF or >= 0xF900 and <= 0xFAFF or >= 0x20000 and <= 0x3FFFF;

    // Those, Katakana, and Thai, Lao, Myanmar and Khmer.
    private static bool IsUnspaced(int rune) => IsIdeograph(rune)
        || rune is >= 0x30A0 and <= 0x30FF or >= 0x0E00 and <= 0x0EFF or >= 0x1000 and <= 0x109F or >= 0x1780 and <= 0x17FF;
}
