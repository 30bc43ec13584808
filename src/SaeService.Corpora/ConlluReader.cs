using System.Globalization;

namespace SaeService.Corpora;

/// <summary>
/// CoNLL-U (https://universaldependencies.org/format.html): ten tab-separated columns, comments, blank line after a sentence. Multi-word tokens
/// give their parts spans inside the surface where the forms spell it; empty nodes are never words. Entities are read from <c>NER=</c> in MISC.
/// </summary>
internal sealed class ConlluReader(Utf8Lines lines, ReadSettings settings)
{
    public static readonly IReadOnlyList<string> DefaultTasks = ["pos", "dep", "ner"];
    private const int MaxWords = 20_000;

    private readonly LabelColumns labels = new(settings, DefaultTasks);
    private readonly (string Task, int Column)[] columns = ColumnReader.Positions(settings);
    private readonly string name = lines.File;
    private string? document, sentenceId, text;
    private int documents, sentences;

    /// <summary>A surface as written: one word, or the parts first..last (indices into the words) of a multi-word token.</summary>
    private readonly record struct Surface(string Form, int First, int Last, bool SpaceAfter);

    public IEnumerable<Sentence> Read()
    {
        var rows = new List<string[]>();
        var surfaces = new List<Surface>();
        while (lines.Next() is { } line)
        {
            if (line.StartsWith('#'))
            {
                if (surfaces.Count > 0)
                    throw lines.Error("a comment inside a sentence; comments stand before the first word");
                ReadComment(line.AsSpan(1).Trim());
            }
            else if (!string.IsNullOrWhiteSpace(line))
                ReadRow(line, rows, surfaces);
            else if (surfaces.Count > 0)
            {
                yield return Finish(rows, surfaces);
                rows.Clear();
                surfaces.Clear();
            }
        }
        if (surfaces.Count > 0)
            yield return Finish(rows, surfaces);
    }

    private void ReadComment(ReadOnlySpan<char> comment)
    {
        var equals = comment.IndexOf('=');
        var key = (equals < 0 ? comment : comment[..equals]).TrimEnd();
        var value = equals < 0 ? "" : comment[(equals + 1)..].Trim().ToString();
        if (key is "newdoc" or "newdoc id")
            document = value.Length == 0 ? $"{name}#{++documents}" : CheckId(value);
        else if (key is "sent_id")
        {
            if (sentenceId is not null)
                throw lines.Error("a second sent_id for one sentence");
            sentenceId = CheckId(value);
        }
        else if (key is "text")
        {
            if (text is not null)
                throw lines.Error("a second text for one sentence");
            text = value;
        }
    }

    private string CheckId(string id) => WordLocator.ProblemOfId(id) is { } problem ? throw lines.Error(problem) : id;

    private void ReadRow(string line, List<string[]> rows, List<Surface> surfaces)
    {
        var fields = line.Split('\t', 100); // bounded, whatever the line
        if (fields.Length != 10)
            throw lines.Error($"{fields.Length} tab-separated columns where CoNLL-U has 10");
        var id = fields[0].AsSpan();
        if (fields[1].Length == 0)
            throw lines.Error("the form is empty", 2);
        var words = rows.Count;
        if (id.Contains('.'))
        {
            var dot = id.IndexOf('.');
            if (!Number(id[..dot], out var after) || !Number(id[(dot + 1)..], out var nth) || nth == 0 || after != words)
                throw lines.Error($"empty node {CorpusException.Quote(id)} does not follow word {words}", 1);
        }
        else if (id.Contains('-'))
        {
            var dash = id.IndexOf('-');
            if (!Number(id[..dash], out var first) || !Number(id[(dash + 1)..], out var last) || last < first || first != words + 1 || last - first > 99)
                throw lines.Error($"multi-word token {CorpusException.Quote(id)} does not begin at word {words + 1}", 1);
            if (surfaces.Count > 0 && surfaces[^1].Last >= first - 1)
                throw lines.Error($"multi-word token {CorpusException.Quote(id)} overlaps the one before", 1);
            surfaces.Add(new(fields[1], first - 1, last - 1, SpaceAfter(fields[9])));
        }
        else
        {
            if (!Number(id, out var number))
                throw lines.Error($"{CorpusException.Quote(id)} is no word id (n, n-m or n.m)", 1);
            if (number != words + 1)
                throw lines.Error(number <= words && number > 0 ? $"word id {number} occurs twice" : $"word id {number} where {words + 1} is next", 1);
            if (words == MaxWords)
                throw lines.Error($"a sentence of over {MaxWords} words");
            if (surfaces.Count == 0 || surfaces[^1].Last < words)
                surfaces.Add(new(fields[1], words, words, SpaceAfter(fields[9])));
            if (fields[6] != "_" && (!Number(fields[6], out var head) || head == number))
                throw lines.Error($"head {CorpusException.Quote(fields[6])} of word {number} is neither another word nor 0", 7);
            rows.Add(fields);
        }
    }

    private Sentence Finish(List<string[]> rows, List<Surface> surfaces)
    {
        // The line read last ends the sentence, so a problem of the whole sentence is reported there, with its id.
        if (surfaces[^1].Last >= rows.Count)
            throw lines.Error($"multi-word token '{surfaces[^1].First + 1}-{surfaces[^1].Last + 1}' ends after the last word, {rows.Count} ({Describe()})", 1);
        foreach (var row in rows)
            if (row[6] != "_" && Number(row[6], out var head) && head > rows.Count)
                throw lines.Error($"head {head} of word {row[0]} is out of range: the sentence has {rows.Count} words ({Describe()})", 7);

        var forms = surfaces.ConvertAll(s => s.Form);
        var spans = new (int Start, int End)[forms.Count];
        var reconstructed = text is null || !WordLocator.TryLocate(text, forms, spans);
        if (reconstructed)
            text = WordLocator.Join(forms, i => surfaces[i].SpaceAfter, spans);

        var words = new Word[rows.Count];
        for (var s = 0; s < surfaces.Count; s++)
        {
            var (form, first, last, _) = surfaces[s];
            WordLocator.Divide(form, spans[s], [.. rows.GetRange(first, last - first + 1).Select(r => r[1])], words.AsSpan(first));
        }

        labels.Add("pos", Column(rows, 3), standard: true);
        labels.AddRelations(Column(rows, 7), standard: true);
        var wrong = labels.AddChunks("ner", Entities(rows), standard: true);
        if (wrong >= 0)
            throw lines.Error($"NER of word {wrong + 1} is no tag like B-PER, I-PER or O ({Describe()})", 10);
        if (labels.Wants("lemma", standard: false))
            labels.Add("lemma", Column(rows, 2), standard: false);
        labels.Add("xpos", Column(rows, 4), standard: false);
        labels.AddKeys("feats:", rows.ConvertAll(r => r[5]));
        labels.AddKeys("misc:", rows.ConvertAll(r => r[9]));
        foreach (var (task, column) in columns)
            labels.Add(task, column < 10 ? Column(rows, column) : throw lines.Error($"'{task}' is asked for, and CoNLL-U has 10 columns"), standard: false);

        var (own, further) = labels.Take(words);
        var sentence = new Sentence
        {
            Id = sentenceId ?? $"{name}:{++sentences}",
            Document = document ?? name,
            Text = text!,
            TextReconstructed = reconstructed,
            Words = words,
            Labels = own,
            Further = further,
        };
        (sentenceId, text) = (null, null);
        lines.BeginSentence();
        return sentence;
    }

    private string Describe() => sentenceId is null ? "sentence without sent_id, ends here" : $"sentence {CorpusException.Quote(sentenceId)}, ends here";

    private string?[] Column(List<string[]> rows, int column)
    {
        var values = new string?[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = rows[i][column] is "_" or "" ? null : labels.Intern(rows[i][column]);
        return values;
    }

    /// <summary>The value of <c>NER=</c> in MISC.</summary>
    private string?[] Entities(List<string[]> rows)
    {
        var values = new string?[rows.Count];
        for (var i = 0; i < values.Length; i++)
        {
            var field = rows[i][9].AsSpan();
            foreach (var range in field.Split('|'))
                if (field[range] is ['N', 'E', 'R', '=', _, ..] pair)
                    values[i] = labels.Intern(pair[4..]);
        }
        return values;
    }

    private static bool SpaceAfter(ReadOnlySpan<char> misc)
    {
        foreach (var range in misc.Split('|'))
            if (misc[range] is "SpaceAfter=No")
                return false;
        return true;
    }

    private static bool Number(ReadOnlySpan<char> text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
