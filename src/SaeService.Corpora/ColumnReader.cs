using System.Globalization;

namespace SaeService.Corpora;

/// <summary>
/// Column files like CoNLL-2003's: a word a line, blank line after a sentence, <c>-DOCSTART-</c> before a document. Two columns are form and
/// entity tag (or form and part of speech, where the tags are no chunk tags), three form, part of speech and entity tag, four form, part of
/// speech, chunk and entity tag; of more, only the last is known, where it has entity tags. A first column that numbers the words is passed
/// over, and the tag stands behind the form (Universal NER, GermEval). Any other column is a task by its place, <c>column:3</c>. Files that
/// begin with <c>#begin document</c> are CoNLL-2012's, with entities in brackets. There is no raw text: words are joined by spaces.
/// </summary>
internal sealed class ColumnReader(Utf8Lines lines, ReadSettings settings)
{
    public static readonly IReadOnlyList<string> DefaultTasks = ["pos", "ner"];
    private const int MaxWords = 20_000, MaxColumns = 256;
    private const string BeginDocument = "#begin document";
    private static readonly string[] CommentKeys = ["sent_id", "text", "newdoc", "newpar", "global"];

    /// <summary>document, part, number, word, part of speech, parse, lemma, frameset, sense, speaker, entity, predicates..., coreference.</summary>
    private static readonly Layout Ontonotes = new(3, 4, -1, 10, Brackets: true);

    private readonly LabelColumns labels = new(settings, DefaultTasks);
    private readonly (string Task, int Column)[] positions = Positions(settings);
    private readonly string name = lines.File;
    private string? document, sentenceId;
    private int documents, sentences, width;
    private bool tabs;
    private Layout? layout;

    /// <summary>Which column holds what; -1: none.</summary>
    private sealed record Layout(int Form, int Pos, int Chunk, int Entity, bool Brackets = false)
    {
        public bool Names(int column) => column == Form || column == Pos || column == Chunk || column == Entity;
    }

    /// <summary>The tasks <c>column:N</c> that are asked for, with the index of their column, from 0.</summary>
    public static (string Task, int Column)[] Positions(ReadSettings settings) =>
        [.. (settings.Tasks ?? []).Where(t => t.StartsWith("column:", StringComparison.Ordinal)).Select(t =>
            int.TryParse(t.AsSpan(7), NumberStyles.None, CultureInfo.InvariantCulture, out var place) && place is > 0 and <= MaxColumns
                ? (t, place - 1)
                : throw new CorpusException($"{CorpusException.Quote(t)} names no column; columns are counted from 1"))];

    public IEnumerable<Sentence> Read()
    {
        var rows = new List<(string[] Fields, long Line)>();
        while (lines.Next() is { } line)
        {
            var ends = string.IsNullOrWhiteSpace(line) || (layout == Ontonotes && line.StartsWith("#end document", StringComparison.Ordinal));
            var starts = !ends && line.StartsWith("-DOCSTART-", StringComparison.Ordinal);
            if ((ends || starts) && rows.Count > 0)
            {
                yield return Finish(rows);
                rows.Clear();
            }
            if (starts)
                document = $"{name}#{++documents}";
            else if (!ends && !(rows.Count == 0 && ReadComment(line)))
                rows.Add((Fields(line, rows.Count), lines.Number));
        }
        if (rows.Count > 0)
            yield return Finish(rows);
    }

    /// <summary>Universal NER has the comments of CoNLL-U; a word "#" has not these keys behind it.</summary>
    private bool ReadComment(string line)
    {
        if (line.StartsWith(BeginDocument, StringComparison.Ordinal))
        {
            layout ??= Ontonotes;
            document = CheckId(line[BeginDocument.Length..].Trim());
            return true;
        }
        if (!line.StartsWith("# ", StringComparison.Ordinal) || line.Contains('\t'))
            return false;
        var comment = line.AsSpan(2).TrimStart();
        var end = comment.IndexOfAny(' ', '=', '.');
        var key = (end < 0 ? comment : comment[..end]).ToString();
        if (!CommentKeys.Contains(key))
            return false;
        var value = line[(line.IndexOf('=') + 1)..].Trim();
        if (key == "newdoc")
            document = line.Contains('=') ? CheckId(value) : $"{name}#{++documents}";
        else if (key == "sent_id")
            sentenceId = CheckId(value);
        return true;
    }

    private string CheckId(string id) => WordLocator.ProblemOfId(id) is { } problem ? throw lines.Error(problem) : id;

    private string[] Fields(string line, int words)
    {
        if (words == MaxWords)
            throw lines.Error($"a sentence of over {MaxWords} words; sentences end with a blank line");
        if (width == 0)
            tabs = layout != Ontonotes && line.Contains('\t');
        var fields = tabs ? line.Split('\t', MaxColumns + 1) : line.Split(' ', MaxColumns + 1, StringSplitOptions.RemoveEmptyEntries);
        // CoNLL-2012 has a column for each predicate of the sentence.
        if (width == 0 || (words == 0 && layout == Ontonotes))
        {
            width = fields.Length;
            if (width < 2 || width > MaxColumns || (layout == Ontonotes && width < 12))
                throw lines.Error($"{width} columns; a word's line has "
                    + (layout == Ontonotes ? "12 or more (CoNLL-2012)" : "2 (word, tag), 3 (word, pos, ner), 4 (word, pos, chunk, ner) or more"));
            if (positions.FirstOrDefault(p => p.Column >= width) is { Task: { } task })
                throw lines.Error($"'{task}' is asked for, and the line has {width} columns");
        }
        if (fields.Length != width)
            throw lines.Error($"{fields.Length} columns where the first word has {width}");
        return fields;
    }

    private static Layout Detect(List<(string[] Fields, long Line)> rows, int width)
    {
        bool Chunks(int column) => rows.TrueForAll(r => LooksLikeChunk(r.Fields[column]));

        var from = rows[0].Fields[0] == "0" ? 0 : 1;
        if (width >= 3 && (rows.Count > 1 || width == 5) && rows.Select((r, i) => r.Fields[0] == (i + from).ToString()).All(numbers => numbers))
            return Chunks(2) ? new(1, -1, -1, 2) : new(1, 2, -1, -1);
        return width switch
        {
            2 => Chunks(1) ? new(0, -1, -1, 1) : new(0, 1, -1, -1),
            3 => new(0, 1, -1, 2),
            4 => new(0, 1, 2, 3),
            _ => new(0, -1, -1, Chunks(width - 1) ? width - 1 : -1),
        };
    }

    internal static bool LooksLikeChunk(string tag) => tag == "O" || (tag.Length > 2 && tag[1] == '-' && "BIESLU".Contains(tag[0]));

    private Sentence Finish(List<(string[] Fields, long Line)> rows)
    {
        var columns = layout ??= Detect(rows, width);
        foreach (var (fields, line) in rows)
            if (string.IsNullOrWhiteSpace(fields[columns.Form]))
                throw new CorpusException(name, line, columns.Form + 1, "the word is empty");
        var forms = rows.ConvertAll(r => r.Fields[columns.Form].Trim());
        var spans = new (int Start, int End)[forms.Count];
        var text = WordLocator.Join(forms, _ => true, spans);
        var words = new Word[forms.Count];
        for (var i = 0; i < words.Length; i++)
            words[i] = new Word(forms[i], spans[i].Start, spans[i].End);
        if (columns.Pos >= 0)
            labels.Add("pos", Column(rows, columns.Pos), standard: true);
        AddChunks("chunk", rows, columns.Chunk, standard: false);
        AddChunks("ner", rows, columns.Entity, standard: true);
        foreach (var (task, column) in positions)
            labels.Add(task, Column(rows, column), standard: false);
        if (settings.Further)
            for (var c = 0; c < width; c++)
                if (!columns.Names(c) && !positions.Any(p => p.Column == c))
                    labels.Add($"column:{c + 1}", Column(rows, c), standard: false);
        var (own, further) = labels.Take(words);
        var sentence = new Sentence
        {
            Id = sentenceId ?? $"{name}:{++sentences}",
            Document = document ?? name,
            Text = text,
            TextReconstructed = true,
            Words = words,
            Labels = own,
            Further = further,
        };
        sentenceId = null;
        lines.BeginSentence();
        return sentence;
    }

    private void AddChunks(string task, List<(string[] Fields, long Line)> rows, int column, bool standard)
    {
        if (column < 0)
            return;
        var tags = Column(rows, column);
        var wrong = layout!.Brackets ? EntityTags.FromBrackets(tags) : -1;
        if (wrong < 0)
            wrong = labels.AddChunks(task, tags, standard);
        if (wrong >= 0)
            throw new CorpusException(name, rows[wrong].Line, column + 1,
                $"{CorpusException.Quote(rows[wrong].Fields[column])} is no tag like {(layout.Brackets ? "(PERSON*, * or *)" : "B-PER, I-PER or O")}");
    }

    private string?[] Column(List<(string[] Fields, long Line)> rows, int column)
    {
        var values = new string?[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = rows[i].Fields[column] is "_" or "" ? null : labels.Intern(rows[i].Fields[column]);
        return values;
    }
}
