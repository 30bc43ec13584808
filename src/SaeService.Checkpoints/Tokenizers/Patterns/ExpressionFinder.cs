namespace SaeService.Checkpoints;

/// <summary>
/// Finds matches of a regular expression over code points, by backtracking, as Oniguruma does: the first alternative that leads to a match wins. Runs
/// of one class of character are taken in one step. The work for one text is bounded, so that no pattern can hang.
/// </summary>
internal sealed class ExpressionFinder : PatternFinder
{
    // A pattern in use takes some ten steps a character; quadratic ones on short texts are let through.
    private const long MinSteps = 50_000_000, StepsPerUnit = 1_000;

    private readonly PatternProgram _program;
    private readonly string _pattern;
    private readonly Func<string, CheckpointException> _refuse;

    public ExpressionFinder(string pattern, Func<string, CheckpointException> refuse)
    {
        _program = PatternProgram.Compile(PatternParser.Parse(pattern, refuse), refuse);
        (_pattern, _refuse) = (pattern, refuse);
    }

    public override void Find(ReadOnlySpan<char> text, List<(int Start, int End)> matches)
    {
        // Nothing is found in nothing, not even the empty match.
        if (text.IsEmpty)
            return;
        var matcher = new PatternMatcher(_program, text, MinSteps + StepsPerUnit * text.Length);
        int from = 0, lastEnd = -1;
        while (from <= text.Length)
        {
            var found = matcher.Search(from, out var start, out var end);
            if (matcher.Exhausted)
                throw _refuse($"the regular expression '{(_pattern.Length <= 200 ? _pattern : _pattern[..200] + "...")}' takes too long on a text of {text.Length} characters");
            if (!found)
                return;
            // An empty match right after a match is none; the search goes on one character later.
            if (start == end && lastEnd == end)
            {
                from = end < text.Length ? end + PatternMatcher.Units(text, end) : end + 1;
                continue;
            }
            matches.Add((start, end));
            from = lastEnd = end;
        }
    }
}
