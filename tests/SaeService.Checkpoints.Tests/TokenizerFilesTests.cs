using System.Text.Json;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Checkpoints.Tests;

/// <summary>Folders without a tokenizer.json, and what tokenizer_config.json decides.</summary>
public sealed class TokenizerFilesTests
{
    /// <summary>vocab.json and merges.txt taken out of GPT-2's tokenizer.json make the same tokenizer.</summary>
    [Fact]
    public void Merges_and_vocabulary_apart_equal_the_reference()
    {
        var gpt2 = SharedData.Require("data/tokenizers/gpt2");
        using var folder = new TemporaryFolder();
        WriteMerges(folder, gpt2);
        File.Copy(Path.Combine(gpt2, "tokenizer_config.json"), folder.File("tokenizer_config.json"));
        File.Copy(Path.Combine(gpt2, TokenizerVerification.FileName), folder.File(TokenizerVerification.FileName));
        var report = TokenizerVerification.Run(folder.Path);
        Assert.True(report.Equal == report.Strings, string.Join("\n", report.Differences.Take(10)));
    }

    [Fact]
    public void Opt_begins_with_its_end_token_and_Roberta_stands_between_two()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("vocab.json"), """{"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6,"\u0120":7,"\u0120a":8,"<mask>":9}""");
        File.WriteAllText(folder.File("merges.txt"), "#version: 0.2\na b\n\u0120 a\n");
        File.WriteAllText(folder.File("tokenizer_config.json"),
            """{"tokenizer_class":"GPT2Tokenizer","add_bos_token":true,"bos_token":{"__type":"AddedToken","content":"</s>","normalized":true},"eos_token":"</s>","unk_token":"</s>","pad_token":"<pad>"}""");
        var opt = Tokenizer.Load(folder.Path);
        Assert.Equal([2, 6, 8], opt.Encode("ab a", true).Ids);
        Assert.Equal(1, opt.PadId);
        Assert.Equal([2], opt.Prefix);
        Assert.Empty(opt.Suffix);

        File.WriteAllText(folder.File("tokenizer_config.json"), """{"tokenizer_class":"RobertaTokenizer","add_prefix_space":false}""");
        var roberta = Tokenizer.Load(folder.Path);
        var encoding = roberta.Encode("ab a  <mask>", true);
        Assert.Equal([0, 6, 8, 9, 2], encoding.Ids);
        // The mask takes the spaces before it, and trimming takes them out of its offsets.
        Assert.Equal([(0, 0), (0, 2), (3, 4), (6, 12), (0, 0)], encoding.Offsets);
        Assert.Equal([0], roberta.Prefix);
        Assert.Equal([2], roberta.Suffix);

        File.WriteAllText(folder.File("tokenizer_config.json"), """{"tokenizer_class":"CLIPTokenizer"}""");
        Assert.Equal("tokenizer_class", Assert.Throws<CheckpointException>(() => Tokenizer.Load(folder.Path)).Key);
    }

    [Fact]
    public void A_cased_vocabulary_of_words_keeps_case_and_accents()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nCaf\u00E9\ncafe\n\u4E2D\n\u4E2D\u4E2D\n");
        Assert.Equal([2, 6, 7, 7, 3], Tokenizer.Load(folder.Path).Encode("Caf\u00E9\u4E2D\u4E2D", true).Ids);
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"do_lower_case":false,"tokenize_chinese_chars":false}""");
        var cased = Tokenizer.Load(folder.Path);
        Assert.Equal([2, 5, 8, 3], cased.Encode("Caf\u00E9 \u4E2D\u4E2D", true).Ids);
        Assert.Equal([4], cased.Encode("[MASK]", false).Ids);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_sentencepiece_model_is_read_as_it_says(int modelType)
    {
        using var folder = new TemporaryFolder();
        (string, float, int)[] pieces =
        [
            ("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("<user>", 0, 4), ("\u2581", -5, 1), ("a", -6, 1), ("b", -6.5f, 1), ("ab", -3, 1), ("\u2581ab", -2, 1), ("c", -7, 1),
        ];
        File.WriteAllBytes(folder.File("tokenizer.model"), SentencePieceFixture.Of(modelType, pieces));
        var tokenizer = Tokenizer.Load(folder.Path);
        Assert.Equal([1, 8, 8, 5, 0], tokenizer.Encode("ab abaxy", true).Ids);
        Assert.Equal([(0, 2), (2, 5), (5, 6), (6, 8)], tokenizer.Encode("ab abaxy", false).Offsets);
        Assert.Equal(3, tokenizer.Encode("<user>ab", false).Ids[0]);
        Assert.Equal("ab aba", tokenizer.Decode([8, 8, 5]));

        File.WriteAllBytes(folder.File("tokenizer.model"), SentencePieceFixture.Of(modelType, pieces, dummyPrefix: false, removeExtraSpaces: true));
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"add_bos_token":false,"add_eos_token":true}""");
        Assert.Equal([7, 8, 2], Tokenizer.Load(folder.Path).Encode("ab   ab  ", true).Ids);

        File.WriteAllBytes(folder.File("tokenizer.model"), SentencePieceFixture.Of(4, pieces));
        Assert.Equal("trainer_spec.model_type", Assert.Throws<CheckpointException>(() => Tokenizer.Load(folder.Path)).Key);
    }

    /// <summary>Where tokenizer.json says nothing of what stands around a text, the class that loads it does.</summary>
    [Fact]
    public void Llama_puts_its_begin_token_where_the_file_has_no_template()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), """{"model":{"vocab":{"<s>":0,"</s>":1,"a":2},"merges":[]}}""");
        Assert.Null(Tokenizer.Load(folder.Path).BosId);
        foreach (var (config, prefix, suffix) in new (string, int[], int[])[]
        {
            ("""{"tokenizer_class":"LlamaTokenizerFast","bos_token":"<s>","eos_token":"</s>"}""", [0], []),
            ("""{"tokenizer_class":"LlamaTokenizer","bos_token":{"content":"<s>"},"eos_token":"</s>","add_eos_token":true}""", [0], [1]),
            ("""{"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","add_bos_token":false}""", [], []),
            ("""{"tokenizer_class":"PreTrainedTokenizerFast","bos_token":"<s>"}""", [], []),
        })
        {
            File.WriteAllText(folder.File("tokenizer_config.json"), config);
            var tokenizer = Tokenizer.Load(folder.Path);
            Assert.Equal(prefix, tokenizer.Prefix);
            Assert.Equal(suffix, tokenizer.Suffix);
        }
    }

    /// <summary>Merges that reach over a space: no piece may be cut there, also where it is long.</summary>
    [Fact]
    public void Tokens_that_cross_words_are_found_in_long_texts()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"),
            """{"model":{"type":"BPE","vocab":{"a":0,"b":1," ":2,"a ":3,"a b":4,"ba":5},"merges":[["a"," "],["a ","b"],["b","a"]]}}""");
        var text = string.Concat(Enumerable.Repeat("a b", 20_000));
        var encoding = Tokenizer.Load(folder.Path).Encode(text, false);
        Assert.Equal(Enumerable.Repeat(4, 20_000), encoding.Ids);
        Assert.Equal((59_997, 60_000), encoding.Offsets[^1]);
    }

    [Fact]
    public void A_difference_is_told_by_line_and_part()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), """{"model":{"vocab":{"a":0,"b":1},"merges":[]},"decoder":{"type":"Fuse"}}""");
        File.WriteAllLines(folder.File(TokenizerVerification.FileName),
        [
            """{"text":"ab","ids":[0,1],"offsets":[[0,1],[1,2]],"decoded":"ab"}""",
            """{"text":"b\n","ids":[0],"ids_with_special":[1],"offsets":[[0,1]],"decoded":"a"}""",
        ]);
        var report = TokenizerVerification.Run(folder.Path);
        Assert.Equal((2, 1), (report.Strings, report.Equal));
        Assert.Equal([new TokenizerDifference(2, @"b\n", "ids", "0 (1)", "1 (1)")], report.Differences);
        File.WriteAllText(folder.File(TokenizerVerification.FileName), """{"text":"ab","ids":[0,1],"offsets":[[0,9]]}""");
        Assert.Equal("line 1.offsets", Assert.Throws<CheckpointException>(() => TokenizerVerification.Run(folder.Path)).Key);
        File.Delete(folder.File(TokenizerVerification.FileName));
        Assert.Equal(CheckpointFault.NotFound, Assert.Throws<CheckpointException>(() => TokenizerVerification.Run(folder.Path)).Fault);
    }

    private static void WriteMerges(TemporaryFolder folder, string tokenizer)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(tokenizer, "tokenizer.json")));
        var model = json.RootElement.GetProperty("model");
        File.WriteAllText(folder.File("vocab.json"), model.GetProperty("vocab").GetRawText());
        File.WriteAllLines(folder.File("merges.txt"), model.GetProperty("merges").EnumerateArray().Select(m => m.GetString()!).Prepend("#version: 0.2"));
    }
}
