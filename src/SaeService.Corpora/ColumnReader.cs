namespace SaeService.Corpora;

/// <summary>
/// Column files like CoNLL-2003's: a word a line, blank line after a sentence, <c>-DOCSTART-</c> before a document. Two columns are form and
/// entity tag (or form and part of speech, where the first tags are no chunk tags), three form, part of speech and entity tag, four form, part
/// of speech, chunk and entity tag; Universal NER's five begin with a number. There is no raw text: words are joined by spaces.
/// </summary>
internal sealed class ColumnReader(Utf8Lines lines, ReadSettings settings)
{
    public static readonly IReadOnlyList<string> DefaultTasks = ["pos", "ner"];
    private const int MaxWords = 20_000;
    private static readonly string[] CommentKeys = ["sent_id", "text", "newdoc", "newpar", "global"];

    private readonly LabelColumns labels = new(settings.Tasks, DefaultTasks);
    private readonly string name = lines.File;
    private string? document, sentenceId;
    private int documents, sentences;
    private bool tabs;
    private Layout? layout;

    /// <summary>Which column holds what; -1: none.</summary>
    private sealed record Layout(int Columns, int Form, int Pos, int Chunk, int Entity);

    public IEnumerable<Sentence> Read()
    {
        var rows = new List<(string[] Fields, long Line)>();
        while (lines.Next() is { } line)
        {
            var ends = string.IsNullOrWhiteSpace(line);
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
        if (layout is null)
            tabs = line.Contains('\t');
        var fields = tabs ? line.Split('\t') : line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        layout ??= Detect(fields);
        if (fields.Length != layout.Columns)
            throw lines.Error($"{fields.Length} columns where the first word has {layout.Columns}");
        if (string.IsNullOrWhiteSpace(fields[layout.Form]))
            throw lines.Error("the word is empty", layout.Form + 1);
        return fields;
    }

    private Layout Detect(string[] fields) => fields.Length switch
    {
        2 => LooksLikeChunk(fields[1]) ? new(2, 0, -1, -1, 1) : new(2, 0, 1, -1, -1),
        3 => new(3, 0, 1, -1, 2),
        4 => new(4, 0, 1, 2, 3),
        5 when fields[0] == "1" => new(5, 1, -1, -1, 2),
        _ => throw lines.Error($"{fields.Length} columns; a word's line has "
            + "2 (word, tag), 3 (word, pos, ner), 4 (word, pos, chunk, ner) or 5 (number, word, ner, -, -)"),
    };

    private static bool LooksLikeChunk(string tag) => tag == "O" || (tag.Length > 2 && tag[1] == '-' && "BIESLU".Contains(tag[0]));

    private Sentence Finish(List<(string[] Fields, long Line)> rows)
    {
        var columns = layout!;
        var forms = rows.ConvertAll(r => r.Fields[columns.Form].Trim());
        var spans = new (int Start, int End)[forms.Count];
        var text = WordLocator.Join(forms, _ => true, spans);
        var words = new Word[forms.Count];
        for (var i = 0; i < words.Length; i++)
            words[i] = new Word(forms[i], spans[i].Start, spans[i].End);
        if (columns.Pos >= 0)
            labels.Add("pos", Column(rows, columns.Pos));
        AddChunks("chunk", rows, columns.Chunk);
        AddChunks("ner", rows, columns.Entity);
        var sentence = new Sentence
        {
            Id = sentenceId ?? $"{name}:{++sentences}",
            Document = document ?? name,
            Text = text,
            TextReconstructed = true,
            Words = words,
            Labels = labels.Take(words.Length),
        };
        sentenceId = null;
        lines.BeginSentence();
        return sentence;
    }

    private void AddChunks(string task, List<(string[] Fields, long Line)> rows, int column)
    {
        if (column < 0)
            return;
        var wrong = labels.AddChunks(task, Column(rows, column));
        if (wrong >= 0)
            throw new CorpusException(name, rows[wrong].Line, column + 1,
                $"{CorpusException.Quote(rows[wrong].Fields[column])} is no tag like B-PER, I-PER or O");
    }

    private string?[] Column(List<(string[] Fields, long Line)> rows, int column)
    {
        var values = new string?[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = rows[i].Fields[column] is "_" or "" ? null : labels.Intern(rows[i].Fields[column]);
        return values;
    }
}
