using System.Text.Json;

namespace SaeService.Corpora;

/// <summary>A value beside a word: a string, a number as it is written, or nothing.</summary>
internal readonly record struct Cell(string? Text, bool IsNumber = false)
{
    public bool IsNull => Text is null;
}

/// <summary>A column of a record, one value a word.</summary>
/// <param name="Labels">Whether it stands under <c>labels</c>, so that it is a task whatever its name.</param>
/// <param name="Problem">Why it can be no column of labels; said only where it is needed as one.</param>
internal sealed record RecordColumn(string Name, Cell[] Cells, bool Labels = false, string? Problem = null);

/// <summary>A sentence as JSON and Parquet have it: lists under names.</summary>
internal sealed class SentenceRecord
{
    public string? Id { get; set; }
    public string? Document { get; set; }
    public string? Text { get; set; }
    public required Cell[] Forms { get; init; }

    /// <summary>Where the words stand in the text, if the record says so of all of them.</summary>
    public (int Start, int End)[]? Spans { get; set; }
    public List<RecordColumn> Columns { get; } = [];
}

/// <summary>
/// Reads a JSON object: full, <c>{"id","doc","text","words":[{"form","start","end"}],"labels":{"task":[...]}}</c>, or short,
/// <c>{"tokens":[...],"pos_tags":[...]}</c>. Its faults are <see cref="FormatException"/>s; who reads the file says where.
/// </summary>
internal static class JsonRecord
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = JsonRecords.MaxDepth, AllowDuplicateProperties = false };

    /// <summary>The sentences of one object: one, several under <c>sentences</c>, or none where it only has <c>label_names</c>.</summary>
    /// <exception cref="FormatException">What is wrong, without its place.</exception>
    public static List<SentenceRecord> Read(ReadOnlyMemory<byte> json, Dictionary<string, string[]> names)
    {
        try
        {
            using var document = JsonDocument.Parse(json, Options);
            var read = new List<SentenceRecord>();
            Read(document.RootElement, names, read, nested: false);
            return read;
        }
        catch (InvalidOperationException wrong)
        {
            // Raised by GetString for an escape like \ud800 that stands alone; element kinds are checked before they are read.
            throw new FormatException("a string is not valid Unicode (a surrogate stands alone, or the bytes are not UTF-8)", wrong);
        }
    }

    private static void Read(JsonElement root, Dictionary<string, string[]> names, List<SentenceRecord> read, bool nested)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw new FormatException($"a JSON {root.ValueKind} where an object is needed");
        foreach (var spelling in (string[])["label_names", "labelNames"])
            if (root.TryGetProperty(spelling, out var maps))
                ReadNames(maps, names);
        if (root.TryGetProperty("words", out var written) || root.TryGetProperty("tokens", out written))
            read.Add(ReadSentence(root, written));
        else if (!nested && root.TryGetProperty("sentences", out var sentences) && sentences.ValueKind == JsonValueKind.Array)
        {
            foreach (var sentence in sentences.EnumerateArray())
                Read(sentence, names, read, nested: true);
            var document = Document(root);
            foreach (var sentence in read)
                sentence.Document ??= document;
        }
        else if (!root.EnumerateObject().All(p => p.Name is "label_names" or "labelNames"))
            throw new FormatException("neither 'words' nor 'tokens'");
    }

    private static SentenceRecord ReadSentence(JsonElement root, JsonElement written)
    {
        if (written.ValueKind != JsonValueKind.Array)
            throw new FormatException("'words' is no array");
        var record = new SentenceRecord
        {
            Id = IdOf(root, "id") ?? IdOf(root, "sent_id"),
            Document = Document(root),
            Text = TextOf(root, "text"),
            Forms = new Cell[written.GetArrayLength()],
        };
        ReadWords(written, record);
        foreach (var property in root.EnumerateObject())
            if (property.Name == "labels" && property.Value.ValueKind == JsonValueKind.Object)
                foreach (var task in property.Value.EnumerateObject())
                    record.Columns.Add(Column(task, labels: true));
            else if (property.Name == "labels" && property.Value.ValueKind is not (JsonValueKind.Array or JsonValueKind.Null))
                throw new FormatException("'labels' is no object of task to labels");
            else if (property.Value.ValueKind == JsonValueKind.Array && property.Name is not ("words" or "tokens"))
                record.Columns.Add(Column(property, labels: false));
        return record;
    }

    private static void ReadWords(JsonElement written, SentenceRecord record)
    {
        var spans = new (int Start, int End)[record.Forms.Length];
        var (i, withSpans) = (0, 0);
        foreach (var word in written.EnumerateArray())
        {
            var form = word.ValueKind == JsonValueKind.Object ? (word.TryGetProperty("form", out var f) ? f : default) : word;
            record.Forms[i] = new(form.ValueKind == JsonValueKind.String ? form.GetString() : null);
            if (word.ValueKind == JsonValueKind.Object && word.TryGetProperty("start", out var start) && word.TryGetProperty("end", out var end))
            {
                if (start.ValueKind != JsonValueKind.Number || !start.TryGetInt32(out var s)
                    || end.ValueKind != JsonValueKind.Number || !end.TryGetInt32(out var e))
                    throw new FormatException($"word {i + 1}: start and end are no whole numbers");
                spans[i] = (s, e);
                withSpans++;
            }
            i++;
        }
        if (withSpans == 0)
            return;
        if (withSpans < spans.Length || record.Text is null)
            throw new FormatException(record.Text is null ? "words have offsets, but there is no 'text'" : "some words have offsets, others not");
        record.Spans = spans;
    }

    private static RecordColumn Column(JsonProperty property, bool labels)
    {
        if (property.Value.ValueKind != JsonValueKind.Array)
            return new(property.Name, [], labels, $"the labels of {CorpusException.Quote(property.Name)} are no array");
        var cells = new Cell[property.Value.GetArrayLength()];
        var i = 0;
        foreach (var value in property.Value.EnumerateArray())
            switch (value.ValueKind)
            {
                case JsonValueKind.String:
                    cells[i++] = new(value.GetString());
                    break;
                case JsonValueKind.Number:
                    cells[i++] = new(value.GetRawText(), IsNumber: true);
                    break;
                case JsonValueKind.Null:
                    i++;
                    break;
                default:
                    return new(property.Name, [], labels,
                        $"a label of {CorpusException.Quote(property.Name)} is {value.ValueKind}; it must be a string, null or a number with a name");
            }
        return new(property.Name, cells, labels);
    }

    private static void ReadNames(JsonElement maps, Dictionary<string, string[]> names)
    {
        if (maps.ValueKind != JsonValueKind.Object)
            throw new FormatException("'label_names' is no object of task to names");
        foreach (var map in maps.EnumerateObject())
        {
            if (map.Value.ValueKind != JsonValueKind.Array || map.Value.EnumerateArray().Any(n => n.ValueKind != JsonValueKind.String))
                throw new FormatException($"'label_names' of {CorpusException.Quote(map.Name)} is no array of strings");
            names[RecordSentences.TaskOf(map.Name) ?? map.Name] = [.. map.Value.EnumerateArray().Select(n => n.GetString()!)];
        }
    }

    private static string? Document(JsonElement root) => IdOf(root, "doc") ?? IdOf(root, "document_id") ?? IdOf(root, "doc_id");

    private static string? TextOf(JsonElement root, string property)
    {
        if (!root.TryGetProperty(property, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw new FormatException($"'{property}' is no string");
    }

    private static string? IdOf(JsonElement root, string property) =>
        root.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetRawText() : TextOf(root, property);
}
