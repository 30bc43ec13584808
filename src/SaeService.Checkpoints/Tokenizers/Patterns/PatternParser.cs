using System.Text;

namespace SaeService.Checkpoints;

/// <summary>
/// Reads a regular expression in Oniguruma's own syntax, of which what a tokenizer may need is computed: everything but what refers to a captured group,
/// conditions, absence, <c>\X \K \G</c> and options other than i, m, x. The rest is refused by name.
/// </summary>
internal sealed partial class PatternParser
{
    private const int MaxLength = 20_000, MaxDepth = 100, MaxRepeat = 100_000;

    private static readonly Lazy<Dictionary<int, int[]>> s_folds = new(() => UnicodeFacts.CaseFolds.SelectMany(group => group.Select(c => (c, group))).ToDictionary(p => p.c, p => p.group));
    private static readonly Lazy<(int From, int[] To, bool)[]> s_multiFolds = new(() => [.. UnicodeFacts.Map("multifold")]);
    private static readonly CodePointSet s_newlines = CodePointSet.Of((0x0A, 0x0D), (0x85, 0x85), (0x2028, 0x2029));

    private readonly int[] _pattern;
    private readonly Func<string, CheckpointException> _refuse;
    private int _at, _depth;
    private bool _ignoreCase, _dotAll, _extended;

    private PatternParser(string pattern, Func<string, CheckpointException> refuse)
    {
        if (pattern.Length > MaxLength)
            throw refuse($"the regular expression is longer than {MaxLength} characters");
        _pattern = [.. pattern.EnumerateRunes().Select(r => r.Value)];
        _refuse = refuse;
    }

    public static PatternNode Parse(string pattern, Func<string, CheckpointException> refuse)
    {
        var parser = new PatternParser(pattern, refuse);
        var node = parser.Choice();
        return parser._at == parser._pattern.Length ? node : throw parser.Refuse("an unmatched ')'");
    }

    private bool More => _at < _pattern.Length;

    private CheckpointException Refuse(string what) => _refuse($"the regular expression is not supported: {what} at character {_at}");

    private bool Eat(char c)
    {
        if (!More || _pattern[_at] != c)
            return false;
        _at++;
        return true;
    }

    private bool Eat(string text)
    {
        for (var i = 0; i < text.Length; i++)
            if (_at + i >= _pattern.Length || _pattern[_at + i] != text[i])
                return false;
        _at += text.Length;
        return true;
    }

    private PatternNode Choice()
    {
        if (++_depth > MaxDepth)
            throw Refuse($"more than {MaxDepth} nested groups");
        var options = new List<PatternNode>();
        // Options that are switched inside a group end with it, but reach over its alternatives.
        var (ignoreCase, dotAll, extended) = (_ignoreCase, _dotAll, _extended);
        do
            options.Add(Sequence());
        while (Eat('|'));
        (_ignoreCase, _dotAll, _extended) = (ignoreCase, dotAll, extended);
        _depth--;
        return options.Count == 1 ? options[0] : new PatternNode.Choice(options);
    }

    private PatternNode Sequence()
    {
        var parts = new List<PatternNode>();
        // Under i, literals in a row may match as one character: ss matches U+00DF.
        var literals = new List<int>();
        while (More && _pattern[_at] is not ('|' or ')'))
        {
            var literal = -1;
            var part = Part(ref literal);
            if (part is null)
                continue;
            part = Quantified(part, ref literal);
            if (_ignoreCase && literal >= 0)
                literals.Add(literal);
            else
                CheckFolds(literals);
            parts.Add(part);
        }
        CheckFolds(literals);
        return parts.Count == 1 ? parts[0] : new PatternNode.Sequence(parts);
    }

    private void CheckFolds(List<int> literals)
    {
        if (literals.Count == 0)
            return;
        int[] folded = [.. literals.Select(c => s_folds.Value.TryGetValue(c, out var group) ? group.Min() : c)];
        foreach (var (from, to, _) in s_multiFolds.Value)
        {
            int[] sequence = [.. to.Select(c => s_folds.Value.TryGetValue(c, out var group) ? group.Min() : c)];
            if (literals.Contains(from) || (folded.Length >= sequence.Length && Enumerable.Range(0, folded.Length - sequence.Length + 1).Any(i => folded.AsSpan(i, sequence.Length).SequenceEqual(sequence))))
                throw Refuse($"letters that without case equal U+{from:X4}, of another length,");
        }
        literals.Clear();
    }

    /// <summary>The next element; null for one that is only a comment or a switch.</summary>
    private PatternNode? Part(ref int literal)
    {
        var c = _pattern[_at++];
        switch (c)
        {
            case '(':
                return Group();
            case '[':
                return new PatternNode.OneOf(Class());
            case '.':
                return new PatternNode.OneOf(_dotAll ? CodePointSet.All : CodePointSet.Of('\n').Complement());
            case '^':
                return new PatternNode.At(Anchor.LineStart);
            case '$':
                return new PatternNode.At(Anchor.LineEnd);
            case '\\':
                return Escape(ref literal);
            case '?' or '*' or '+':
                throw Refuse("a quantifier with nothing to repeat");
            case '#' when _extended:
                while (More && _pattern[_at++] != '\n')
                {
                }
                return null;
            default:
                if (_extended && c is ' ' or '\t' or '\n' or '\r' or '\f' or '\v' && _extended)
                    return null;
                literal = c;
                return Literal(c);
        }
    }

    private PatternNode.OneOf Literal(int c) => new(_ignoreCase ? CaseClosed(CodePointSet.Of(c)) : CodePointSet.Of(c));

    private static CodePointSet CaseClosed(CodePointSet set)
    {
        var more = s_folds.Value.Where(fold => set.Contains(fold.Key)).SelectMany(fold => fold.Value).Distinct().Select(c => (c, c));
        return set.Union(CodePointSet.Of(more));
    }

    private PatternNode Quantified(PatternNode node, ref int literal)
    {
        while (More)
        {
            var (fewest, most) = (0, -1);
            var interval = false;
            if (Eat('*'))
            {
            }
            else if (Eat('+'))
                fewest = 1;
            else if (Eat('?'))
                most = 1;
            else if (Interval() is { } bounds)
            {
                ((fewest, most), interval) = (bounds, true);
                if (most >= 0 && fewest > most)
                    throw Refuse("an interval whose bounds are reversed");
            }
            else
                break;
            literal = -1;
            // After an interval a + is a quantifier of its own, and {n}? makes the n optional.
            var kind = !interval && Eat('+') ? Repetition.Possessive : !(interval && fewest == most) && Eat('?') ? Repetition.Lazy : Repetition.Greedy;
            if (node is PatternNode.At or PatternNode.Look)
                throw Refuse("a quantifier after an assertion");
            node = new PatternNode.Repeat(node, fewest, most, kind);
        }
        return node;
    }

    /// <summary>{n}, {n,}, {,m} or {n,m}; what is none of them is text.</summary>
    private (int, int)? Interval()
    {
        if (!More || _pattern[_at] != '{')
            return null;
        var start = _at++;
        var low = Digits();
        var comma = Eat(',');
        var high = comma ? Digits() : low;
        if (!Eat('}') || (low is null && high is null))
        {
            _at = start;
            return null;
        }
        return low > MaxRepeat || high > MaxRepeat ? throw Refuse($"a repetition of more than {MaxRepeat}") : (low ?? 0, high ?? -1);
    }

    private int? Digits()
    {
        int? value = null;
        for (; More && _pattern[_at] is >= '0' and <= '9'; _at++)
            value = (int)Math.Min((value ?? 0) * 10L + _pattern[_at] - '0', MaxRepeat + 1);
        return value;
    }

    private PatternNode? Group()
    {
        if (!Eat('?'))
            return Closed(Choice());
        if (Eat('#'))
        {
            while (More && _pattern[_at++] != ')')
            {
            }
            return null;
        }
        if (Eat(':'))
            return Closed(Choice());
        if (Eat('>'))
            return new PatternNode.Atomic(Closed(Choice()));
        if (Eat('='))
            return new PatternNode.Look(Closed(Choice()), Behind: false, Negative: false);
        if (Eat('!'))
            return new PatternNode.Look(Closed(Choice()), Behind: false, Negative: true);
        if (Eat("<="))
            return new PatternNode.Look(Closed(Choice()), Behind: true, Negative: false);
        if (Eat("<!"))
            return new PatternNode.Look(Closed(Choice()), Behind: true, Negative: true);
        if (Eat('<'))
            return Named('>');
        if (Eat('\''))
            return Named('\'');
        return Options();
    }

    private PatternNode Closed(PatternNode node) => Eat(')') ? node : throw Refuse("a group that does not end");

    private PatternNode Named(char end)
    {
        while (More && _pattern[_at] != end && (_pattern[_at] == '_' || UnicodeFacts.PatternWord.Contains(_pattern[_at])))
            _at++;
        return Eat(end) ? Closed(Choice()) : throw Refuse("a group's name");
    }

    private PatternNode? Options()
    {
        var before = (_ignoreCase, _dotAll, _extended);
        var on = true;
        while (More && _pattern[_at] is not (':' or ')'))
        {
            switch (_pattern[_at])
            {
                case '-':
                    on = false;
                    break;
                case 'i':
                    _ignoreCase = on;
                    break;
                case 'm':
                    _dotAll = on;
                    break;
                case 'x':
                    _extended = on;
                    break;
                default:
                    throw Refuse("this kind of group or option");
            }
            _at++;
        }
        if (Eat(':'))
        {
            var node = Closed(Choice());
            (_ignoreCase, _dotAll, _extended) = before;
            return node;
        }
        // A switch in the middle of an alternative reaches over the alternatives after it, as a group around all that follows.
        if (!Eat(')'))
            throw Refuse("a group that does not end");
        var rest = Choice();
        (_ignoreCase, _dotAll, _extended) = before;
        return rest;
    }

    private PatternNode Escape(ref int literal)
    {
        if (!More)
            throw Refuse("a backslash at the end");
        var c = _pattern[_at++];
        switch (c)
        {
            case 'A':
                return new PatternNode.At(Anchor.TextStart);
            case 'z':
                return new PatternNode.At(Anchor.TextEnd);
            case 'Z':
                return new PatternNode.At(Anchor.TextEndOrLastLine);
            case 'b':
                return new PatternNode.At(Anchor.WordBoundary);
            case 'B':
                return new PatternNode.At(Anchor.NoWordBoundary);
            case 'R':
                var pair = new PatternNode.Sequence([new PatternNode.OneOf(CodePointSet.Of('\r')), new PatternNode.OneOf(CodePointSet.Of('\n'))]);
                return new PatternNode.Atomic(new PatternNode.Choice([pair, new PatternNode.OneOf(s_newlines)]));
            case 'N':
                return new PatternNode.OneOf(CodePointSet.Of('\n').Complement());
            case 'O':
                return new PatternNode.OneOf(CodePointSet.All);
            case 'X' or 'K' or 'G' or 'k' or 'g' or 'y' or 'Y' or (>= '1' and <= '9'):
                throw Refuse($"\\{(char)c}");
            default:
                _at--;
                if (EscapedClass(nested: false) is { } set)
                    return new PatternNode.OneOf(set);
                literal = EscapedCharacter();
                return Literal(literal);
        }
    }

    /// <summary>\d, \p{...} and their like, after the backslash; null where it is a character.</summary>
    /// <param name="nested">Inside brackets, where word characters are those of Unicode.</param>
    private CodePointSet? EscapedClass(bool nested)
    {
        var c = _pattern[_at];
        CodePointSet? set = c switch
        {
            'd' or 'D' => UnicodeFacts.Categories("Nd"),
            'w' or 'W' => nested ? UnicodeFacts.PatternWordInClass : UnicodeFacts.PatternWord,
            's' or 'S' => UnicodeFacts.WhiteSpace,
            'h' or 'H' => PropertyNames.Hexadecimal,
            _ => null,
        };
        if (set is not null)
        {
            _at++;
            return c is 'D' or 'W' or 'S' or 'H' ? set.Complement() : set;
        }
        if (c is not ('p' or 'P') || _at + 1 >= _pattern.Length || _pattern[_at + 1] != '{')
            return null;
        _at += 2;
        var negated = Eat('^') != (c == 'P');
        var name = new StringBuilder();
        while (More && _pattern[_at] != '}')
            name.Append(new Rune(_pattern[_at++]));
        if (!Eat('}'))
            throw Refuse("a property that does not end");
        set = PropertyNames.Find(name.ToString(), nested) ?? throw Refuse($"the property '{name}'");
        return negated ? set.Complement() : set;
    }

    private int EscapedCharacter()
    {
        var c = _pattern[_at++];
        switch (c)
        {
            case 't':
                return '\t';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'a':
                return '\a';
            case 'e':
                return 0x1B;
            case 'x' when Eat('{'):
                var wide = Number(16, 8);
                return Eat('}') && wide >= 0 && Rune.IsValid(wide) ? wide : throw Refuse("a code point");
            case 'x':
                var narrow = Number(16, 2);
                return narrow is >= 0 and < 0x80 ? narrow : throw Refuse("\\x with other than an ASCII character");
            case 'u':
                var start = _at;
                var unit = Number(16, 4);
                return _at - start == 4 && Rune.IsValid(unit) ? unit : throw Refuse("\\u");
            case >= '0' and <= '7':
                _at--;
                var octal = Number(8, 3);
                return octal < 0x80 ? octal : throw Refuse("an octal escape beyond ASCII");
            case 'c' or 'C' or 'M':
                throw Refuse($"\\{(char)c}");
            default:
                return c;
        }
    }

    private int Number(int radix, int digits)
    {
        var value = -1;
        for (; digits > 0 && More && _pattern[_at] < 0x80; digits--, _at++)
        {
            var digit = char.IsAsciiHexDigit((char)_pattern[_at]) ? Convert.ToInt32(((char)_pattern[_at]).ToString(), 16) : 99;
            if (digit >= radix)
                break;
            value = Math.Max(value, 0) * radix + digit;
            if (value > CodePointSet.Last)
                throw Refuse("a code point");
        }
        return value;
    }
}
