namespace SaeService.Checkpoints;

/// <summary>
/// The word patterns of GPT-2 (and GPT-NeoX, OPT, RoBERTa) and of cl100k (Llama 3, Qwen 2, GPT-4), written out: every position begins a match, and which
/// alternative wins is decided by one or two characters.
/// </summary>
internal abstract class WordScanner : PatternFinder
{
    public const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    public const string Llama3 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    public const string Qwen2 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    public const string Cl100k = @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

    private const byte Letter = 1, Number = 2, Space = 4, Else = 0;

    private static readonly byte[] s_kinds = ReadKinds();

    /// <summary>The scanner for a pattern that is spelled as one of these; null for others.</summary>
    public static WordScanner? Of(string pattern) => pattern switch
    {
        Gpt2 => new Gpt2Scanner(),
        Llama3 or Cl100k => new Cl100kScanner(3),
        Qwen2 => new Cl100kScanner(1),
        _ => null,
    };

    public sealed override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        for (int at = 0, end; at < text.Length; at = end)
        {
            end = Next(text, at);
            matches.Add((at, end));
        }
    }

    protected abstract int Next(ReadOnlySpan<char> text, int at);

    private static byte Kind(ReadOnlySpan<char> text, int at, out int units)
    {
        var c = AlignedText.CodePoint(text, at, out units);
        return units == 1 ? s_kinds[c] : UnicodeFacts.Letter.Contains(c) ? Letter : UnicodeFacts.Number.Contains(c) ? Number : Else;
    }

    private static int SkipAll(ReadOnlySpan<char> text, int at, byte kind, int most = int.MaxValue)
    {
        for (var taken = 0; taken < most && at < text.Length && Kind(text, at, out var units) == kind; taken++)
            at += units;
        return at;
    }

    /// <summary>\s+(?!\S)|\s+ : all the space to the end, else all but the last, else the one.</summary>
    private static int SpaceEnd(ReadOnlySpan<char> text, int at)
    {
        var end = SkipAll(text, at, Space);
        return end < text.Length && end - at > 1 ? end - 1 : end;
    }

    /// <summary>The end of 's, 't, 're, 've, 'm, 'll or 'd; -1 where there is none.</summary>
    private static int Contraction(ReadOnlySpan<char> text, int at, bool ignoreCase)
    {
        if (text[at] != '\'' || at + 1 >= text.Length)
            return -1;
        switch (Folded(text[at + 1], ignoreCase))
        {
            case 's' or 't' or 'm' or 'd':
                return at + 2;
            case 'r' or 'v' when at + 2 < text.Length && Folded(text[at + 2], ignoreCase) == 'e':
            case 'l' when at + 2 < text.Length && Folded(text[at + 2], ignoreCase) == 'l':
                return at + 3;
            default:
                return -1;
        }
    }

    // U+017F, the long s, is an s but for case.
    private static char Folded(char c, bool ignoreCase) => ignoreCase ? c is >= 'A' and <= 'Z' ? (char)(c | 0x20) : c == '\u017F' ? 's' : c : c;

    private static byte[] ReadKinds()
    {
        var kinds = new byte[0x10000];
        foreach (var (set, kind) in new[] { (UnicodeFacts.Letter, Letter), (UnicodeFacts.Number, Number), (UnicodeFacts.WhiteSpace, Space) })
            foreach (var (first, last) in set.Ranges)
                for (var c = first; c <= Math.Min(last, 0xFFFF); c++)
                    kinds[c] = kind;
        return kinds;
    }

    private sealed class Gpt2Scanner : WordScanner
    {
        protected override int Next(ReadOnlySpan<char> text, int at)
        {
            var word = Contraction(text, at, ignoreCase: false);
            if (word >= 0)
                return word;
            var kind = Kind(text, at, out var units);
            if (kind != Space)
                return SkipAll(text, at + units, kind);
            if (text[at] != ' ' || at + 1 >= text.Length)
                return SpaceEnd(text, at);
            kind = Kind(text, at + 1, out units);
            return kind == Space ? SpaceEnd(text, at) : SkipAll(text, at + 1 + units, kind);
        }
    }

    private sealed class Cl100kScanner(int digits) : WordScanner
    {
        protected override int Next(ReadOnlySpan<char> text, int at)
        {
            var word = Contraction(text, at, ignoreCase: true);
            if (word >= 0)
                return word;
            var kind = Kind(text, at, out var units);
            if (kind == Letter)
                return SkipAll(text, at + units, Letter);
            if (kind == Number)
                return SkipAll(text, at, Number, digits);
            var next = at + units;
            if (text[at] is not ('\r' or '\n') && next < text.Length && Kind(text, next, out var nextUnits) == Letter)
                return SkipAll(text, next + nextUnits, Letter);
            if (kind == Else)
                return NewLines(text, SkipAll(text, next, Else));
            if (text[at] == ' ' && next < text.Length && Kind(text, next, out nextUnits) == Else)
                return NewLines(text, SkipAll(text, next + nextUnits, Else));
            var run = text[at..SkipAll(text, at, Space)];
            var lastNewLine = run.LastIndexOfAny('\r', '\n');
            return lastNewLine >= 0 ? at + lastNewLine + 1 : SpaceEnd(text, at);
        }

        private static int NewLines(ReadOnlySpan<char> text, int at)
        {
            while (at < text.Length && text[at] is ('\r' or '\n'))
                at++;
            return at;
        }
    }
}
