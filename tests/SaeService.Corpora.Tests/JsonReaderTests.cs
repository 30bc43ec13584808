using System.Text;
using Xunit;

namespace SaeService.Corpora.Tests;

/// <summary>JSON files that are not one object a line; what a record may hold is tested with JSONL.</summary>
public sealed class JsonReaderTests : IDisposable
{
    private const string First = """{"tokens":["a","b"],"pos_tags":["X","Y"]}""", Second = """{"tokens":["c"],"pos_tags":["Z"]}""";
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    [Theory]
    [InlineData($"[{First},{Second}]")]
    [InlineData($" [\n  {First} ,\r\n\t{Second}\n]\n")]
    [InlineData($$"""{"version":"1.0","about":{"by":["us",1,true,null]},"data":[{{First}},{{Second}}],"size":2}""")]
    [InlineData($$"""{"data":[{{First}},{{Second}}]}""")]
    [InlineData($"{First}\n{Second}\n")]
    [InlineData($"{First}{Second}")]
    [InlineData($"\uFEFF[{First},{Second}]")]
    public void An_array_the_array_in_an_object_or_one_object_after_another(string json)
    {
        var read = files.Read("a.json", json);
        Assert.Equal(["a b", "c"], read.Select(s => s.Text));
        Assert.Equal(["Z"], read[1].Labels["pos"]);
    }

    [Fact]
    public void Records_longer_than_what_is_read_at_once()
    {
        var words = string.Join(',', Enumerable.Range(0, 15_000).Select(i => $"\"word {i} \\\" ]}}\""));
        var tags = string.Join(',', Enumerable.Repeat("\"X\"", 15_000));
        var record = $$"""{"tokens":[{{words}}],"pos_tags":[{{tags}}]}""";
        Assert.Equal([15_000, 15_000, 1], files.Read("a.json", $"[{record},{record},{Second}]").Select(s => s.Words.Length));
    }

    [Fact]
    public void Sentences_inside_a_document_s_record()
    {
        var read = files.Read("a.jsonl", $$"""{"document_id":"bc/1","sentences":[{"words":["Rome"],"named_entities":["B-GPE"]},{{Second}}]}""");
        Assert.Equal(["bc/1", "bc/1"], read.Select(s => s.Document));
        Assert.Equal("GPE", read[0].Labels["ner"][0]);
    }

    [Fact]
    public void Any_column_is_a_task_by_its_name_and_only_where_it_can_be()
    {
        const string Code = """{"tokens":["if","x"],"kind":["keyword","name"],"depth":[0,1],"spans":[[0,2],[3,4]],"labels":["K","N"],"short":["one"]}""";
        var read = DatasetFolder.Open(files.Write("code.jsonl", Code)).Read(settings: new ReadSettings { Further = true }).Single();
        Assert.Empty(read.Labels);
        Assert.Equal(["capital", "kind", "labels", "position", "sentence-final", "word-length"], read.Further.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(["keyword", "name"], files.Read("code.jsonl", Code, "kind")[0].Labels["kind"]);
        Assert.Contains("'depth' are numbers", Assert.Throws<CorpusException>(() => files.Read("code.jsonl", Code, "depth")).Message);
        Assert.Contains("1 labels of 'short' for 2 words", Assert.Throws<CorpusException>(() => files.Read("code.jsonl", Code, "short")).Message);
        Assert.Contains("it must be a string", Assert.Throws<CorpusException>(() => files.Read("code.jsonl", Code, "spans")).Message);
    }

    [Theory]
    [InlineData($"[{First},\n{Second}", 2, "ends too early")]
    [InlineData($"[{First}\n{Second}]", 2, "neither ',' nor ']'")]
    [InlineData($"[{First},\n\n]", 3, "object is needed")]
    [InlineData($"[{First},\n[1]]", 2, "record 2: a JSON object is needed")]
    [InlineData($"[{First},\n{{\"tokens\":[\"a\"\n}}]", 3, "no JSON")]
    [InlineData($"[{First},\n{{\"tokens\":[\"a\"],\"pos_tags\":[\"X\",\"Y\"]}}]", 2, "record 2: 2 labels of 'pos_tags' for 1 words")]
    [InlineData($"[{First}]\n{Second}", 2, "more follows")]
    [InlineData($$"""{"data":[{{First}}],"more":[{{Second}}]}""", 1, "a second array of objects")]
    [InlineData($$"""{"data":[{{First}}]""", 1, "ends too early")]
    [InlineData("""{"data":[{"tokens":["\ud800"]}]}""", 1, "surrogate")]
    [InlineData("true", 1, "object is needed")]
    public void Malformed_files_are_refused_with_their_line(string json, int line, string problem)
    {
        var refusal = Assert.Throws<CorpusException>(() => files.Read("bad.json", json));
        Assert.Equal(("bad.json", (long?)line), (refusal.File, refusal.Line));
        Assert.Contains(problem, refusal.Problem);
    }

    [Fact]
    public void Depth_size_and_bytes_that_are_no_text_are_refused()
    {
        var deep = string.Concat(Enumerable.Repeat("[", 100_000));
        Assert.Contains("no JSON", Assert.Throws<CorpusException>(() => files.Read("deep.json", $"[{{\"tokens\":{deep}")).Message);
        Assert.Contains("no JSON", Assert.Throws<CorpusException>(() => files.Read("deep.jsonl", $"{{\"tokens\":{deep}")).Message);
        Assert.Contains("over 8 MiB", Assert.Throws<CorpusException>(() => files.Read("long.json", $"[{{\"tokens\":[\"{new string('a', 20 << 20)}\"]}}]")).Message);
        Assert.Contains("over 8 MiB", Assert.Throws<CorpusException>(() => files.Read("white.json", new string(' ', 20 << 20))).Message);
        Assert.Contains("not UTF-8", Assert.Throws<CorpusException>(() => files.Read("latin.json", [.. "[{\"tokens\":[\"caf"u8, 0xe9, .. "\"]}]"u8])).Message);
        Assert.Contains("'0x00'", Assert.Throws<CorpusException>(() => files.Read("nul.json", [.. "[{\"tokens\":[\"a"u8, 0, .. "\"]}]"u8])).Message);
        Assert.Equal("no sentence in the file", Assert.Throws<CorpusException>(() => files.Read("none.json", Encoding.UTF8.GetBytes("[]"))).Problem);
    }
}
