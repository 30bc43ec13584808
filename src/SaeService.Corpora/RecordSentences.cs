using System.Globalization;

namespace SaeService.Corpora;

/// <summary>
/// From records to sentences. Tasks are what stands under <c>labels</c>, any <c>X_tags</c>, and <c>pos</c>, <c>upos</c>, <c>xpos</c>,
/// <c>dep</c>, <c>deprel</c>, <c>ner</c>, <c>named_entities</c>, <c>chunk</c>; any other column by its own name, <c>feats</c> and <c>misc</c> by
/// their keys. A label is a string, null (not labelled) or a number with a name. Offsets count UTF-16 units or code points, whichever fit.
/// </summary>
internal sealed class RecordSentences(string file, ReadSettings settings)
{
    private const int MaxWords = 20_000, MaxLabel = 200;

    private static readonly Dictionary<string, string> TaskNames = new(StringComparer.Ordinal)
    {
        ["upos"] = "pos",
        ["deprel"] = "dep",
        ["pos"] = "pos",
        ["xpos"] = "xpos",
        ["dep"] = "dep",
        ["ner"] = "ner",
        ["named_entities"] = "ner",
        ["chunk"] = "chunk",
    };

    private readonly LabelColumns labels = new(settings, []);
    private int sentences;

    /// <summary>By task, what its numbers mean.</summary>
    public Dictionary<string, string[]> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>The task of a column that is one without being asked for, else null.</summary>
    public static string? TaskOf(string column) =>
        TaskNames.GetValueOrDefault(column)
        ?? (column.Length > 5 && column.EndsWith("_tags", StringComparison.Ordinal) ? TaskNames.GetValueOrDefault(column[..^5], column[..^5]) : null);

    /// <summary>Whether anything is made of a column of this name: others need not be read.</summary>
    public bool Reads(string column) =>
        column is "head" or "upos" or "lemmas" || TaskOf(column) is not null || settings.Further
        || (settings.Tasks?.Any(t => t == column || (column is "feats" or "misc" && t.StartsWith(column + ":", StringComparison.Ordinal))) ?? false);

    /// <exception cref="FormatException">What is wrong, without its place.</exception>
    public Sentence Build(SentenceRecord record)
    {
        var count = record.Forms.Length;
        if (count is 0 or > MaxWords)
            throw new FormatException(count == 0 ? "a sentence without words" : $"a sentence of over {MaxWords} words");
        var forms = new string[count];
        for (var i = 0; i < count; i++)
        {
            forms[i] = record.Forms[i].Text ?? throw new FormatException($"word {i + 1} has no form");
            if (forms[i].Length == 0 || forms[i].Contains('\0'))
                throw new FormatException($"word {i + 1} is empty or has a NUL character");
        }
        if (record.Text?.Contains('\0') == true)
            throw new FormatException("'text' has a NUL character");
        var rows = HubRows.Find(record, Names.GetValueOrDefault("pos"));
        var (words, text, reconstructed) = rows is null ? Place(record, forms) : rows.Place(record.Text, forms);
        foreach (var column in record.Columns)
            Add(column, count, rows);
        sentences++;
        var (own, further) = labels.Take(words);
        return new Sentence
        {
            Id = CheckId(record.Id) ?? $"{file}:{sentences}",
            Document = CheckId(record.Document) ?? file,
            Text = text,
            TextReconstructed = reconstructed,
            Words = words,
            Labels = own,
            Further = further,
        };
    }

    private static string? CheckId(string? id) => id is not null && WordLocator.ProblemOfId(id) is { } problem ? throw new FormatException(problem) : id;

    private void Add(RecordColumn column, int count, HubRows? rows)
    {
        var known = TaskOf(column.Name);
        var (task, standard) = (known ?? column.Name, column.Labels || known is not null);
        if (column.Name == "head")
        {
            CheckHeads(column, count);
            return;
        }
        if (!standard && column.Name is "feats" or "misc" && column.Problem is null && column.Cells.Length == count)
            labels.AddKeys(column.Name + ":", [.. Kept(column.Cells, rows).Select(Pairs)]);
        var required = labels.RequiresAny(task, standard);
        if (!required && !settings.Further)
            return;
        try
        {
            Add(column, task, standard, count, rows);
        }
        catch (FormatException) when (!required)
        {
            // Nobody asked for it: a column that can be no labels is merely not listed.
        }
    }

    private void Add(RecordColumn column, string task, bool standard, int count, HubRows? rows)
    {
        if (column.Problem is { } problem)
            throw new FormatException(problem);
        if (column.Cells.Length != count)
            throw new FormatException($"{column.Cells.Length} labels of {CorpusException.Quote(column.Name)} for {count} words");
        if (task.Length > 100 || task.Any(char.IsControl))
            throw new FormatException($"{CorpusException.Quote(task)} is no task name");
        var values = Array.ConvertAll(Kept(column.Cells, rows), cell => Label(task, column.Name, cell));
        if (task == "dep")
            labels.AddRelations(values, standard);
        else if (task is "ner" or "chunk")
        {
            var wrong = labels.AddChunks(task, values, standard);
            if (wrong >= 0)
                throw new FormatException($"label {wrong + 1} of {CorpusException.Quote(column.Name)}, {CorpusException.Quote(values[wrong])}, "
                    + "is no tag like B-PER, I-PER or O");
        }
        else
            labels.Add(task, values, standard);
    }

    private static Cell[] Kept(Cell[] cells, HubRows? rows) => rows is null ? cells : Array.ConvertAll(rows.Words, r => cells[r]);

    private static void CheckHeads(RecordColumn column, int count)
    {
        if (column.Labels && (column.Problem is not null || column.Cells.Length != count
            || column.Cells.Any(c => !c.IsNull && (!c.IsNumber || !int.TryParse(c.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var head) || head > count))))
            throw new FormatException($"'head' is no array of {count} numbers from 0 to {count}");
    }

    private string? Label(string task, string written, Cell cell)
    {
        if (cell.Text is not { } value)
            return null;
        if (cell.IsNumber)
        {
            if (Names.GetValueOrDefault(task) is { } known)
            {
                var named = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < known.Length
                    ? known[index]
                    : throw new FormatException($"label {value} of {CorpusException.Quote(written)} is outside its {known.Length} names");
                return named is "" or "_" ? null : named;
            }
            return settings.AllowNumericLabels ? labels.Intern(value)
                : throw new FormatException($"the labels of {CorpusException.Quote(written)} are numbers; give 'label_names', or allow numeric labels");
        }
        if (value.Length > MaxLabel || value.Any(char.IsControl))
            throw new FormatException($"{CorpusException.Quote(value)} is no label of {CorpusException.Quote(written)}: too long, or with control characters");
        return value is "" or "_" ? null : labels.Intern(value);
    }

    /// <summary>Features as the hub has them, <c>{'Case': 'Nom', 'Number': 'Sing'}</c>, written as CoNLL-U does.</summary>
    private static string? Pairs(Cell cell) =>
        cell.Text is ['{', .., '}'] text ? text[1..^1].Replace("', '", "|").Replace("': '", "=").Replace("'", "") : cell.Text;

    private static (Word[] Words, string Text, bool Reconstructed) Place(SentenceRecord record, string[] forms)
    {
        if (record.Spans is { } given)
            return (Place(record.Text!, forms, given), record.Text!, false);
        var spans = new (int Start, int End)[forms.Length];
        var text = record.Text;
        var reconstructed = text is null || !WordLocator.TryLocate(text, forms, spans);
        if (reconstructed)
            text = WordLocator.Join(forms, _ => true, spans);
        return ([.. forms.Select((form, w) => new Word(form, spans[w].Start, spans[w].End))], text!, reconstructed);
    }

    private static Word[] Place(string text, string[] forms, (int Start, int End)[] spans)
    {
        if (!Fits(text, forms, spans, out var wrong))
        {
            var units = CodePointStarts(text);
            var converted = spans.Select(s => (Unit(units, s.Start), Unit(units, s.End))).ToArray();
            if (!text.Any(char.IsSurrogate) || !Fits(text, forms, converted, out _))
                throw new FormatException($"word {wrong + 1} {CorpusException.Quote(forms[wrong])} is not "
                    + $"at [{spans[wrong].Start}, {spans[wrong].End}) of the text, after the word before it");
            spans = converted;
        }
        return [.. forms.Select((form, w) => new Word(form, spans[w].Start, spans[w].End, Shared(spans, w)))];
    }

    /// <summary>Spans in order and inside the text; each spells its form, unless neighbours share it (a multi-word token).</summary>
    private static bool Fits(string text, string[] forms, (int Start, int End)[] spans, out int wrong)
    {
        for (wrong = 0; wrong < forms.Length; wrong++)
        {
            var (start, end) = spans[wrong];
            if (start < 0 || end > text.Length || start >= end)
                return false;
            if (Shared(spans, wrong))
            {
                if (wrong > 0 && spans[wrong - 1] != spans[wrong] && start < spans[wrong - 1].End)
                    return false;
            }
            else if ((wrong > 0 && start < spans[wrong - 1].End) || !text.AsSpan(start, end - start).SequenceEqual(forms[wrong]))
                return false;
        }
        return true;
    }

    private static bool Shared((int, int)[] spans, int w) => (w > 0 && spans[w - 1] == spans[w]) || (w + 1 < spans.Length && spans[w + 1] == spans[w]);

    private static List<int> CodePointStarts(string text)
    {
        var starts = new List<int>(text.Length + 1);
        for (var u = 0; u < text.Length; u += char.IsSurrogatePair(text, u) ? 2 : 1)
            starts.Add(u);
        starts.Add(text.Length);
        return starts;
    }

    private static int Unit(List<int> starts, int codePoint) => codePoint >= 0 && codePoint < starts.Count ? starts[codePoint] : -1;
}
