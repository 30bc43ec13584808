namespace SaeService.Checkpoints;

internal enum Repetition
{
    Greedy,
    Lazy,
    Possessive,
}

internal enum Anchor
{
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    TextEndOrLastLine,
    WordBoundary,
    NoWordBoundary,
}

/// <summary>A regular expression as read.</summary>
internal abstract record PatternNode
{
    /// <summary>The fewest and most characters that it matches; the most is -1 without a bound.</summary>
    public abstract (int Fewest, int Most) Width { get; }

    public sealed record OneOf(CodePointSet Set) : PatternNode
    {
        public override (int, int) Width => (1, 1);
    }

    public sealed record Sequence(IReadOnlyList<PatternNode> Parts) : PatternNode
    {
        public override (int, int) Width { get; } = Parts.Aggregate((Fewest: 0, Most: 0), (sum, part) =>
            (Sum(sum.Fewest, part.Width.Fewest), sum.Most < 0 || part.Width.Most < 0 ? -1 : Sum(sum.Most, part.Width.Most)));
    }

    public sealed record Choice(IReadOnlyList<PatternNode> Options) : PatternNode
    {
        public override (int, int) Width { get; } =
            (Options.Min(o => o.Width.Fewest), Options.Any(o => o.Width.Most < 0) ? -1 : Options.Max(o => o.Width.Most));
    }

    /// <param name="Most">-1 without a bound.</param>
    public sealed record Repeat(PatternNode Body, int Fewest, int Most, Repetition Kind) : PatternNode
    {
        public override (int, int) Width { get; } =
            (Product(Body.Width.Fewest, Fewest), Most < 0 || Body.Width.Most < 0 ? Body.Width.Most == 0 ? 0 : -1 : Product(Body.Width.Most, Most));
    }

    public sealed record Atomic(PatternNode Body) : PatternNode
    {
        public override (int, int) Width => Body.Width;
    }

    public sealed record Look(PatternNode Body, bool Behind, bool Negative) : PatternNode
    {
        public override (int, int) Width => (0, 0);
    }

    public sealed record At(Anchor Anchor) : PatternNode
    {
        public override (int, int) Width => (0, 0);
    }

    // Widths only need to be right while small.
    private static int Sum(int a, int b) => (int)Math.Min(1_000_000, (long)a + b);

    private static int Product(int a, int b) => (int)Math.Min(1_000_000, (long)a * b);
}
