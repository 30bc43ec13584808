namespace SaeService.Checkpoints;

/// <summary>
/// The four Unicode normalisation forms (UAX 15) with, for each character of the result, how it came about: alignment follows the library, which
/// counts a decomposed character's first part as its replacement, further parts as new, and composed parts as dropped.
/// </summary>
internal sealed class NormalForm
{
    private const int HangulSyllables = 0xAC00, HangulL = 0x1100, HangulV = 0x1161, HangulT = 0x11A7, CountL = 19, CountV = 21, CountT = 28;

    private static readonly Dictionary<int, int[]> s_canonical = [];
    private static readonly Dictionary<int, int[]> s_compatible = [];
    private static readonly Dictionary<long, int> s_composed = [];
    private static readonly Dictionary<int, byte> s_classes = [];

    private readonly bool _compose, _compatible;
    private readonly char _firstUnsafe;

    /// <param name="compose">C forms.</param>
    /// <param name="compatible">K forms.</param>
    public NormalForm(bool compose, bool compatible)
    {
        (_compose, _compatible) = (compose, compatible);
        // Below these nothing decomposes (or, in C forms, decomposes and stays so), and nothing composes with what stands before it.
        _firstUnsafe = compatible ? '\u00A0' : compose ? '\u0300' : '\u00C0';
    }

    static NormalForm()
    {
        foreach (var (members, value) in UnicodeFacts.CombiningClasses.Select(c => (c.Members, c.Class)))
            foreach (var (first, last) in members.Ranges)
                for (var c = first; c <= last; c++)
                    s_classes[c] = (byte)value;
        foreach (var (from, to, excluded) in UnicodeFacts.Map("canon"))
        {
            s_canonical[from] = to;
            if (!excluded)
                s_composed[Key(to[0], to[1])] = from;
        }
        foreach (var (from, to, _) in UnicodeFacts.Map("compat"))
            s_compatible[from] = to;
    }

    public AlignedText Apply(AlignedText text)
    {
        var chars = text.Chars;
        var at = NextUnsafe(chars, 0);
        if (at == chars.Length)
            return text;
        var result = new AlignedText(text.Length + (text.Length >> 4), text.Origin);
        var done = 0;
        var edits = new List<Edit>();
        while (at < chars.Length)
        {
            // From the safe character before, with which the first may compose, to the next safe one.
            var start = Math.Max(done, at - 1);
            result.Append(text, done, start);
            done = at;
            while (done < chars.Length && chars[done] >= _firstUnsafe)
                done++;
            edits.Clear();
            Normalize(text, start, done, edits);
            text.Rewrite(start, done, edits, result);
            at = NextUnsafe(chars, done);
        }
        result.Append(text, done, text.Length);
        return result;
    }

    private int NextUnsafe(ReadOnlySpan<char> chars, int from)
    {
        var found = chars[from..].IndexOfAnyInRange(_firstUnsafe, '\uFFFF');
        return found < 0 ? chars.Length : from + found;
    }

    private void Normalize(AlignedText text, int start, int end, List<Edit> edits)
    {
        var pending = new List<(int Class, Edit Edit)>();
        var decomposed = _compose ? [] : edits;
        for (int at = start, units; at < end; at += units)
        {
            var first = true;
            foreach (var part in Parts(text.CodePoint(at, out units)))
            {
                var edit = new Edit(part, first ? 0 : 1);
                first = false;
                var own = Class(part);
                if (own == 0)
                    Flush();
                if (own == 0)
                    decomposed.Add(edit);
                else
                    pending.Add((own, edit));
            }
        }
        Flush();
        if (_compose)
            Compose(decomposed, edits);

        void Flush()
        {
            if (pending.Count > 0)
                decomposed.AddRange(pending.OrderBy(p => p.Class).Select(p => p.Edit));
            pending.Clear();
        }
    }

    private static void Compose(List<Edit> decomposed, List<Edit> edits)
    {
        var starter = -1;
        var lastClass = -1;
        foreach (var edit in decomposed)
        {
            var own = Class(edit.CodePoint);
            if (starter >= 0 && (lastClass < 0 || lastClass < own)
                && Composed(edits[starter].CodePoint, edit.CodePoint) is { } composed)
            {
                edits[starter] = new Edit(composed, edits[starter].Change + edit.Change - 1);
                continue;
            }
            edits.Add(edit);
            if (own == 0)
                (starter, lastClass) = (edits.Count - 1, -1);
            else if (starter >= 0)
                lastClass = own;
        }
    }

    private IEnumerable<int> Parts(int codePoint)
    {
        if (codePoint is >= HangulSyllables and < HangulSyllables + CountL * CountV * CountT)
        {
            var index = codePoint - HangulSyllables;
            int[] parts = [HangulL + index / (CountV * CountT), HangulV + index % (CountV * CountT) / CountT, HangulT + index % CountT];
            return index % CountT == 0 ? parts[..2] : parts;
        }
        var known = s_canonical.TryGetValue(codePoint, out var to) || (_compatible && s_compatible.TryGetValue(codePoint, out to));
        return known ? to!.SelectMany(Parts) : [codePoint];
    }

    private static int? Composed(int first, int second)
    {
        if (first is >= HangulL and < HangulL + CountL && second is >= HangulV and < HangulV + CountV)
            return HangulSyllables + ((first - HangulL) * CountV + second - HangulV) * CountT;
        if (first is >= HangulSyllables and < HangulSyllables + CountL * CountV * CountT && (first - HangulSyllables) % CountT == 0
            && second is > HangulT and < HangulT + CountT)
            return first + second - HangulT;
        return s_composed.TryGetValue(Key(first, second), out var composed) ? composed : null;
    }

    private static int Class(int codePoint) => codePoint < 0x300 ? 0 : s_classes.GetValueOrDefault(codePoint);

    private static long Key(int first, int second) => (long)first << 32 | (uint)second;
}
