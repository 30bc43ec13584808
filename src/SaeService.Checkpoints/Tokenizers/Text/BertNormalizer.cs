namespace SaeService.Checkpoints;

/// <summary>BERT's cleaning: control characters out, white space to spaces, spaces around Chinese characters, accents off, lower case.</summary>
internal static class BertNormalizer
{
    public static Func<AlignedText, AlignedText> Read(StrictJson json)
    {
        var clean = json.Flag("clean_text", true);
        var chinese = json.Flag("handle_chinese_chars", true);
        var lower = json.Flag("lowercase", true);
        var accents = json.Flag("strip_accents", lower);
        var decompose = new NormalForm(compose: false, compatible: false);
        return text =>
        {
            if (clean)
                text = Normalizer.Map(text, Cleaned);
            if (chinese)
                text = SpaceChinese(text);
            if (accents)
                text = WithoutAccents(decompose.Apply(text));
            return lower ? Normalizer.Lowercase(text) : text;
        };
    }

    private static int Cleaned(int c) => c switch
    {
        '\t' or '\n' or '\r' => ' ',
        >= ' ' and < 0x7F => c,
        0 or 0xFFFD => -1,
        _ => UnicodeFacts.Other.Contains(c) ? -1 : UnicodeFacts.WhiteSpace.Contains(c) ? ' ' : c,
    };

    private static AlignedText WithoutAccents(AlignedText text) =>
        text.Chars.IndexOfAnyInRange('\u0300', '\uFFFF') < 0 ? text : Normalizer.Keep(text, c => c < 0x300 || !UnicodeFacts.NonSpacing.Contains(c));

    private static AlignedText SpaceChinese(AlignedText text)
    {
        if (text.Chars.IndexOfAnyInRange('\u3400', '\uFFFF') < 0)
            return text;
        var result = new AlignedText(text.Length + 16, text.Origin);
        for (int at = 0, units; at < text.Length; at += units)
        {
            var isChinese = IsChinese(text.CodePoint(at, out units));
            // Both spaces belong to the character.
            if (isChinese)
                result.Append(' ', text.Original(at, at + units));
            result.Append(text, at, at + units);
            if (isChinese)
                result.Append(' ', text.Original(at, at + units));
        }
        return result;
    }

    private static bool IsChinese(int c) =>
        c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0xF900 and <= 0xFAFF)
            or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0x2F800 and <= 0x2FA1F);
}
