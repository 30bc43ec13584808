using System.Text;
using System.Text.Json;

namespace SaeService.Corpora;

/// <summary>
/// Records in JSON (see <see cref="JsonRecord"/>): one a line (JSONL), or the array of a JSON file. <c>label_names</c> (task to names) stand in a
/// record, or alone in one before.
/// </summary>
internal static class JsonReader
{
    public static IEnumerable<Sentence> ReadLines(Utf8Lines lines, ReadSettings settings)
    {
        var sentences = new RecordSentences(lines.File, settings);
        for (; lines.Next() is { } line; lines.BeginSentence())
            if (!string.IsNullOrWhiteSpace(line))
                foreach (var sentence in Build(Encoding.UTF8.GetBytes(line), sentences, (problem, inner) => lines.Error(problem, null, inner)))
                    yield return sentence;
    }

    public static IEnumerable<Sentence> ReadArray(CorpusStream stream, ReadSettings settings)
    {
        var sentences = new RecordSentences(stream.File, settings);
        var records = new JsonRecords(stream);
        foreach (var record in records.Read())
            foreach (var sentence in Build(record, sentences, records.Error))
                yield return sentence;
    }

    private static List<Sentence> Build(ReadOnlyMemory<byte> json, RecordSentences sentences, Func<string, Exception?, CorpusException> error)
    {
        try
        {
            return JsonRecord.Read(json, sentences.Names).ConvertAll(sentences.Build);
        }
        catch (JsonException wrong)
        {
            throw error($"no JSON object: {wrong.Message}", wrong);
        }
        catch (FormatException wrong)
        {
            throw error(wrong.Message, wrong);
        }
    }
}
