namespace SaeService.Checkpoints;

/// <summary>The <c>normalizer</c> section of tokenizer.json: each kind a function from text to text that keeps the alignment.</summary>
internal static class Normalizer
{
    private static readonly Lazy<Dictionary<int, int[]>> s_lower = new(UnicodeFacts.LowerCase);

    public static Func<AlignedText, AlignedText> Read(StrictJson? json)
    {
        if (json is null)
            return text => text;
        var kind = json.RequiredText("type");
        Func<AlignedText, AlignedText> normalizer = kind switch
        {
            "Sequence" => Sequence([.. TokenizerJson.Parts(json, "normalizers").Select(Read)]),
            "Prepend" => Prepend(json.RequiredText("prepend")),
            "Replace" => Replace(PatternFinder.Read(json), json.RequiredText("content")),
            "NFC" => new NormalForm(compose: true, compatible: false).Apply,
            "NFD" => new NormalForm(compose: false, compatible: false).Apply,
            "NFKC" => new NormalForm(compose: true, compatible: true).Apply,
            "NFKD" => new NormalForm(compose: false, compatible: true).Apply,
            "Lowercase" => Lowercase,
            "StripAccents" => text => Keep(text, c => !UnicodeFacts.Mark.Contains(c)),
            "Strip" => Strip(json.Flag("strip_left", true), json.Flag("strip_right", true)),
            "Nmt" => Nmt,
            "BertNormalizer" => BertNormalizer.Read(json),
            "Precompiled" => CharsMap.Read(json).Apply,
            "ByteLevel" => text => ByteAlphabet.Spell(text, 0, text.Length, new AlignedText(text.Length + (text.Length >> 3), text.Origin)),
            _ => throw json.Unsupported("type", $"normalizer '{kind}' is not supported"),
        };
        TokenizerJson.RefuseUnread(json);
        return normalizer;
    }

    private static Func<AlignedText, AlignedText> Sequence(Func<AlignedText, AlignedText>[] parts) =>
        text => parts.Aggregate(text, (current, part) => part(current));

    private static Func<AlignedText, AlignedText> Prepend(string prefix) => text =>
    {
        var result = new AlignedText(text.Length + prefix.Length, text.Origin);
        Prepend(prefix, text, 0, text.Length, result);
        return result;
    };

    /// <summary>What is prepended belongs to the first character of the text; an empty text stays empty.</summary>
    public static void Prepend(string prefix, AlignedText text, int start, int end, AlignedText result)
    {
        if (start == end)
            return;
        text.CodePoint(start, out var units);
        result.Append(prefix, text.Original(start, start + units));
        if (prefix.Length > 0)
            result.Append(text, start, end);
        else
        {
            // The library replaces the first character by prefix and itself: with no prefix, itself is what is put before everything.
            result.Append(text.Chars.Slice(start, units), text.Before(0));
            result.Append(text, start + units, end);
        }
    }

    /// <summary>The replacement carries the span of the last character that it replaces.</summary>
    internal static Func<AlignedText, AlignedText> Replace(PatternFinder pattern, string content) => text =>
    {
        var matches = new List<(int Start, int End)>();
        pattern.Find(text.Chars, matches);
        if (matches.Count == 0)
            return text;
        var result = new AlignedText(text.Length, text.Origin);
        var done = 0;
        foreach (var (start, end) in matches)
        {
            result.Append(text, done, start);
            result.Append(content, text.Before(end));
            done = end;
        }
        result.Append(text, done, text.Length);
        return result;
    };

    public static AlignedText Lowercase(AlignedText text)
    {
        var lower = s_lower.Value;
        var result = new AlignedText(text.Length, text.Origin);
        for (int at = 0, units; at < text.Length; at += units)
        {
            var c = text.CodePoint(at, out units);
            var span = text.Original(at, at + units);
            if (c < 0x80)
                result.Append((char)(c is >= 'A' and <= 'Z' ? c | 0x20 : c), span);
            else if (lower.TryGetValue(c, out var to))
                foreach (var part in to)
                    result.Append(part, span);
            else
                result.Append(text, at, at + units);
        }
        return result;
    }

    /// <summary>The characters that <paramref name="keep"/> is true of.</summary>
    public static AlignedText Keep(AlignedText text, Func<int, bool> keep) => Map(text, c => keep(c) ? c : -1);

    /// <summary>One character for each; none where it is negative.</summary>
    public static AlignedText Map(AlignedText text, Func<int, int> map)
    {
        var result = new AlignedText(text.Length, text.Origin);
        for (int at = 0, units; at < text.Length; at += units)
        {
            var c = text.CodePoint(at, out units);
            var to = map(c);
            if (to == c)
                result.Append(text, at, at + units);
            else if (to >= 0)
                result.Append(to, text.Original(at, at + units));
        }
        return result;
    }

    private static Func<AlignedText, AlignedText> Strip(bool left, bool right) => text =>
    {
        // All white space is of the basic plane.
        int from = 0, to = text.Length;
        while (left && from < to && UnicodeFacts.WhiteSpace.Contains(text.Chars[from]))
            from++;
        while (right && to > from && UnicodeFacts.WhiteSpace.Contains(text.Chars[to - 1]))
            to--;
        if (from == 0 && to == text.Length)
            return text;
        var result = new AlignedText(to - from, text.Origin);
        result.Append(text, from, to);
        return result;
    };

    private static AlignedText Nmt(AlignedText text) => Map(text, c => c switch
    {
        (>= 0x01 and <= 0x08) or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or 0x8F or 0x9F => -1,
        0x09 or 0x0A or 0x0C or 0x0D or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD => ' ',
        _ => c,
    });
}
