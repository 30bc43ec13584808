namespace SaeService.Corpora;

/// <summary>
/// The rows of a Universal Dependencies sentence as the Hugging Face hub has it: multi-word surfaces ("don't") and empty nodes stand among the
/// words as tokens without a head. They are no words (method 7); a surface places the words after it that it is made of.
/// </summary>
internal sealed class HubRows
{
    private readonly bool[] surface;

    private HubRows(int[] words, bool[] surface) => (Words, this.surface) = (words, surface);

    /// <summary>Indices of the tokens that are words, rising.</summary>
    public int[] Words { get; }

    /// <summary>Null where all tokens are words, which is so for every record without such columns.</summary>
    /// <param name="names">What numbers of the column <c>upos</c> mean.</param>
    public static HubRows? Find(SentenceRecord record, string[]? names)
    {
        var count = record.Forms.Length;
        var heads = Of(record, "head", count);
        if (heads is null || Of(record, "upos", count) is not { } upos || !Array.Exists(heads, NoHead))
            return null;
        var unnamed = names is null ? -1 : Array.IndexOf(names, "_");
        var words = Enumerable.Range(0, count).Where(i => !NoHead(heads[i])).ToArray();
        var surface = Enumerable.Range(0, count).Select(i => NoHead(heads[i])
            && (upos[i].Text is null or "_" || (upos[i].IsNumber && upos[i].Text == unnamed.ToString()))).ToArray();
        return words.Length > 0 ? new(words, surface) : throw new FormatException("no token has a head");
    }

    private static Cell[]? Of(SentenceRecord record, string name, int count) =>
        record.Columns.Find(c => c.Name == name && !c.Labels && c.Problem is null && c.Cells.Length == count)?.Cells;

    private static bool NoHead(Cell head) => head.Text is null or "None" or "_" or "";

    /// <summary>Words with their spans; those of a surface that they do not spell share its span.</summary>
    public (Word[] Words, string Text, bool Reconstructed) Place(string? text, string[] tokens)
    {
        // What the text is made of: a row of surfaces, or words of no surface.
        var written = new List<(string Form, int First, int Count)>();
        var at = 0;
        var rest = text.AsSpan();
        for (var i = 0; i < tokens.Length; i++)
        {
            var following = surface[i] ? Following(i + 1, tokens.Length) : [];
            if (following.Count == 0 && (at == Words.Length || Words[at] != i))
                continue; // an empty node
            rest = rest.TrimStart();
            rest = rest.StartsWith(tokens[i], StringComparison.Ordinal) ? rest[tokens[i].Length..] : default;
            var parts = following.Count == 0 ? 1 : Parts(rest.TrimStart(), text is not null, tokens, i, following);
            written.Add((tokens[i], at, parts));
            at += parts;
            if (following.Count > 0)
                i = following[parts - 1];
        }
        var forms = written.ConvertAll(w => w.Form);
        var spans = new (int Start, int End)[forms.Count];
        var reconstructed = text is null || !WordLocator.TryLocate(text, forms, spans);
        if (reconstructed)
            text = WordLocator.Join(forms, _ => true, spans);
        var words = new Word[Words.Length];
        for (var s = 0; s < spans.Length; s++)
            WordLocator.Divide(written[s].Form, spans[s], [.. Enumerable.Range(written[s].First, written[s].Count).Select(w => tokens[Words[w]])],
                words.AsSpan(written[s].First));
        return (words, text!, reconstructed);
    }

    private List<int> Following(int from, int to)
    {
        var found = new List<int>();
        for (var i = from; i < to && found.Count < 10 && !surface[i]; i++)
            if (Array.BinarySearch(Words, i) >= 0)
                found.Add(i);
        return found;
    }

    /// <summary>
    /// How many words a surface stands for, which its row does not say: as many as spell it, else as many as leave the text to go on with the
    /// token after them; two where there is no text, which is what nearly all have.
    /// </summary>
    private static int Parts(ReadOnlySpan<char> rest, bool hasText, string[] tokens, int row, List<int> following)
    {
        for (var n = 1; n <= following.Count; n++)
            if (tokens[row].Equals(string.Concat(following[..n].Select(f => tokens[f])), StringComparison.OrdinalIgnoreCase))
                return n;
        for (var n = 2; hasText && n <= following.Count; n++)
        {
            var next = following[n - 1] + 1;
            if (next == tokens.Length ? rest.IsEmpty : rest.StartsWith(tokens[next], StringComparison.Ordinal))
                return n;
        }
        return Math.Min(2, following.Count);
    }
}
