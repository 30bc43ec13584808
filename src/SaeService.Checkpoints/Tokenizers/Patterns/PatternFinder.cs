namespace SaeService.Checkpoints;

/// <summary>What a tokenizer cuts at or replaces: finds the matches in a piece of text, from the left, none overlapping another.</summary>
internal abstract class PatternFinder
{
    /// <summary>Adds the matches as [Start, End) of UTF-16 units. A match may be empty.</summary>
    public abstract void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches);

    /// <summary>The <c>pattern</c> of a section: <c>{"String": ...}</c>, or <c>{"Regex": ...}</c> in Oniguruma's syntax.</summary>
    public static PatternFinder Read(StrictJson json)
    {
        var pattern = json.Nested("pattern") ?? throw json.Invalid("pattern", "is missing");
        var literal = pattern.Text("String");
        var expression = pattern.Text("Regex");
        TokenizerJson.RefuseUnread(pattern);
        return (literal, expression) switch
        {
            (null or "", null) when literal is null => throw json.Invalid("pattern", "must be a String or a Regex"),
            (null, { } regex) => Compile(regex, message => json.Unsupported("pattern", message)),
            ("", null) => Compile("", message => json.Unsupported("pattern", message)),
            ({ } text, null) => new LiteralFinder(text),
            _ => throw json.Invalid("pattern", "must be a String or a Regex, not both"),
        };
    }

    public static PatternFinder Compile(string regex, Func<string, CheckpointException> refuse) =>
        WordScanner.Of(regex) ?? new ExpressionFinder(regex, refuse) as PatternFinder;

    /// <summary>Every single character of a set.</summary>
    public static PatternFinder Characters(CodePointSet set) => new CharacterFinder(set);

    private sealed class LiteralFinder(string literal) : PatternFinder
    {
        public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
        {
            for (int from = 0, found; (found = text[from..].IndexOf(literal, StringComparison.Ordinal)) >= 0; from += found + literal.Length)
                matches.Add((from + found, from + found + literal.Length));
        }
    }

    private sealed class CharacterFinder(CodePointSet set) : PatternFinder
    {
        public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
        {
            for (int at = 0, units; at < text.Length; at += units)
                if (set.Contains(AlignedText.CodePoint(text, at, out units)))
                    matches.Add((at, at + units));
        }
    }
}
