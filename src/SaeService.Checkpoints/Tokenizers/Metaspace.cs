namespace SaeService.Checkpoints;

/// <summary>SentencePiece's way with spaces: each becomes a visible character, one is put before the text, and words are cut before them.</summary>
internal static class Metaspace
{
    private enum Scheme
    {
        Always,
        First,
        Never,
    }

    public static Func<Pieces, Pieces> ReadPreTokenizer(StrictJson json)
    {
        var (replacement, scheme) = Read(json);
        var split = json.Flag("split", true);
        var mark = char.ConvertFromUtf32(replacement);
        var cut = Splitting.By(PatternFinder.Characters(CodePointSet.Of(replacement)), SplitBehavior.MergedWithNext);
        return pieces =>
        {
            pieces = WithMarks(pieces, mark);
            if (scheme != Scheme.Never)
                pieces = WithPrefix(pieces, mark, (text, start) =>
                    text.CodePoint(start, out _) != replacement && (scheme == Scheme.Always || text.Original(start, start + 1).Start == 0));
            return split ? cut(pieces) : pieces;
        };
    }

    public static Func<List<string>, List<string>> ReadDecoder(StrictJson json)
    {
        var (replacement, scheme) = Read(json);
        json.Flag("split", true);
        var mark = char.ConvertFromUtf32(replacement);
        return tokens =>
        {
            var result = tokens.ConvertAll(t => t.Replace(mark, " ", StringComparison.Ordinal));
            // All marks of the first token go, not only a leading one.
            if (tokens.Count > 0 && scheme != Scheme.Never)
                result[0] = tokens[0].Replace(mark, "", StringComparison.Ordinal);
            return result;
        };
    }

    /// <summary>Puts the prefix before each piece of which <paramref name="wanted"/> is true; it belongs to the piece's first character.</summary>
    public static Pieces WithPrefix(Pieces pieces, string prefix, Func<AlignedText, int, bool> wanted)
    {
        if (!pieces.Ranges.Exists(r => wanted(pieces.Text, r.Start)))
            return pieces;
        var text = new AlignedText(pieces.Text.Length + pieces.Ranges.Count * prefix.Length, pieces.Text.Origin);
        var ranges = new List<(int, int)>(pieces.Ranges.Count);
        foreach (var (start, end) in pieces.Ranges)
        {
            var begin = text.Length;
            if (wanted(pieces.Text, start))
                Normalizer.Prepend(prefix, pieces.Text, start, end, text);
            else
                text.Append(pieces.Text, start, end);
            ranges.Add((begin, text.Length));
        }
        return new Pieces(text, ranges);
    }

    private static Pieces WithMarks(Pieces pieces, string mark)
    {
        if (!pieces.Text.Chars.Contains(' '))
            return pieces;
        var text = new AlignedText(pieces.Text.Length, pieces.Text.Origin);
        var ranges = new List<(int, int)>(pieces.Ranges.Count);
        foreach (var (start, end) in pieces.Ranges)
        {
            var begin = text.Length;
            for (int at = start, next; at < end; at = next)
            {
                var found = pieces.Text.Chars[at..end].IndexOf(' ');
                next = found < 0 ? end : at + found;
                text.Append(pieces.Text, at, next);
                if (found >= 0)
                    text.Append(mark, pieces.Text.Original(next, ++next));
            }
            ranges.Add((begin, text.Length));
        }
        return new Pieces(text, ranges);
    }

    private static (int Replacement, Scheme Scheme) Read(StrictJson json)
    {
        var replacement = TokenizerJson.Character(json, "replacement");
        // Files from before prepend_scheme say only whether a space is put before; where both are given they must agree.
        var addSpace = json.Flag("add_prefix_space", true);
        json.Text("str_rep");
        var scheme = json.Text("prepend_scheme") switch
        {
            null => addSpace ? Scheme.Always : Scheme.Never,
            "always" => Scheme.Always,
            "first" => Scheme.First,
            "never" => Scheme.Never,
            { } other => throw json.Unsupported("prepend_scheme", $"'{other}' is not supported"),
        };
        return addSpace || scheme == Scheme.Never ? (replacement, scheme) : throw json.Invalid("add_prefix_space", "contradicts prepend_scheme");
    }
}
