using System.Text;

namespace SaeService.Sources;

/// <param name="Same">Sentences with the same words in both.</param>
/// <param name="Projected">Sentences with the same characters in other words: entities were carried over by character.</param>
/// <param name="Without">Ids of sentences that have no entities afterwards: absent in the annotation, or of another text.</param>
public sealed record EntityJoinReport(int Sentences, int Same, IReadOnlyList<string> Projected, IReadOnlyList<string> Without);

/// <summary>
/// Joins Universal NER (https://www.universalner.org, IOB2: id, form, tag, …) to its treebank by <c>sent_id</c>: every word gets
/// <c>NER=</c> as the last item of MISC, and nothing else changes.
/// </summary>
public static class EntityJoin
{
    private const int MaxSentenceWords = 20_000;

    /// <exception cref="SourceException">Damaged, with the line.</exception>
    public static EntityJoinReport Join(TextReader treebank, TextReader entities, TextWriter joined)
    {
        var tags = ReadEntities(entities);
        var (sentences, same) = (0, 0);
        var (projected, without) = (new List<string>(), new List<string>());
        var sentence = new List<string>();
        void Finish()
        {
            if (sentence.Count == 0)
                return;
            var id = sentence.Select(IdOf).FirstOrDefault(x => x is not null);
            var words = Enumerable.Range(0, sentence.Count).Where(i => IsWord(sentence[i])).ToArray();
            string[]? found = null;
            if (words.Length > 0)
            {
                sentences++;
                var forms = Array.ConvertAll(words, i => sentence[i].Split('\t', 3)[1]);
                if (id is not null && tags.TryGetValue(id, out var annotated))
                {
                    found = forms.SequenceEqual(annotated.Forms) ? annotated.Tags : Project(annotated.Forms, annotated.Tags, forms);
                    if (forms.SequenceEqual(annotated.Forms))
                        same++;
                    else if (found is not null)
                        projected.Add(id);
                }
                if (found is null)
                    without.Add(id ?? $"sentence {sentences}");
            }
            var word = 0;
            for (var i = 0; i < sentence.Count; i++)
                joined.Write((found is not null && IsWord(sentence[i]) ? WithTag(sentence[i], found[word++]) : sentence[i]) + "\n");
            sentence.Clear();
        }
        var line = 0;
        while (treebank.ReadLine() is { } text)
        {
            line++;
            if (text.Length == 0)
            {
                Finish();
                joined.Write('\n');
                continue;
            }
            if (IsWord(text) && text.AsSpan().Count('\t') != 9)
                throw new SourceException(SourceFault.Damaged, $"line {line} of the treebank is not CoNLL-U");
            if (sentence.Count > MaxSentenceWords * 2)
                throw new SourceException(SourceFault.Damaged, $"line {line} of the treebank: a sentence without end");
            sentence.Add(text);
        }
        Finish();
        return new EntityJoinReport(sentences, same, projected, without);
    }

    private static Dictionary<string, (string[] Forms, string[] Tags)> ReadEntities(TextReader entities)
    {
        var found = new Dictionary<string, (string[], string[])>(StringComparer.Ordinal);
        var (forms, tags) = (new List<string>(), new List<string>());
        string? id = null;
        void Finish(int line)
        {
            if (id is not null && forms.Count > 0 && !found.TryAdd(id, ([.. forms], [.. tags])))
                throw new SourceException(SourceFault.Damaged, $"line {line} of the entities: sentence '{id}' a second time");
            id = null;
            forms.Clear();
            tags.Clear();
        }
        var number = 0;
        while (entities.ReadLine() is { } line)
        {
            number++;
            if (line.Length == 0)
                Finish(number);
            else if (line[0] == '#')
                id = IdOf(line) ?? id;
            else
            {
                var fields = line.Split('\t');
                if (fields.Length < 3 || forms.Count == MaxSentenceWords)
                    throw new SourceException(SourceFault.Damaged, $"line {number} of the entities has no id, form and tag, parted by tabs");
                if (!fields[0].All(char.IsAsciiDigit))
                    continue; // a multi-word token; its words follow
                forms.Add(fields[1]);
                tags.Add(Tag(fields[2]));
            }
        }
        Finish(number);
        return found;
    }

    /// <summary>The released scheme: PER, ORG, LOC. The annotators' OTH, and B-O where they marked a beginning, are outside (UNER's own preparation does so).</summary>
    private static string Tag(string tag) => tag == "B-O" || tag.Contains("OTH", StringComparison.Ordinal) ? "O" : tag;

    /// <summary>Tags for other words of the same characters; null where the characters differ.</summary>
    private static string[]? Project(string[] from, string[] tags, string[] to)
    {
        var source = new StringBuilder();
        var tagAt = new List<(string Tag, bool First)>();
        for (var i = 0; i < from.Length; i++)
        {
            var first = true;
            foreach (var c in from[i].Where(c => !char.IsWhiteSpace(c)))
            {
                source.Append(c);
                tagAt.Add((tags[i], first));
                first = false;
            }
        }
        var target = to.Select(form => string.Concat(form.Where(c => !char.IsWhiteSpace(c)))).ToArray();
        if (string.Concat(target) != source.ToString())
            return null;
        var result = new string[to.Length];
        var at = 0;
        for (var i = 0; i < to.Length; i++)
        {
            // The first entity that the word has a part of; it begins here where its first character is here.
            var inside = Enumerable.Range(at, target[i].Length).Where(c => tagAt[c].Tag != "O").ToList();
            at += target[i].Length;
            if (inside.Count == 0)
            {
                result[i] = "O";
                continue;
            }
            var (tag, first) = tagAt[inside[0]];
            result[i] = tag[0] == 'B' && first ? tag : "I" + tag[1..];
        }
        return result;
    }

    private static string? IdOf(string line)
    {
        if (!line.StartsWith('#'))
            return null;
        var comment = line.AsSpan(1).TrimStart();
        if (!comment.StartsWith("sent_id"))
            return null;
        comment = comment["sent_id".Length..].TrimStart();
        return comment.StartsWith("=") ? comment[1..].Trim().ToString() : null;
    }

    // A word of the basic tree: 7, and neither 7-8 nor 7.1.
    private static bool IsWord(string line) => line.IndexOf('\t') is var tab and > 0 && line.AsSpan(0, tab).IndexOfAnyExceptInRange('0', '9') < 0;

    private static string WithTag(string line, string tag)
    {
        var last = line.LastIndexOf('\t') + 1;
        var misc = line[last..];
        return line[..last] + (misc is "_" or "" ? "NER=" + tag : misc + "|NER=" + tag);
    }
}
