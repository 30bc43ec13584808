using System.Globalization;

namespace SaeService.Checkpoints;

/// <summary>
/// What the tokenizers library knows of characters, from unicode.txt beside this file (its head says how the facts were found). They are of several
/// versions of Unicode and independent of the machine, which the runtime's normalisation and casing are not.
/// </summary>
internal static class UnicodeFacts
{
    private static readonly Dictionary<string, string> s_lines = ReadLines();
    private static readonly Dictionary<string, CodePointSet> s_sets = [];

    public static readonly (string Short, UnicodeCategory Category)[] CategoryNames =
    [
        ("Lu", UnicodeCategory.UppercaseLetter), ("Ll", UnicodeCategory.LowercaseLetter), ("Lt", UnicodeCategory.TitlecaseLetter),
        ("Lm", UnicodeCategory.ModifierLetter), ("Lo", UnicodeCategory.OtherLetter), ("Mn", UnicodeCategory.NonSpacingMark),
        ("Mc", UnicodeCategory.SpacingCombiningMark), ("Me", UnicodeCategory.EnclosingMark), ("Nd", UnicodeCategory.DecimalDigitNumber),
        ("Nl", UnicodeCategory.LetterNumber), ("No", UnicodeCategory.OtherNumber), ("Zs", UnicodeCategory.SpaceSeparator),
        ("Zl", UnicodeCategory.LineSeparator), ("Zp", UnicodeCategory.ParagraphSeparator), ("Cc", UnicodeCategory.Control),
        ("Cf", UnicodeCategory.Format), ("Cs", UnicodeCategory.Surrogate), ("Co", UnicodeCategory.PrivateUse),
        ("Cn", UnicodeCategory.OtherNotAssigned), ("Pc", UnicodeCategory.ConnectorPunctuation), ("Pd", UnicodeCategory.DashPunctuation),
        ("Ps", UnicodeCategory.OpenPunctuation), ("Pe", UnicodeCategory.ClosePunctuation), ("Pi", UnicodeCategory.InitialQuotePunctuation),
        ("Pf", UnicodeCategory.FinalQuotePunctuation), ("Po", UnicodeCategory.OtherPunctuation), ("Sm", UnicodeCategory.MathSymbol),
        ("Sc", UnicodeCategory.CurrencySymbol), ("Sk", UnicodeCategory.ModifierSymbol), ("So", UnicodeCategory.OtherSymbol),
    ];

    /// <summary>White_Space, which all parts of the library agree on.</summary>
    public static readonly CodePointSet WhiteSpace =
        CodePointSet.Of((9, 13), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000));

    public static readonly CodePointSet Letter = Categories("L");
    public static readonly CodePointSet Number = Categories("N");

    /// <summary>Word characters: of Rust's regex crate, by which added tokens and the Whitespace pre-tokenizer go.</summary>
    public static readonly CodePointSet Word = WordWith((0x200C, 0x200D));

    /// <summary>Word characters of Oniguruma inside brackets.</summary>
    public static readonly CodePointSet PatternWordInClass = WordWith();

    /// <summary>Word characters of Oniguruma by themselves: another table, which has the superscripts and fractions of Latin-1 besides.</summary>
    public static readonly CodePointSet PatternWord = WordWith((0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE));

    public static CodePointSet Punctuation => Set("punctuation");

    public static CodePointSet Numeric => Set("numeric");

    public static CodePointSet Mark => Set("mark");

    public static CodePointSet Other => Set("other");

    public static CodePointSet NonSpacing => Set("nonspacing");

    /// <summary>Names of the sets and scripts that a pattern may ask for; lower case, without separators.</summary>
    public static CodePointSet? Property(string name) =>
        s_lines.ContainsKey($"script {name}") ? Cached($"script {name}") : s_lines.ContainsKey($"set {name}") ? Cached($"set {name}") : null;

    public static IEnumerable<(string Name, CodePointSet Set)> Scripts =>
        s_lines.Keys.Where(k => k.StartsWith("script ", StringComparison.Ordinal)).Select(k => (k[7..], Cached(k)));

    /// <summary>The entries of a line of the table that maps code points to code points.</summary>
    public static IEnumerable<(int From, int[] To, bool Marked)> Map(string line)
    {
        foreach (var entry in s_lines[line].Split(' '))
        {
            var marked = entry.EndsWith('!');
            var (from, to) = Halves(marked ? entry[..^1] : entry, '=');
            yield return (Hex(from), to.Split(',').Select(Hex).ToArray(), marked);
        }
    }

    /// <summary>Canonical combining classes other than 0.</summary>
    public static IEnumerable<(int Class, CodePointSet Members)> CombiningClasses =>
        s_lines.Keys.Where(k => k.StartsWith("class ", StringComparison.Ordinal)).Select(k => (int.Parse(k[6..], CultureInfo.InvariantCulture), Cached(k)));

    /// <summary>Groups of characters that are equal but for case.</summary>
    public static IEnumerable<int[]> CaseFolds => s_lines["fold"].Split(' ').Select(group => group.Split(',').Select(Hex).ToArray());

    /// <summary>Lower case as Rust has it: entries of (first, last, step, shift), and the one character that becomes two.</summary>
    public static Dictionary<int, int[]> LowerCase()
    {
        var lower = new Dictionary<int, int[]>();
        foreach (var entry in s_lines["lower"].Split(' '))
        {
            if (entry.Contains('='))
            {
                var (code, codes) = Halves(entry, '=');
                lower[Hex(code)] = codes.Split(',').Select(Hex).ToArray();
                continue;
            }
            var sign = entry.LastIndexOfAny(['+', '-']);
            var shift = Hex(entry[(sign + 1)..]) * (entry[sign] == '-' ? -1 : 1);
            var step = entry[..sign].EndsWith("/2", StringComparison.Ordinal) ? 2 : 1;
            var (first, last) = Range(entry[..sign].Replace("/2", "", StringComparison.Ordinal));
            for (var c = first; c <= last; c += step)
                lower[c] = [c + shift];
        }
        return lower;
    }

    /// <summary>Code points whose general category begins with these letters.</summary>
    public static CodePointSet Categories(string prefix) =>
        CodePointSet.Empty.Union(CategoryNames.Where(n => n.Short.StartsWith(prefix, StringComparison.Ordinal)).Select(n => CodePointSet.Of(n.Category)));

    private static CodePointSet WordWith(params (int, int)[] more) =>
        Set("alphabetic").Union(Categories("M"), Categories("Nd"), Categories("Pc"), CodePointSet.Of(more));

    private static CodePointSet Set(string name) => Cached($"set {name}");

    private static CodePointSet Cached(string line)
    {
        lock (s_sets)
            return s_sets.TryGetValue(line, out var set) ? set : s_sets[line] = CodePointSet.Of(s_lines[line].Split(' ').Select(Range));
    }

    private static Dictionary<string, string> ReadLines()
    {
        using var stream = typeof(UnicodeFacts).Assembly.GetManifestResourceStream("unicode.txt")!;
        using var reader = new StreamReader(stream);
        var lines = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var (kind, rest) = Halves(line, ' ');
            if (kind is "set" or "script" or "class")
            {
                var (name, ranges) = Halves(rest, ' ');
                lines[$"{kind} {name.Replace("_", "", StringComparison.Ordinal).ToLowerInvariant()}"] = ranges;
            }
            else
                lines[kind] = rest;
        }
        return lines;
    }

    private static (string, string) Halves(string text, char at) => (text[..text.IndexOf(at)], text[(text.IndexOf(at) + 1)..]);

    private static (int First, int Last) Range(string text) => text.IndexOf('-') is > 0 and var at ? (Hex(text[..at]), Hex(text[(at + 1)..])) : (Hex(text), Hex(text));

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
