namespace SaeService.Checkpoints;

/// <summary>The names that <c>\p{...}</c> and <c>[:...:]</c> know, without case, spaces, hyphens and underscores.</summary>
internal static class PropertyNames
{
    private static readonly Dictionary<string, string> s_long = new(StringComparer.Ordinal)
    {
        ["letter"] = "L",
        ["mark"] = "M",
        ["number"] = "N",
        ["punctuation"] = "P",
        ["symbol"] = "S",
        ["separator"] = "Z",
        ["other"] = "C",
        ["uppercaseletter"] = "Lu",
        ["lowercaseletter"] = "Ll",
        ["titlecaseletter"] = "Lt",
        ["modifierletter"] = "Lm",
        ["otherletter"] = "Lo",
        ["nonspacingmark"] = "Mn",
        ["spacingmark"] = "Mc",
        ["enclosingmark"] = "Me",
        ["combiningmark"] = "M",
        ["decimalnumber"] = "Nd",
        ["letternumber"] = "Nl",
        ["othernumber"] = "No",
        ["connectorpunctuation"] = "Pc",
        ["dashpunctuation"] = "Pd",
        ["openpunctuation"] = "Ps",
        ["closepunctuation"] = "Pe",
        ["initialpunctuation"] = "Pi",
        ["finalpunctuation"] = "Pf",
        ["otherpunctuation"] = "Po",
        ["mathsymbol"] = "Sm",
        ["currencysymbol"] = "Sc",
        ["modifiersymbol"] = "Sk",
        ["othersymbol"] = "So",
        ["spaceseparator"] = "Zs",
        ["lineseparator"] = "Zl",
        ["paragraphseparator"] = "Zp",
        ["control"] = "Cc",
        ["format"] = "Cf",
        ["privateuse"] = "Co",
        ["unassigned"] = "Cn",
        ["surrogate"] = "Cs",
    };

    // The ISO 15924 codes of the scripts that patterns in use name.
    private static readonly Dictionary<string, string> s_scriptCodes = new(StringComparer.Ordinal)
    {
        ["arab"] = "arabic",
        ["armn"] = "armenian",
        ["beng"] = "bengali",
        ["cyrl"] = "cyrillic",
        ["deva"] = "devanagari",
        ["ethi"] = "ethiopic",
        ["geor"] = "georgian",
        ["grek"] = "greek",
        ["gujr"] = "gujarati",
        ["guru"] = "gurmukhi",
        ["hang"] = "hangul",
        ["hani"] = "han",
        ["hebr"] = "hebrew",
        ["hira"] = "hiragana",
        ["kana"] = "katakana",
        ["khmr"] = "khmer",
        ["knda"] = "kannada",
        ["laoo"] = "lao",
        ["latn"] = "latin",
        ["mlym"] = "malayalam",
        ["mong"] = "mongolian",
        ["mymr"] = "myanmar",
        ["orya"] = "oriya",
        ["sinh"] = "sinhala",
        ["taml"] = "tamil",
        ["telu"] = "telugu",
        ["thai"] = "thai",
        ["tibt"] = "tibetan",
        ["zyyy"] = "common",
        ["zinh"] = "inherited",
        ["qaai"] = "inherited",
    };

    private static readonly Dictionary<string, string> s_shortProperties = new(StringComparer.Ordinal)
    {
        ["alpha"] = "alphabetic",
        ["upper"] = "uppercase",
        ["lower"] = "lowercase",
        ["extpict"] = "extendedpictographic",
        ["ideo"] = "ideographic",
    };

    /// <summary>Null where the name is not known.</summary>
    /// <param name="nested">Inside brackets.</param>
    public static CodePointSet? Find(string name, bool nested)
    {
        var key = new string([.. name.Where(c => c is not (' ' or '-' or '_'))]).ToLowerInvariant();
        return Posix(key, nested) ?? Category(key) ?? UnicodeFacts.Property(s_shortProperties.GetValueOrDefault(key, key))
            ?? (s_scriptCodes.TryGetValue(key, out var script) ? UnicodeFacts.Property(script) : null);
    }

    /// <summary>The classes of <c>[:name:]</c>, in Unicode's reading; null where the name is none.</summary>
    public static CodePointSet? Posix(string name, bool nested) => name switch
    {
        "alnum" => UnicodeFacts.Property("alphabetic")!.Union(UnicodeFacts.Categories("Nd")),
        "alpha" => UnicodeFacts.Property("alphabetic"),
        "ascii" => CodePointSet.Of((0, 0x7F)),
        "blank" => UnicodeFacts.Categories("Zs").Union(CodePointSet.Of('\t')),
        "cntrl" => UnicodeFacts.Categories("Cc"),
        "digit" => UnicodeFacts.Categories("Nd"),
        "graph" => Unprinted().Union(UnicodeFacts.WhiteSpace).Complement(),
        "lower" => UnicodeFacts.Property("lowercase"),
        "print" => Unprinted().Complement(),
        "punct" => UnicodeFacts.Categories("P").Union(UnicodeFacts.Categories("S")),
        "space" or "whitespace" => UnicodeFacts.WhiteSpace,
        "upper" => UnicodeFacts.Property("uppercase"),
        "word" => nested ? UnicodeFacts.PatternWordInClass : UnicodeFacts.PatternWord,
        "xdigit" => Hexadecimal,
        "any" => CodePointSet.All,
        "assigned" => UnicodeFacts.Categories("Cn").Complement(),
        _ => null,
    };

    public static readonly CodePointSet Hexadecimal = CodePointSet.Of(('0', '9'), ('A', 'F'), ('a', 'f'));

    private static CodePointSet Unprinted() => UnicodeFacts.Categories("Cc").Union(UnicodeFacts.Categories("Cn"), UnicodeFacts.Categories("Cs"));

    private static CodePointSet? Category(string key)
    {
        if (key == "lc")
            return UnicodeFacts.Categories("Lu").Union(UnicodeFacts.Categories("Ll"), UnicodeFacts.Categories("Lt"));
        var prefix = s_long.GetValueOrDefault(key, key.Length is 1 or 2 ? char.ToUpperInvariant(key[0]) + key[1..] : "");
        return prefix.Length > 0 && UnicodeFacts.CategoryNames.Any(n => n.Short.StartsWith(prefix, StringComparison.Ordinal)) ? UnicodeFacts.Categories(prefix) : null;
    }
}
