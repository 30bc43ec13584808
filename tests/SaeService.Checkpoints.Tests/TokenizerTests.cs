using System.Text.Json;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Checkpoints.Tests;

/// <summary>The oracle is the Rust tokenizers library: encodings.jsonl holds its ids, offsets (in code points) and decoded text.</summary>
public sealed class TokenizerTests
{
    [Theory]
    [InlineData("data/models/stories260K")]
    [InlineData("data/models/stories3M")]
    [InlineData("data/tokenizers/llama2")]
    [InlineData("data/tokenizers/gpt2")]
    [InlineData("data/tokenizers/llama3")]
    [InlineData("data/tokenizers/gpt-neox-20b")]
    [InlineData("data/tokenizers/bert-base-uncased")]
    public void Equals_the_reference_on_every_line(string folder)
    {
        var report = TokenizerVerification.Run(SharedData.Require(folder));
        Assert.True(report.Equal == report.Strings, string.Join("\n", report.Differences.Take(20)));
        Assert.Equal(228, report.Strings);
    }

    /// <summary>The older files alone say the same as the tokenizer.json made from them.</summary>
    [Theory]
    [InlineData("data/tokenizers/llama2", "tokenizer.model")]
    [InlineData("data/tokenizers/bert-base-uncased", "vocab.txt", "tokenizer_config.json")]
    public void Files_from_before_tokenizer_json_equal_the_reference(string folder, params string[] files)
    {
        var path = SharedData.Require(folder);
        using var alone = new TemporaryFolder();
        foreach (var file in files.Append(TokenizerVerification.FileName))
            File.Copy(Path.Combine(path, file), alone.File(file));
        var report = TokenizerVerification.Run(alone.Path);
        Assert.True(report.Equal == report.Strings, string.Join("\n", report.Differences.Take(20)));
        Assert.Equal(228, report.Strings);
    }

    [Fact]
    public void Llama_says_what_it_puts_first_and_how_tokens_read()
    {
        var tokenizer = Tokenizer.Load(SharedData.Require("data/models/stories260K"));
        Assert.Equal(1, tokenizer.BosId);
        Assert.Equal(512, tokenizer.VocabularySize);
        Assert.Equal([0, 1, 2], tokenizer.SpecialIds.Order());
        Assert.Equal(" the", tokenizer.TokenText(tokenizer.Encode("the", false).Ids[0]));
        Assert.Equal("\n", tokenizer.TokenText(13));
        Assert.Equal("<0xF0>", tokenizer.TokenText(243));
        Assert.Equal("<s>", tokenizer.TokenText(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.TokenText(512));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([-1]));
    }

    [Fact]
    public void Byte_level_tokens_read_as_text_or_bytes()
    {
        var tokenizer = Tokenizer.Load(SharedData.Require("data/tokenizers/gpt2"));
        Assert.Null(tokenizer.BosId);
        Assert.Equal(" world", tokenizer.TokenText(tokenizer.Encode("hello world", false).Ids[1]));
        var emoji = tokenizer.Encode("\U0001F600", false);
        Assert.Equal("<0xF0><0x9F><0x98>", tokenizer.TokenText(emoji.Ids[0]));
        Assert.All(emoji.Offsets, offset => Assert.Equal((0, 2), offset));
    }

    /// <summary>Cutting where no token reaches across must not change a token: the same text is encoded by plain merging of the whole.</summary>
    [Fact]
    public void Cutting_and_caching_change_nothing()
    {
        var tokenizer = Tokenizer.Load(SharedData.Require("data/tokenizers/llama2"));
        var text = File.ReadAllText(SharedData.Require("data/text/tinystories-sample.txt"))[..4000];
        var merges = ReadMerges(SharedData.Require("data/tokenizers/llama2/tokenizer.json"));
        Assert.Equal(PlainMerging("▁" + text.Replace(' ', '▁'), merges), tokenizer.Encode(text, false).Ids.Select(id => RawToken(tokenizer, id)));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("ab ")]
    [InlineData(" ")]
    public void A_long_run_is_encoded_and_decoded(string unit)
    {
        var tokenizer = Tokenizer.Load(SharedData.Require("data/tokenizers/llama2"));
        var text = string.Concat(Enumerable.Repeat(unit, 100_000 / unit.Length));
        var encoding = tokenizer.Encode(text, addSpecialTokens: true);
        Assert.Equal(text, tokenizer.Decode(encoding.Ids.AsSpan(1)));
        Assert.Equal(text.Length, encoding.Offsets[^1].End);
    }

    [Fact]
    public void A_lone_surrogate_counts_as_the_replacement_character()
    {
        var tokenizer = Tokenizer.Load(SharedData.Require("data/models/stories260K"));
        Assert.Equal(tokenizer.Encode("a\uFFFDb", false).Ids, tokenizer.Encode("a\uD83Db", false).Ids);
    }

    [Theory]
    [InlineData("""{"normalizer":{"type":"Prepend","prepend":"_","surprise":1}}""", "normalizer.surprise")]
    [InlineData("""{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}}""", "pre_tokenizer.pattern")]
    [InlineData("""{"post_processor":{"type":"Unheard"}}""", "post_processor.type")]
    [InlineData("""{"novelty":{}}""", "novelty")]
    [InlineData("""{"model":{"vocab":{"a":0},"dropout":0.1}}""", "model.dropout")]
    public void What_is_not_honoured_is_refused_by_name(string json, string key)
    {
        var e = Refused(json);
        Assert.Equal((CheckpointFault.Unsupported, key), (e.Fault, e.Key));
        Assert.Contains("tokenizer.json", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model":{"vocab":{"a":-1}}}""", "model.vocab.a")]
    [InlineData("""{"model":{"vocab":{"a":2000000000}}}""", "model.vocab.a")]
    [InlineData("""{"model":{"vocab":{"a":0,"b":0}}}""", "model.vocab.b")]
    [InlineData("""{"model":{"vocab":{"a":0,"b":1},"merges":["a b"]}}""", "model.merges[0]")]
    [InlineData("""{"added_tokens":[{"id":0,"content":"z"}]}""", "added_tokens")]
    public void Damage_is_refused_by_name(string json, string key)
    {
        var e = Refused(json);
        Assert.Equal((CheckpointFault.Invalid, key), (e.Fault, e.Key));
    }

    [Fact]
    public void Merges_may_be_strings_or_pairs()
    {
        using var folder = new TemporaryFolder();
        foreach (var merges in new[] { """["a b","ab c"]""", """[["a","b"],["ab","c"]]""" })
        {
            File.WriteAllText(folder.File("tokenizer.json"), $$$"""{"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4},"merges":{{{merges}}}}}""");
            Assert.Equal([4, 0, 2], Tokenizer.Load(folder.Path).Encode("abcac", false).Ids);
        }
    }

    [Fact]
    public void Unknown_characters_fuse_where_the_file_says_so()
    {
        using var folder = new TemporaryFolder();
        foreach (var (fuse, ids) in new[] { ("true", new[] { 1, 0, 1 }), ("false", [1, 0, 0, 1]) })
        {
            File.WriteAllText(folder.File("tokenizer.json"), $$$"""{"model":{"vocab":{"?":0,"a":1},"merges":[],"unk_token":"?","fuse_unk":{{{fuse}}}}}""");
            Assert.Equal(ids, Tokenizer.Load(folder.Path).Encode("axya", false).Ids);
        }
    }

    private static CheckpointException Refused(string json)
    {
        using var folder = new TemporaryFolder();
        var defaults = """{"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}""";
        using var given = JsonDocument.Parse(json);
        using var both = JsonDocument.Parse(defaults);
        var merged = both.RootElement.EnumerateObject().Concat(given.RootElement.EnumerateObject()).GroupBy(p => p.Name).ToDictionary(g => g.Key, g => g.Last().Value);
        File.WriteAllText(folder.File("tokenizer.json"), JsonSerializer.Serialize(merged));
        return Assert.Throws<CheckpointException>(() => Tokenizer.Load(folder.Path));
    }

    private static Dictionary<(string, string), int> ReadMerges(string file)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(file));
        return json.RootElement.GetProperty("model").GetProperty("merges").EnumerateArray()
            .Select((m, rank) => (Parts: m.GetString()!.Split(' '), rank)).ToDictionary(m => (m.Parts[0], m.Parts[1]), m => m.rank);
    }

    // The definition of BPE, quadratic: merge the leftmost pair of lowest rank until there is none.
    private static List<string> PlainMerging(string text, Dictionary<(string, string), int> merges)
    {
        var symbols = text.EnumerateRunes().Select(r => r.ToString() == "\n" ? "<0x0A>" : r.ToString()).ToList();
        while (true)
        {
            var best = (Rank: int.MaxValue, At: -1);
            for (var i = 0; i + 1 < symbols.Count; i++)
                if (merges.TryGetValue((symbols[i], symbols[i + 1]), out var rank) && rank < best.Rank)
                    best = (rank, i);
            if (best.At < 0)
                return symbols;
            symbols[best.At] += symbols[best.At + 1];
            symbols.RemoveAt(best.At + 1);
        }
    }

    private static string RawToken(Tokenizer tokenizer, int id) => id == 13 ? "<0x0A>" : tokenizer.TokenText(id).Replace(' ', '▁');
}
