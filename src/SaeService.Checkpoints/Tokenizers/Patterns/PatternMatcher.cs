using System.Runtime.CompilerServices;

namespace SaeService.Checkpoints;

/// <summary>Runs a <see cref="PatternProgram"/> over one text.</summary>
internal ref struct PatternMatcher
{
    private const int MaxChoices = 1 << 22;

    private readonly PatternProgram _program;
    private readonly PatternProgram.Instruction[] _code;
    private readonly ReadOnlySpan<char> _text;
    private readonly int[] _slots;

    // Where to go on when a path fails: an instruction and a position; a run that can still be shorter or longer; or a slot to restore.
    private Choice[] _stack = new Choice[64];
    private int _top;
    private long _steps;

    public PatternMatcher(PatternProgram program, ReadOnlySpan<char> text, long steps)
    {
        (_program, _code, _steps) = (program, program.Code, steps);
        _text = text;
        _slots = program.Slots == 0 ? [] : new int[program.Slots];
    }

    private enum ChoiceKind
    {
        Go,
        Shorter,
        Longer,
        Slot,
    }

    private record struct Choice(ChoiceKind Kind, int At, int Position, int Limit);

    /// <summary>Whether the steps that were allowed are used up.</summary>
    public readonly bool Exhausted => _steps < 0;

    public bool Search(int from, out int start, out int end)
    {
        var firsts = _program.Firsts;
        for (start = from; start <= _text.Length; start += start < _text.Length ? Units(_text, start) : 1)
        {
            if (firsts is not null)
            {
                while (start < _text.Length && !firsts.Contains(AlignedText.CodePoint(_text, start, out var units)))
                    start += units;
                if (start == _text.Length)
                    break;
            }
            end = Run(0, start, -1);
            if (end >= 0)
                return true;
            if (_steps < 0)
                break;
        }
        end = -1;
        return false;
    }

    public static int Units(ReadOnlySpan<char> text, int at) => char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;

    /// <summary>Where a match of the program from an instruction on ends; -1 where there is none. With a position given, it must end there.</summary>
    private int Run(int instruction, int position, int mustEnd)
    {
        var bottom = _top;
        while (true)
        {
            if (--_steps < 0)
                break;
            ref readonly var code = ref _code[instruction];
            var failed = false;
            switch (code.Op)
            {
                case PatternOp.OneOf:
                    if (position < _text.Length && _program.Sets[code.A].Contains(AlignedText.CodePoint(_text, position, out var units)))
                        position += units;
                    else
                        failed = true;
                    instruction++;
                    break;
                case PatternOp.Split:
                    Push(new(ChoiceKind.Go, code.B, position, 0));
                    instruction = code.A;
                    break;
                case PatternOp.Jump:
                    instruction = code.A;
                    break;
                case PatternOp.RunGreedy or PatternOp.RunPossessive:
                    var least = Take(_program.Sets[code.Target], position, code.A, out var taken);
                    failed = taken < code.A;
                    if (!failed)
                    {
                        position = Take(_program.Sets[code.Target], least, code.B < 0 ? int.MaxValue : code.B - code.A, out _);
                        instruction++;
                        if (code.Op == PatternOp.RunGreedy && position > least)
                            Push(new(ChoiceKind.Shorter, instruction, position, least));
                    }
                    break;
                case PatternOp.RunLazy:
                    position = Take(_program.Sets[code.Target], position, code.A, out taken);
                    failed = taken < code.A;
                    if (!failed && (code.B < 0 || code.B > code.A))
                        Push(new(ChoiceKind.Longer, instruction, position, code.B < 0 ? int.MaxValue : code.B - code.A));
                    instruction++;
                    break;
                case PatternOp.LoopStart:
                    Push(new(ChoiceKind.Slot, code.A, _slots[code.A], 0));
                    _slots[code.A] = position;
                    instruction++;
                    break;
                case PatternOp.LoopEnd:
                    instruction = _slots[code.A] == position ? code.B : instruction + 1;
                    break;
                case PatternOp.At:
                    failed = !Holds((Anchor)code.A, position);
                    instruction++;
                    break;
                case PatternOp.Atomic:
                    var ended = Run(instruction + 1, position, -1);
                    failed = ended < 0;
                    position = ended;
                    instruction = code.A;
                    break;
                case PatternOp.Ahead or PatternOp.NotAhead:
                    failed = Run(instruction + 1, position, -1) >= 0 == (code.Op == PatternOp.NotAhead);
                    instruction = code.A;
                    break;
                case PatternOp.Behind or PatternOp.NotBehind:
                    failed = IsBehind(instruction + 1, position, code.B, code.Target) == (code.Op == PatternOp.NotBehind);
                    instruction = code.A;
                    break;
                default:
                    if (mustEnd >= 0 && position != mustEnd)
                    {
                        failed = true;
                        break;
                    }
                    // A part that has matched is not tried otherwise.
                    _top = bottom;
                    return position;
            }
            if (failed && !Resume(bottom, ref instruction, ref position))
                return -1;
        }
        _top = bottom;
        return -1;
    }

    private bool Resume(int bottom, ref int instruction, ref int position)
    {
        while (_top > bottom)
        {
            ref var choice = ref _stack[_top - 1];
            switch (choice.Kind)
            {
                case ChoiceKind.Slot:
                    _slots[choice.At] = choice.Position;
                    _top--;
                    continue;
                case ChoiceKind.Go:
                    (instruction, position) = (choice.At, choice.Position);
                    _top--;
                    return true;
                case ChoiceKind.Shorter:
                    choice.Position -= char.IsLowSurrogate(_text[choice.Position - 1]) ? 2 : 1;
                    (instruction, position) = (choice.At, choice.Position);
                    if (choice.Position <= choice.Limit)
                        _top--;
                    return true;
                default:
                    position = Take(_program.Sets[_code[choice.At].Target], choice.Position, 1, out var taken);
                    if (taken == 0)
                    {
                        _top--;
                        continue;
                    }
                    instruction = choice.At + 1;
                    choice.Position = position;
                    if (choice.Limit != int.MaxValue && --choice.Limit == 0)
                        _top--;
                    return true;
            }
        }
        return false;
    }


    private bool IsBehind(int instruction, int position, int fewest, int most)
    {
        var start = position;
        for (var characters = 0; characters <= most; characters++)
        {
            if (characters >= fewest && Run(instruction, start, position) >= 0)
                return true;
            if (start == 0)
                break;
            start -= start > 1 && char.IsLowSurrogate(_text[start - 1]) && char.IsHighSurrogate(_text[start - 2]) ? 2 : 1;
        }
        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Take(CodePointSet set, int position, int most, out int taken)
    {
        taken = 0;
        var at = position;
        while (taken < most && at < _text.Length && set.Contains(AlignedText.CodePoint(_text, at, out var units)))
        {
            at += units;
            taken++;
        }
        _steps -= taken;
        return at;
    }

    private readonly bool Holds(Anchor anchor, int at) => anchor switch
    {
        Anchor.TextStart => at == 0,
        Anchor.TextEnd => at == _text.Length,
        Anchor.TextEndOrLastLine => at == _text.Length || (at == _text.Length - 1 && _text[at] == '\n'),
        // At the end of the text, after a last newline, there is no line.
        Anchor.LineStart => at == 0 || (_text[at - 1] == '\n' && at < _text.Length),
        Anchor.LineEnd => at == _text.Length || _text[at] == '\n',
        Anchor.WordBoundary => IsWordBefore(at) != IsWordAt(at),
        _ => IsWordBefore(at) == IsWordAt(at),
    };

    private readonly bool IsWordAt(int at) => at < _text.Length && UnicodeFacts.PatternWord.Contains(AlignedText.CodePoint(_text, at, out _));

    private readonly bool IsWordBefore(int at) =>
        at > 0 && UnicodeFacts.PatternWord.Contains(AlignedText.CodePoint(_text, at - (at > 1 && char.IsLowSurrogate(_text[at - 1]) && char.IsHighSurrogate(_text[at - 2]) ? 2 : 1), out _));

    private void Push(Choice choice)
    {
        if (_top == MaxChoices)
            _steps = -1;
        else if (_top == _stack.Length)
            Array.Resize(ref _stack, _top * 2);
        if (_steps < 0)
            return;
        _stack[_top++] = choice;
    }
}
