namespace SaeService.Checkpoints;

internal enum PatternOp
{
    /// <summary>One character of set A.</summary>
    OneOf,

    /// <summary>Tries A first, then B.</summary>
    Split,
    Jump,

    /// <summary>Between A and B characters of the set in Target (B -1: any number), as many as it can; then fewer.</summary>
    RunGreedy,
    RunLazy,
    RunPossessive,

    /// <summary>Remembers the position in slot A; <see cref="LoopEnd"/> leaves the loop to B where nothing was matched since.</summary>
    LoopStart,
    LoopEnd,

    /// <summary>The program from the next instruction to its Accept is a part of its own; afterwards it goes on at A.</summary>
    Ahead,
    NotAhead,
    Atomic,

    /// <summary>As Ahead, over the B to C characters before.</summary>
    Behind,
    NotBehind,
    At,
    Accept,
}

/// <summary>A regular expression as instructions for <see cref="PatternMatcher"/>.</summary>
internal sealed class PatternProgram
{
    // What {n,m} repeats is written out, so this also bounds nested repetitions.
    private const int MaxInstructions = 200_000;
    private const int MaxBehind = 255;

    private readonly List<Instruction> _code = [];
    private readonly List<CodePointSet> _sets = [];
    private readonly Func<string, CheckpointException> _refuse;

    private PatternProgram(Func<string, CheckpointException> refuse) => _refuse = refuse;

    internal record struct Instruction(PatternOp Op, int A, int B, int Target);

    public Instruction[] Code { get; private set; } = [];

    public CodePointSet[] Sets { get; private set; } = [];

    public int Slots { get; private set; }

    /// <summary>Where a match can begin; null where it may be empty.</summary>
    public CodePointSet? Firsts { get; private set; }

    public static PatternProgram Compile(PatternNode node, Func<string, CheckpointException> refuse)
    {
        var program = new PatternProgram(refuse);
        program.Add(node);
        program.Emit(PatternOp.Accept);
        program.Code = [.. program._code];
        program.Sets = [.. program._sets];
        program.Firsts = FirstsOf(node) is ({ } firsts, false) ? firsts : null;
        return program;
    }

    private int Emit(PatternOp op, int a = 0, int b = 0, int target = 0)
    {
        if (_code.Count >= MaxInstructions)
            throw _refuse("the regular expression is too large once its repetitions are written out");
        _code.Add(new(op, a, b, target));
        return _code.Count - 1;
    }

    private int SetIndex(CodePointSet set)
    {
        _sets.Add(set);
        return _sets.Count - 1;
    }

    private void Add(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.OneOf one:
                Emit(PatternOp.OneOf, SetIndex(one.Set));
                break;
            case PatternNode.Sequence sequence:
                foreach (var part in sequence.Parts)
                    Add(part);
                break;
            case PatternNode.Choice choice:
                AddChoice(choice);
                break;
            case PatternNode.Repeat repeat:
                AddRepeat(repeat);
                break;
            case PatternNode.Atomic atomic:
                AddPart(PatternOp.Atomic, atomic.Body);
                break;
            case PatternNode.Look { Behind: false } look:
                AddPart(look.Negative ? PatternOp.NotAhead : PatternOp.Ahead, look.Body);
                break;
            case PatternNode.Look look:
                var (fewest, most) = look.Body.Width;
                if (most > MaxBehind)
                    throw _refuse($"the regular expression looks back over more than {MaxBehind} characters");
                AddPart(look.Negative ? PatternOp.NotBehind : PatternOp.Behind, look.Body, fewest, most < 0 ? MaxBehind : most);
                break;
            case PatternNode.At at:
                Emit(PatternOp.At, (int)at.Anchor);
                break;
            default:
                throw new InvalidOperationException(node.GetType().Name);
        }
    }

    private void AddChoice(PatternNode.Choice choice)
    {
        var ends = new List<int>();
        for (var i = 0; i < choice.Options.Count; i++)
        {
            var split = i + 1 < choice.Options.Count ? Emit(PatternOp.Split) : -1;
            Add(choice.Options[i]);
            if (split < 0)
                break;
            ends.Add(Emit(PatternOp.Jump));
            _code[split] = new(PatternOp.Split, split + 1, _code.Count, 0);
        }
        foreach (var end in ends)
            _code[end] = _code[end] with { A = _code.Count };
    }

    private void AddRepeat(PatternNode.Repeat repeat)
    {
        if (repeat.Body is PatternNode.OneOf one)
        {
            var op = repeat.Kind switch { Repetition.Greedy => PatternOp.RunGreedy, Repetition.Lazy => PatternOp.RunLazy, _ => PatternOp.RunPossessive };
            Emit(op, repeat.Fewest, repeat.Most, SetIndex(one.Set));
            return;
        }
        if (repeat.Kind == Repetition.Possessive)
        {
            AddPart(PatternOp.Atomic, repeat with { Kind = Repetition.Greedy });
            return;
        }
        for (var i = 0; i < repeat.Fewest; i++)
            Add(repeat.Body);
        var lazy = repeat.Kind == Repetition.Lazy;
        if (repeat.Most < 0)
        {
            var split = Emit(PatternOp.Split);
            var slot = Slots++;
            Emit(PatternOp.LoopStart, slot);
            Add(repeat.Body);
            var end = Emit(PatternOp.LoopEnd, slot);
            Emit(PatternOp.Jump, split);
            _code[end] = _code[end] with { B = _code.Count };
            Aim(split, lazy);
            return;
        }
        var splits = new List<int>();
        for (var i = repeat.Fewest; i < repeat.Most; i++)
        {
            splits.Add(Emit(PatternOp.Split));
            Add(repeat.Body);
        }
        foreach (var split in splits)
            Aim(split, lazy);
    }

    private void Aim(int split, bool lazy) =>
        _code[split] = lazy ? new(PatternOp.Split, _code.Count, split + 1, 0) : new(PatternOp.Split, split + 1, _code.Count, 0);

    private void AddPart(PatternOp op, PatternNode body, int fewest = 0, int most = 0)
    {
        var start = Emit(op, 0, fewest, most);
        Add(body);
        Emit(PatternOp.Accept);
        _code[start] = _code[start] with { A = _code.Count };
    }

    /// <summary>The set that a match begins with, and whether it may be empty.</summary>
    private static (CodePointSet? Set, bool Empty) FirstsOf(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.OneOf one:
                return (one.Set, false);
            case PatternNode.Sequence sequence:
                var set = CodePointSet.Empty;
                foreach (var part in sequence.Parts)
                {
                    var (own, empty) = FirstsOf(part);
                    set = set.Union(own!);
                    if (!empty)
                        return (set, false);
                }
                return (set, true);
            case PatternNode.Choice choice:
                var options = choice.Options.Select(FirstsOf).ToArray();
                return (CodePointSet.Empty.Union(options.Select(o => o.Set!)), options.Any(o => o.Empty));
            case PatternNode.Repeat repeat:
                var (body, bodyEmpty) = FirstsOf(repeat.Body);
                return (body, bodyEmpty || repeat.Fewest == 0);
            case PatternNode.Atomic atomic:
                return FirstsOf(atomic.Body);
            default:
                return (CodePointSet.Empty, true);
        }
    }
}
