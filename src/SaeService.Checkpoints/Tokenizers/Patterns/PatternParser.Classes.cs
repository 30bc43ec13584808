using System.Text;

namespace SaeService.Checkpoints;

/// <summary>Character classes: what stands in square brackets.</summary>
internal sealed partial class PatternParser
{
    /// <summary>A character class after its opening bracket.</summary>
    private CodePointSet Class()
    {
        if (++_depth > MaxDepth)
            throw Refuse($"more than {MaxDepth} nested classes");
        var negated = Eat('^');
        CodePointSet? intersected = null;
        var ranges = new List<(int, int)>();
        var sets = new List<CodePointSet>();
        for (var first = true; ; first = false)
        {
            if (!More)
                throw Refuse("a character class that does not end");
            if (Eat(']') && !(first && ClosesLater()))
            {
                if (first)
                    throw Refuse("an empty class");
                break;
            }
            if (_pattern[_at - 1] == ']' && first)
                AddRange(']');
            else if (Eat("&&"))
            {
                intersected = Intersected();
                ranges.Clear();
                sets.Clear();
            }
            else if (Eat("[:"))
                sets.Add(PosixClass());
            else if (Eat('['))
                sets.Add(Class());
            else if (Eat('\\'))
            {
                if (!More)
                    throw Refuse("a backslash at the end");
                if (EscapedClass(nested: true) is { } set)
                    sets.Add(set);
                else if (_pattern[_at] is 'R' or 'X' or 'N' or 'O')
                    throw Refuse($"\\{(char)_pattern[_at]} in a class");
                else
                    AddRange(_pattern[_at] == 'b' ? Backspace() : EscapedCharacter());
            }
            else
                AddRange(_pattern[_at++]);
        }
        _depth--;
        var result = Intersected();
        if (_ignoreCase)
        {
            if (!negated && s_multiFolds.Value.FirstOrDefault(f => result.Contains(f.From)) is { To: not null } fold)
                throw Refuse($"a class without case that has U+{fold.From:X4}, which equals several characters,");
            result = CaseClosed(result);
        }
        return negated ? result.Complement() : result;

        int Backspace()
        {
            _at++;
            return '\b';
        }

        CodePointSet Intersected()
        {
            var own = CodePointSet.Of(ranges).Union(sets);
            return intersected is null ? own : intersected.Intersect(own);
        }

        void AddRange(int from)
        {
            // A hyphen at the end, or before a nested class, is itself.
            if (!More || _pattern[_at] != '-' || _at + 1 >= _pattern.Length || _pattern[_at + 1] is ']' or '[')
            {
                ranges.Add((from, from));
                return;
            }
            _at++;
            if (Eat("&&"))
                throw Refuse("a range that does not end");
            var to = _pattern[_at++];
            if (to == '\\')
                to = EscapedClass(nested: true) is null ? EscapedCharacter() : throw Refuse("a range that ends in a class");
            ranges.Add(to >= from ? (from, to) : throw Refuse("a range whose ends are reversed"));
        }
    }

    // "[]a]": a bracket right at the start is itself where another one closes the class.
    private bool ClosesLater() => Array.IndexOf(_pattern, ']', _at) >= 0;

    private CodePointSet PosixClass()
    {
        var negated = Eat('^');
        var name = new StringBuilder();
        while (More && _pattern[_at] is >= 'a' and <= 'z')
            name.Append((char)_pattern[_at++]);
        if (!Eat(":]") || PropertyNames.Posix(name.ToString(), nested: true) is not { } set)
            throw Refuse($"the class [:{name}:]");
        return negated ? set.Complement() : set;
    }

}
