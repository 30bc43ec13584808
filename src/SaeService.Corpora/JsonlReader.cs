using System.Text.Json;

namespace SaeService.Corpora;

/// <summary>
/// One JSON object a line and sentence. Full: <c>{"id","doc","text","words":[{"form","start","end"}],"labels":{"task":[...]}}</c>; short:
/// <c>{"tokens":[...],"pos_tags":[...]}</c>, where the text may be left out and tasks are <c>labels</c>, any <c>X_tags</c>, and <c>pos</c>,
/// <c>upos</c>, <c>xpos</c>, <c>dep</c>, <c>deprel</c>, <c>ner</c>, <c>chunk</c>. A label is a string, null (not labelled) or a number with
/// <c>label_names</c> (task to names; on the line, or alone on a line before). Offsets count UTF-16 units or code points, whichever fit the forms.
/// </summary>
internal sealed class JsonlReader(Utf8Lines lines, ReadSettings settings)
{
    private const int MaxWords = 20_000;
    private static readonly JsonDocumentOptions Json = new() { MaxDepth = 16, AllowDuplicateProperties = false };

    private static readonly Dictionary<string, string> TaskNames = new(StringComparer.Ordinal)
    {
        ["upos"] = "pos",
        ["deprel"] = "dep",
        ["pos"] = "pos",
        ["xpos"] = "xpos",
        ["dep"] = "dep",
        ["ner"] = "ner",
        ["chunk"] = "chunk",
    };

    private readonly LabelColumns labels = new(settings.Tasks, []);
    private readonly Dictionary<string, string[]> names = new(StringComparer.Ordinal);
    private int sentences;

    public IEnumerable<Sentence> Read()
    {
        for (; lines.Next() is { } line; lines.BeginSentence())
            if (!string.IsNullOrWhiteSpace(line) && ReadLine(line) is { } sentence)
                yield return sentence;
    }

    private Sentence? ReadLine(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line, Json);
            return ReadSentence(json.RootElement);
        }
        catch (JsonException wrong)
        {
            throw lines.Error($"no JSON object: {wrong.Message}", null, wrong);
        }
        catch (InvalidOperationException wrong)
        {
            // Raised by GetString for an escape like \ud800 that stands alone; element kinds are checked before they are read.
            throw lines.Error("a string is not valid Unicode (a surrogate stands alone)", null, wrong);
        }
    }

    private Sentence? ReadSentence(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw lines.Error($"a JSON {root.ValueKind} where an object is needed");
        foreach (var spelling in (string[])["label_names", "labelNames"])
            if (root.TryGetProperty(spelling, out var maps))
                ReadNames(maps);
        if (!root.TryGetProperty("words", out var written) && !root.TryGetProperty("tokens", out written))
            return root.EnumerateObject().All(p => p.Name is "label_names" or "labelNames") ? null : throw lines.Error("neither 'words' nor 'tokens'");
        if (written.ValueKind != JsonValueKind.Array)
            throw lines.Error("'words' is no array");
        var count = written.GetArrayLength();
        if (count is 0 or > MaxWords)
            throw lines.Error(count == 0 ? "a sentence without words" : $"a sentence of over {MaxWords} words");

        var text = Text(root, "text");
        var (words, whole, reconstructed) = ReadWords(written, count, text);
        foreach (var property in root.EnumerateObject())
            if (property.Name == "labels")
                ReadLabels(property.Value, count);
            else if (TaskOf(property.Name) is { } task && property.Value.ValueKind == JsonValueKind.Array)
                ReadTask(task, property.Name, property.Value, count);
        sentences++;
        return new Sentence
        {
            Id = Id(root, "id") ?? $"{lines.File}:{sentences}",
            Document = Id(root, "doc") ?? Id(root, "document_id") ?? lines.File,
            Text = whole,
            TextReconstructed = reconstructed,
            Words = words,
            Labels = labels.Take(count),
        };
    }

    private static string? TaskOf(string property) =>
        TaskNames.GetValueOrDefault(property)
        ?? (property.Length > 5 && property.EndsWith("_tags", StringComparison.Ordinal) ? TaskNames.GetValueOrDefault(property[..^5], property[..^5]) : null);

    private (Word[] Words, string Text, bool Reconstructed) ReadWords(JsonElement written, int count, string? text)
    {
        var forms = new string[count];
        var spans = new (int Start, int End)[count];
        var withSpans = 0;
        var i = 0;
        foreach (var word in written.EnumerateArray())
        {
            var form = word.ValueKind == JsonValueKind.Object ? (word.TryGetProperty("form", out var f) ? f : default) : word;
            if (form.ValueKind != JsonValueKind.String)
                throw lines.Error($"word {i + 1} has no form");
            forms[i] = form.GetString()!;
            if (forms[i].Length == 0 || forms[i].Contains('\0'))
                throw lines.Error($"word {i + 1} is empty or has a NUL character");
            if (word.ValueKind == JsonValueKind.Object && word.TryGetProperty("start", out var start) && word.TryGetProperty("end", out var end))
            {
                if (start.ValueKind != JsonValueKind.Number || !start.TryGetInt32(out var s)
                    || end.ValueKind != JsonValueKind.Number || !end.TryGetInt32(out var e))
                    throw lines.Error($"word {i + 1}: start and end are no whole numbers");
                spans[i] = (s, e);
                withSpans++;
            }
            i++;
        }
        if (withSpans > 0)
        {
            if (withSpans < count || text is null)
                throw lines.Error(text is null ? "words have offsets, but there is no 'text'" : "some words have offsets, others not");
            return (Place(text, forms, spans), text, false);
        }
        var reconstructed = text is null || !WordLocator.TryLocate(text, forms, spans);
        if (reconstructed)
            text = WordLocator.Join(forms, _ => true, spans);
        return ([.. forms.Select((form, w) => new Word(form, spans[w].Start, spans[w].End))], text!, reconstructed);
    }

    private Word[] Place(string text, string[] forms, (int Start, int End)[] spans)
    {
        if (!Fits(text, forms, spans, out var wrong))
        {
            var units = CodePointStarts(text);
            var converted = spans.Select(s => (Unit(units, s.Start), Unit(units, s.End))).ToArray();
            if (!text.Any(char.IsSurrogate) || !Fits(text, forms, converted, out _))
                throw lines.Error($"word {wrong + 1} {CorpusException.Quote(forms[wrong])} is not "
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

    private void ReadNames(JsonElement maps)
    {
        if (maps.ValueKind != JsonValueKind.Object)
            throw lines.Error("'label_names' is no object of task to names");
        foreach (var map in maps.EnumerateObject())
        {
            if (map.Value.ValueKind != JsonValueKind.Array || map.Value.EnumerateArray().Any(n => n.ValueKind != JsonValueKind.String))
                throw lines.Error($"'label_names' of {CorpusException.Quote(map.Name)} is no array of strings");
            names[TaskOf(map.Name) ?? map.Name] = [.. map.Value.EnumerateArray().Select(n => n.GetString()!)];
        }
    }

    private void ReadLabels(JsonElement tasks, int count)
    {
        if (tasks.ValueKind != JsonValueKind.Object)
            throw lines.Error("'labels' is no object of task to labels");
        foreach (var task in tasks.EnumerateObject())
            if (task.Name != "head")
                ReadTask(TaskOf(task.Name) ?? task.Name, task.Name, task.Value, count);
            else if (task.Value.ValueKind != JsonValueKind.Array || task.Value.GetArrayLength() != count
                || task.Value.EnumerateArray().Any(h =>
                    h.ValueKind != JsonValueKind.Null && (h.ValueKind != JsonValueKind.Number || !h.TryGetInt32(out var head) || head < 0 || head > count)))
                throw lines.Error($"'head' is no array of {count} numbers from 0 to {count}");
    }

    private void ReadTask(string task, string written, JsonElement values, int count)
    {
        if (values.ValueKind != JsonValueKind.Array)
            throw lines.Error($"the labels of {CorpusException.Quote(written)} are no array");
        if (values.GetArrayLength() != count)
            throw lines.Error($"{values.GetArrayLength()} labels of {CorpusException.Quote(written)} for {count} words");
        if (task.Length > 100 || task.Any(char.IsControl))
            throw lines.Error($"{CorpusException.Quote(task)} is no task name");
        var column = new string?[count];
        var i = 0;
        foreach (var value in values.EnumerateArray())
            column[i++] = Label(task, written, value);
        var always = settings.Tasks is null;
        if (task == "dep")
            labels.AddRelations(column, always);
        else if (task is "ner" or "chunk")
        {
            var wrong = labels.AddChunks(task, column, always);
            if (wrong >= 0)
                throw lines.Error($"label {wrong + 1} of {CorpusException.Quote(written)}, {CorpusException.Quote(column[wrong])}, "
                    + "is no tag like B-PER, I-PER or O");
        }
        else
            labels.Add(task, column, always);
    }

    private string? Label(string task, string written, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return null;
            case JsonValueKind.String:
                var label = value.GetString()!;
                if (label.Length > 200 || label.Any(char.IsControl))
                    throw lines.Error($"{CorpusException.Quote(label)} is no label of {CorpusException.Quote(written)}: too long, or with control characters");
                return label is "" or "_" ? null : labels.Intern(label);
            case JsonValueKind.Number when names.TryGetValue(task, out var known):
                return value.TryGetInt32(out var index) && index >= 0 && index < known.Length
                    ? known[index]
                    : throw lines.Error($"label {value.GetRawText()} of {CorpusException.Quote(written)} is outside its {known.Length} names");
            case JsonValueKind.Number when settings.AllowNumericLabels:
                return labels.Intern(value.GetRawText());
            case JsonValueKind.Number:
                throw lines.Error($"the labels of {CorpusException.Quote(written)} are numbers; give 'label_names', or allow numeric labels");
            default:
                throw lines.Error($"a label of {CorpusException.Quote(written)} is {value.ValueKind}; it must be a string, null or a number with a name");
        }
    }

    private string? Text(JsonElement root, string property)
    {
        if (!root.TryGetProperty(property, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind != JsonValueKind.String)
            throw lines.Error($"'{property}' is no string");
        var text = value.GetString()!;
        return text.Contains('\0') ? throw lines.Error($"'{property}' has a NUL character") : text;
    }

    private string? Id(JsonElement root, string property)
    {
        var id = root.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetRawText() : Text(root, property);
        return id is not null && WordLocator.ProblemOfId(id) is { } problem ? throw lines.Error(problem) : id;
    }
}
