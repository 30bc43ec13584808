using System.Text;
using Xunit;

namespace SaeService.Checkpoints.Tests;

public sealed class TokenizerHostileTests
{
    private const string Model = """ "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]} """;

    [Theory]
    [InlineData("""{"type":"Unigram","vocab":[["a",1e400]]}""", "model.vocab[0]")]
    [InlineData("""{"type":"Unigram","vocab":[["a"]]}""", "model.vocab[0]")]
    [InlineData("""{"type":"Unigram","vocab":[["a",0]],"unk_id":-1}""", "model.unk_id")]
    [InlineData("""{"type":"Unigram","vocab":[["a",0]],"unk_id":7}""", "model.unk_id")]
    [InlineData("""{"type":"WordLevel","vocab":{"a":0}}""", "model.unk_token")]
    [InlineData("""{"type":"WordPiece","vocab":{"a":0,"b":0}}""", "model.vocab.b")]
    [InlineData("""{"type":"WordPiece","vocab":{"a":0},"max_input_chars_per_word":-3}""", "model.max_input_chars_per_word")]
    [InlineData("""{"type":"BPE","vocab":{"a":99999999}}""", "model.vocab.a")]
    [InlineData("""{"type":"BPE","vocab":{"a":0},"merges":[["a","a","a"]]}""", "model.merges[0]")]
    public void A_damaged_model_is_refused_by_name(string model, string key)
    {
        var e = Refused($$"""{"model":{{model}}}""");
        Assert.Equal((CheckpointFault.Invalid, key), (e.Fault, e.Key));
    }

    [Theory]
    [InlineData(""" "normalizer":{"type":"Precompiled","precompiled_charsmap":"!"} """, "normalizer.precompiled_charsmap")]
    [InlineData(""" "normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="} """, "normalizer.precompiled_charsmap")]
    [InlineData(""" "pre_tokenizer":{"type":"FixedLength","length":0} """, "pre_tokenizer.length")]
    [InlineData(""" "pre_tokenizer":{"type":"CharDelimiterSplit","delimiter":"ab"} """, "pre_tokenizer.delimiter")]
    [InlineData(""" "post_processor":{"type":"BertProcessing","sep":["x",1],"cls":["y"]} """, "post_processor.cls")]
    [InlineData(""" "post_processor":{"type":"BertProcessing","sep":["x",1],"cls":["y",77]} """, "post_processor")]
    [InlineData(""" "added_tokens":[{"id":1,"content":"new"}] """, "added_tokens")]
    [InlineData(""" "added_tokens":[{"id":-1,"content":"new"}] """, "added_tokens[0].id")]
    public void A_damaged_part_is_refused_by_name(string section, string key)
    {
        var e = Refused("{" + section + "," + Model + "}");
        Assert.Equal(key, e.Key);
    }

    [Fact]
    public void Too_many_parts_are_refused()
    {
        var parts = string.Join(',', Enumerable.Repeat("""{"type":"NFC"}""", 100_000));
        Assert.Equal("normalizer.normalizers", Refused($$"""{"normalizer":{"type":"Sequence","normalizers":[{{parts}}]},{{Model}}}""").Key);
        var token = """{"SpecialToken":{"id":"s"}}""";
        var single = string.Join(',', Enumerable.Repeat(token, 100_000));
        Assert.Equal("post_processor.single", Refused("""{"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},""" + single + "]}," + Model + "}").Key);
        var ids = string.Join(',', Enumerable.Repeat("0", 100_000));
        Assert.Equal("post_processor.special_tokens.s.ids",
            Refused("""{"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},""" + token + """],"special_tokens":{"s":{"ids":[""" + ids + "]}}}," + Model + "}").Key);
    }

    [Fact]
    public void Deep_nesting_is_refused()
    {
        var nested = string.Concat(Enumerable.Repeat("""{"type":"Sequence","normalizers":[""", 10_000)) + string.Concat(Enumerable.Repeat("]}", 10_000));
        Assert.Equal(CheckpointFault.Invalid, Refused($$"""{"normalizer":{{nested}},{{Model}}}""").Fault);
    }

    [Fact]
    public void An_added_token_of_which_normalising_leaves_nothing_is_refused() =>
        Assert.Equal(CheckpointFault.Unsupported, Refused($$"""{"normalizer":{"type":"Strip"},"added_tokens":[{"id":3,"content":"  "}],{{Model}}}""").Fault);

    [Fact]
    public void An_unknown_character_with_no_token_for_it_is_an_error_of_the_text()
    {
        foreach (var model in new[] { """{"type":"WordLevel","vocab":{"a":0},"unk_token":"?"}""", """{"type":"Unigram","vocab":[["a",0]]}""", """{"type":"BPE","vocab":{"a":0},"unk_token":"?"}""" })
        {
            var tokenizer = Load($$"""{"model":{{model}}}""");
            Assert.Equal([0], tokenizer.Encode("a", false).Ids);
            Assert.Equal(CheckpointFault.Invalid, Assert.Throws<CheckpointException>(() => tokenizer.Encode("b", false)).Fault);
        }
    }

    /// <summary>A SentencePiece model of which any byte is changed, or the end is missing, is read or refused, never more.</summary>
    [Fact]
    public void A_damaged_sentencepiece_model_is_refused()
    {
        using var folder = new TemporaryFolder();
        byte[] sound = SentencePieceFixture.Of(2, [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u2581", -1, 1), ("a", -2, 1), ("b", -3, 1), ("ab", -4, 1)]);
        for (var i = 0; i < sound.Length; i++)
        {
            byte[] changed = [.. sound];
            changed[i] ^= 0xFF;
            Try(changed);
            Try(sound[..i]);
        }

        void Try(byte[] model)
        {
            File.WriteAllBytes(folder.File("tokenizer.model"), model);
            try
            {
                Tokenizer.Load(folder.Path).Encode("ab a", true);
            }
            catch (CheckpointException)
            {
            }
        }
    }

    private static Tokenizer Load(string json)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), json, new UTF8Encoding(false));
        return Tokenizer.Load(folder.Path);
    }

    private static CheckpointException Refused(string json) => Assert.Throws<CheckpointException>(() => Load(json));
}
