namespace SaeService.Checkpoints;

/// <summary>
/// Cuts where the script changes, as SentencePiece's trainer does: Hiragana and Katakana count as Han, a space belongs to any script, and so does
/// what has had no script in Unicode 9.
/// </summary>
internal static class UnicodeScripts
{
    private const byte Any = 0;

    private static readonly Lazy<(byte[] Basic, (int First, int Last, byte Script)[] Astral)> s_scripts = new(ReadScripts);

    public static Pieces Split(Pieces pieces)
    {
        var ranges = new List<(int, int)>();
        foreach (var (start, end) in pieces.Ranges)
        {
            // Before the first character with a script there is none, which differs from all: the library drops nothing else, but what stands there.
            int? last = null;
            var begin = -1;
            for (int at = start, units; at < end; at += units)
            {
                var script = ScriptOf(pieces.Text.CodePoint(at, out units));
                if (script == Any)
                    continue;
                if (script != last)
                {
                    if (begin >= 0)
                        Splitting.AddRange(ranges, begin, at);
                    begin = at;
                }
                last = script;
            }
            if (begin >= 0)
                Splitting.AddRange(ranges, begin, end);
        }
        return new Pieces(pieces.Text, ranges);
    }

    private static byte ScriptOf(int c)
    {
        var (basic, astral) = s_scripts.Value;
        if (c <= 0xFFFF)
            return basic[c];
        int low = 0, high = astral.Length - 1;
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (c < astral[middle].First)
                high = middle - 1;
            else if (c > astral[middle].Last)
                low = middle + 1;
            else
                return UnicodeFacts.Property("unscripted")!.Contains(c) ? Any : astral[middle].Script;
        }
        return Any;
    }

    private static (byte[], (int, int, byte)[]) ReadScripts()
    {
        var basic = new byte[0x10000];
        var astral = new List<(int First, int, byte)>();
        var names = UnicodeFacts.Scripts.ToList();
        byte Number(string name) => (byte)(1 + names.FindIndex(s => s.Name == name));
        foreach (var (name, set) in names)
        {
            var script = Number(name is "hiragana" or "katakana" ? "han" : name);
            foreach (var (first, last) in set.Ranges)
            {
                for (var c = first; c <= Math.Min(last, 0xFFFF); c++)
                    basic[c] = script;
                if (last > 0xFFFF)
                    astral.Add((Math.Max(first, 0x10000), last, script));
            }
        }
        foreach (var (first, last) in UnicodeFacts.Property("unscripted")!.Ranges)
            for (var c = first; c <= Math.Min(last, 0xFFFF); c++)
                basic[c] = Any;
        // Where scripts have changed since Unicode 9, and SentencePiece's own reading of the prolonged sound mark.
        basic[0x589] = basic[0x61C] = Number("common");
        basic[0x953] = basic[0x954] = Number("devanagari");
        basic[0x30FC] = Number("han");
        basic[' '] = Any;
        return (basic, [.. astral.OrderBy(a => a.First)]);
    }
}
