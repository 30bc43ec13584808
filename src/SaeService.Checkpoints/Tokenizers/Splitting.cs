namespace SaeService.Checkpoints;

/// <summary>Text cut into pieces [Start, End) of UTF-16 units that the model encodes one by one.</summary>
internal readonly record struct Pieces(AlignedText Text, List<(int Start, int End)> Ranges);

/// <summary>What becomes of the matches of a pattern: SplitDelimiterBehavior of the tokenizers library.</summary>
internal enum SplitBehavior
{
    /// <summary>Matches go.</summary>
    Removed,

    /// <summary>Each match is a piece.</summary>
    Isolated,

    /// <summary>A match belongs to what stands before it; a match after a match is a piece.</summary>
    MergedWithPrevious,

    /// <summary>A match belongs to what comes after it; a match before a match is a piece.</summary>
    MergedWithNext,

    /// <summary>Matches in a row are one piece.</summary>
    Contiguous,
}

internal static class Splitting
{
    public static SplitBehavior ReadBehavior(StrictJson json, SplitBehavior? absent = null)
    {
        if (json.Text("behavior") is not { } name)
            return absent ?? throw json.Invalid("behavior", "is missing");
        return Enum.GetNames<SplitBehavior>().Contains(name) ? Enum.Parse<SplitBehavior>(name) : throw json.Unsupported("behavior", $"'{name}' is not supported");
    }

    /// <summary>Cuts every piece at the pattern's matches, or with <paramref name="invert"/> at what lies between them.</summary>
    public static Func<Pieces, Pieces> By(PatternFinder pattern, SplitBehavior behavior, bool invert = false) => pieces =>
    {
        var ranges = new List<(int, int)>(pieces.Ranges.Count + pieces.Text.Length / 5);
        var matches = new List<(int Start, int End)>();
        var parts = new List<Part>();
        foreach (var (start, end) in pieces.Ranges)
        {
            matches.Clear();
            pattern.Find(pieces.Text.Chars[start..end], matches);
            if (behavior == SplitBehavior.Isolated)
                AddIsolated(matches, start, end, ranges);
            else
            {
                ReadParts(matches, start, end, invert, parts);
                Add(parts, behavior, ranges);
            }
        }
        return new Pieces(pieces.Text, ranges);
    };

    private readonly record struct Part(int Start, int End, bool IsMatch);

    private static void AddIsolated(List<(int Start, int End)> matches, int start, int end, List<(int, int)> ranges)
    {
        var done = start;
        foreach (var match in matches)
        {
            AddRange(ranges, done, start + match.Start);
            AddRange(ranges, start + match.Start, start + match.End);
            done = start + match.End;
        }
        AddRange(ranges, done, end);
    }

    private static void ReadParts(List<(int Start, int End)> matches, int start, int end, bool invert, List<Part> parts)
    {
        parts.Clear();
        var done = start;
        foreach (var match in matches)
        {
            if (done < start + match.Start)
                parts.Add(new(done, start + match.Start, invert));
            parts.Add(new(start + match.Start, start + match.End, !invert));
            done = start + match.End;
        }
        if (done < end)
            parts.Add(new(done, end, invert));
    }

    private static void Add(List<Part> parts, SplitBehavior behavior, List<(int, int)> ranges)
    {
        if (behavior == SplitBehavior.MergedWithNext)
        {
            AddMergedWithNext(parts, ranges);
            return;
        }
        var piece = (Start: -1, End: -1);
        var afterMatch = false;
        foreach (var part in parts)
        {
            if (behavior == SplitBehavior.Removed)
            {
                if (!part.IsMatch)
                    AddRange(ranges, part.Start, part.End);
                continue;
            }
            var joins = behavior == SplitBehavior.Contiguous ? part.IsMatch == afterMatch : part.IsMatch && !afterMatch;
            if (joins && piece.Start >= 0)
                piece.End = part.End;
            else
            {
                AddRange(ranges, piece.Start, piece.End);
                piece = (part.Start, part.End);
            }
            afterMatch = part.IsMatch;
        }
        AddRange(ranges, piece.Start, piece.End);
    }

    // From the right: a match is taken by the part after it, unless that is a match too.
    private static void AddMergedWithNext(List<Part> parts, List<(int, int)> ranges)
    {
        var first = ranges.Count;
        var piece = (Start: -1, End: -1);
        var beforeMatch = false;
        for (var i = parts.Count - 1; i >= 0; i--)
        {
            var part = parts[i];
            if (part.IsMatch && !beforeMatch && piece.Start >= 0)
                piece.Start = part.Start;
            else
            {
                AddRange(ranges, piece.Start, piece.End);
                piece = (part.Start, part.End);
            }
            beforeMatch = part.IsMatch;
        }
        AddRange(ranges, piece.Start, piece.End);
        ranges.Reverse(first, ranges.Count - first);
    }

    public static void AddRange(List<(int, int)> ranges, int start, int end)
    {
        if (start < end)
            ranges.Add((start, end));
    }
}
