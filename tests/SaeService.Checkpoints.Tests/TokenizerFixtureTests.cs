using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Checkpoints.Tests;

/// <summary>
/// Small tokenizers of every kind of part, and patterns, with what the Rust tokenizers library makes of some texts: fixtures/tokenizers.json, whose vocabularies
/// are our own.
/// </summary>
public sealed class TokenizerFixtureTests
{
    private static readonly JsonElement s_fixture = JsonDocument.Parse(
        File.ReadAllBytes(Path.Combine(SharedData.RepositoryRoot, "tests/SaeService.Checkpoints.Tests/fixtures/tokenizers.json"))).RootElement;

    private static IEnumerable<JsonElement> Tokenizers => s_fixture.GetProperty("tokenizers").EnumerateArray();

    public static TheoryData<string> Names => [.. Tokenizers.Select(t => t.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_tokenizer_of_this_kind_equals_the_reference(string name)
    {
        var given = Tokenizers.Single(t => t.GetProperty("name").GetString() == name);
        using var folder = new TemporaryFolder();
        var sections = JsonObject.Create(given.GetProperty("sections"))!;
        sections["model"] = JsonObject.Create(s_fixture.GetProperty("models").GetProperty(given.GetProperty("model").GetString()!));
        File.WriteAllText(folder.File("tokenizer.json"), sections.ToJsonString());
        var lines = s_fixture.GetProperty("texts").EnumerateArray().Zip(given.GetProperty("encodings").EnumerateArray(), (text, encoding) => JsonSerializer.Serialize(new
        {
            text,
            ids = encoding[0],
            ids_with_special = encoding[1],
            offsets = encoding[2].EnumerateArray().Chunk(2),
            decoded = encoding[3],
        }));
        File.WriteAllLines(folder.File(TokenizerVerification.FileName), lines);
        var report = TokenizerVerification.Run(folder.Path);
        Assert.True(report.Equal == report.Strings, string.Join("\n", report.Differences.Take(10)));
        Assert.Equal(25, report.Strings);
    }

    [Fact]
    public void Patterns_match_where_Oniguruma_does()
    {
        List<string> wrong = [];
        var patterns = s_fixture.GetProperty("patterns").EnumerateArray().ToArray();
        foreach (var entry in patterns)
        {
            var (pattern, text) = (entry[0].GetString()!, entry[1].GetString()!);
            int[] expected = [.. entry[2].EnumerateArray().Select(n => n.GetInt32())];
            var got = string.Join(' ', PatternTokenizer.Of(pattern).Encode(text, false).Offsets.Select(o => (CodePoints(text, o.Start), CodePoints(text, o.End))));
            var wanted = string.Join(' ', expected.Chunk(2).Select(o => (o[0], o[1])));
            if (got != wanted)
                wrong.Add($"{pattern} on {text}: {got} not {wanted}");
        }
        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
        Assert.True(patterns.Length > 60);
    }

    private static int CodePoints(string text, int units) => text[..units].EnumerateRunes().Count();
}
