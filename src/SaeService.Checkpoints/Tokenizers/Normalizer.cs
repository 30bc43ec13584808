using System.Globalization;
using System.Text;

namespace SaeService.Checkpoints;

/// <summary>The <c>normalizer</c> section of tokenizer.json: each kind a function from text to text that keeps the alignment.</summary>
internal static class Normalizer
{
    public static Func<AlignedText, AlignedText> Read(StrictJson? json)
    {
        if (json is null)
            return text => text;
        var kind = json.RequiredText("type");
        Func<AlignedText, AlignedText> normalizer = kind switch
        {
            "Sequence" => Sequence([.. json.List("normalizers").Select(Read)]),
            "Prepend" => Prepend(json.RequiredText("prepend")),
            "Replace" => Replace(TokenizerJson.LiteralPattern(json), json.RequiredText("content")),
            "NFC" => Unicode(NormalizationForm.FormC),
            "NFD" => Unicode(NormalizationForm.FormD),
            "NFKC" => Unicode(NormalizationForm.FormKC),
            "NFKD" => Unicode(NormalizationForm.FormKD),
            _ => throw json.Unsupported("type", $"normalizer '{kind}' is not supported"),
        };
        TokenizerJson.RefuseUnread(json);
        return normalizer;
    }

    private static Func<AlignedText, AlignedText> Sequence(Func<AlignedText, AlignedText>[] parts) =>
        text => parts.Aggregate(text, (current, part) => part(current));

    /// <summary>What is prepended belongs to the first character of the text; an empty text stays empty.</summary>
    private static Func<AlignedText, AlignedText> Prepend(string prefix) => text =>
    {
        if (text.Length == 0)
            return text;
        var result = new AlignedText(text.Length + prefix.Length);
        result.Append(prefix, text.Original(0, 1));
        result.Append(text, 0, text.Length);
        return result;
    };

    /// <summary>Every unit of the replacement carries the span of all that it replaces.</summary>
    internal static Func<AlignedText, AlignedText> Replace(string pattern, string content) => text =>
    {
        var chars = text.Chars;
        if (pattern.Length == 0 || chars.IndexOf(pattern, StringComparison.Ordinal) < 0)
            return text;
        var result = new AlignedText(text.Length);
        var done = 0;
        for (int found; (found = chars[done..].IndexOf(pattern, StringComparison.Ordinal)) >= 0; done += found + pattern.Length)
        {
            result.Append(text, done, done + found);
            result.Append(content, text.Original(done + found, done + found + pattern.Length));
        }
        result.Append(text, done, text.Length);
        return result;
    };

    /// <summary>
    /// Unicode normalisation by clusters of a base character and its marks: characters of different clusters compose with one another only in Hangul,
    /// whose conjoining vowels and finals are counted to the cluster here.
    /// </summary>
    private static Func<AlignedText, AlignedText> Unicode(NormalizationForm form) => text =>
    {
        var chars = text.Chars;
        if (new string(chars).IsNormalized(form))
            return text;
        var result = new AlignedText(text.Length);
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = start + RuneLength(chars[start..]);
            while (end < text.Length && Extends(chars[end..]))
                end += RuneLength(chars[end..]);
            AppendNormalized(result, text, start, end, form);
        }
        return result;
    };

    /// <summary>
    /// Aligns as the tokenizers library does: a character of the result comes from the first of the characters that it was composed of, or from the one
    /// that it was decomposed from. Which those are is counted in fully decomposed characters.
    /// </summary>
    private static void AppendNormalized(AlignedText result, AlignedText text, int start, int end, NormalizationForm form)
    {
        var cluster = new string(text.Chars[start..end]);
        if (cluster.IsNormalized(form))
        {
            result.Append(text, start, end);
            return;
        }
        var decomposed = form is NormalizationForm.FormC or NormalizationForm.FormD ? NormalizationForm.FormD : NormalizationForm.FormKD;
        Span<char> units = stackalloc char[2];
        int at = start, next = start, left = 0;
        foreach (var rune in cluster.Normalize(form).EnumerateRunes())
        {
            var needed = Parts(rune.ToString());
            var first = true;
            (int, int) span = default;
            while (needed > 0)
            {
                if (left == 0 && next < end)
                {
                    at = next;
                    next += RuneLength(text.Chars[at..]);
                    left = Parts(new string(text.Chars[at..next]));
                }
                if (first)
                    span = text.Original(at, next);
                first = false;
                var taken = left == 0 ? needed : Math.Min(left, needed);
                needed -= taken;
                left = Math.Max(0, left - taken);
            }
            result.Append(units[..rune.EncodeToUtf16(units)], span);
        }

        int Parts(string character) => character.Normalize(decomposed).EnumerateRunes().Count();
    }

    private static int RuneLength(ReadOnlySpan<char> chars)
    {
        Rune.DecodeFromUtf16(chars, out _, out var units);
        return units;
    }

    private static bool Extends(ReadOnlySpan<char> chars)
    {
        Rune.DecodeFromUtf16(chars, out var rune, out _);
        return rune.Value is >= 0x1161 and <= 0x11FF
            || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;
    }
}
