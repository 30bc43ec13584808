using System.Text;

namespace SaeService.Corpora;

/// <summary>Finds the spans of surface forms in a sentence's text, or makes a text that they spell.</summary>
internal static class WordLocator
{
    /// <summary>
    /// Left to right; between forms only white space may be skipped. False where the text does not spell the forms, so that a damaged text
    /// never shifts labels.
    /// </summary>
    public static bool TryLocate(string text, IReadOnlyList<string> forms, Span<(int Start, int End)> spans)
    {
        var at = 0;
        for (var i = 0; i < forms.Count; i++)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]) && !text.AsSpan(at).StartsWith(forms[i], StringComparison.Ordinal))
                at++;
            if (!text.AsSpan(at).StartsWith(forms[i], StringComparison.Ordinal))
                return false;
            spans[i] = (at, at + forms[i].Length);
            at += forms[i].Length;
        }
        return text.AsSpan(at).IsWhiteSpace();
    }

    /// <summary>The forms joined by one space, except after those that <paramref name="spaceAfter"/> denies it.</summary>
    public static string Join(IReadOnlyList<string> forms, Func<int, bool> spaceAfter, Span<(int Start, int End)> spans)
    {
        var text = new StringBuilder();
        for (var i = 0; i < forms.Count; i++)
        {
            spans[i] = (text.Length, text.Length + forms[i].Length);
            text.Append(forms[i]);
            if (i + 1 < forms.Count && spaceAfter(i))
                text.Append(' ');
        }
        return text.ToString();
    }

    /// <summary>
    /// The words that a surface is made of: each gets the part of the span that it spells, or all share the span where they do not spell the
    /// surface (letter case apart).
    /// </summary>
    public static void Divide(string surface, (int Start, int End) span, IReadOnlyList<string> forms, Span<Word> words)
    {
        var total = 0;
        var spelled = true;
        foreach (var form in forms)
        {
            spelled &= total + form.Length <= surface.Length && surface.AsSpan(total, form.Length).Equals(form, StringComparison.OrdinalIgnoreCase);
            total += form.Length;
        }
        spelled &= total == surface.Length;
        var at = span.Start;
        for (var w = 0; w < forms.Count; w++)
            words[w] = spelled ? new Word(forms[w], at, at += forms[w].Length) : new Word(forms[w], span.Start, span.End, SharesSurface: true);
    }

    /// <summary>Refuses identifiers that would break a listing of one line each.</summary>
    public static string? ProblemOfId(string id) =>
        id.Length == 0 ? "the identifier is empty"
        : id.Length > 1000 ? "the identifier is longer than 1000 characters"
        : id.Any(char.IsControl) ? $"the identifier {CorpusException.Quote(id)} has a control character"
        : null;
}
