using SaeService.Checkpoints;
using SaeService.Sample.Grammar;
using SaeService.Sample.Training;
using Xunit;

namespace SaeService.Sample.Tests;

public sealed class BpeTrainerTests
{
    [Fact]
    public void Merges_the_commonest_pair_first_and_breaks_ties_by_order()
    {
        // "▁ab" x 3, "▁ac" x 1, "b" x 1: (▁,a) 4 times, then (▁a,b) 3 times; then no pair occurs twice.
        var vocabulary = BpeTrainer.Train([Document(("ab", true), ("ab", true), ("ab", true), ("ac", false), ("b", true))], 300);
        Assert.Equal([("▁", "a"), ("▁a", "b")], vocabulary.Merges);
        Assert.Equal(["▁a", "▁ab", "a", "b", "c", "▁"], vocabulary.Pieces.Skip(259));

        // (x,y) and (▁,x) both twice: the ordinally smaller left side goes first.
        Assert.Equal(("x", "y"), BpeTrainer.Train([Document(("xy", true), ("xy", true))], 300).Merges[0]);
    }

    [Fact]
    public void No_piece_crosses_the_border_of_a_word()
    {
        var vocabulary = BpeTrainer.Train(SampleCorpus.Documents(Bundle.TrainingSeed, 300), 600);
        Assert.All(vocabulary.Pieces, piece => Assert.True(piece.LastIndexOf('▁') <= 0, piece));
        Assert.DoesNotContain(vocabulary.Pieces, piece => piece.Length > 1 && piece.EndsWith('.'));
        Assert.Equal(600, vocabulary.Pieces.Count);
        Assert.Equal(600, vocabulary.Pieces.Distinct().Count());
        Assert.Equal(["<unk>", "<s>", "</s>", "<0x00>"], vocabulary.Pieces.Take(4));
    }

    [Fact]
    public void Refuses_a_vocabulary_below_its_characters() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train([Document(("ab", true))], 200));

    [Fact]
    public void Written_files_are_read_back_and_encode_as_trained()
    {
        var folder = Directory.CreateTempSubdirectory("sae-sample-").FullName;
        try
        {
            var vocabulary = BpeTrainer.Train(SampleCorpus.Documents(Bundle.TrainingSeed, 300), 600);
            TokenizerFiles.Write(folder, vocabulary, 128);
            var tokenizer = Tokenizer.Load(folder);
            Assert.Equal(600, tokenizer.VocabularySize);
            Assert.Equal(1, tokenizer.BosId);
            foreach (var document in SampleCorpus.Documents(Bundle.CorpusSeed, 50))
                Assert.Equal(document.Text, tokenizer.Decode(tokenizer.Encode(document.Text, addSpecialTokens: false).Ids));

            // What no training text held falls back to bytes and comes back whole.
            Assert.Equal("Zoë % 日", tokenizer.Decode(tokenizer.Encode("Zoë % 日", addSpecialTokens: false).Ids));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static SampleDocument Document(params (string Form, bool Space)[] words) => new("d", [new("s", "",
        [.. words.Select(w => new SampleWord(w.Form, w.Form, "X", "X", "_", 0, "root", "O", w.Space))])]);
}
