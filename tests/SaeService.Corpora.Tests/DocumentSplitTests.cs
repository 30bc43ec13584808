using System.Security.Cryptography;
using System.Text;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class DocumentSplitTests
{
    private static readonly (string Document, string Sentence, int Words)[] Corpus =
        [.. Enumerable.Range(0, 600).Select(i => ($"doc{i / 6}", $"s{i}", 5 + (i * 7 % 23)))];

    [Fact]
    public void Documents_stay_whole_and_parts_get_their_share_of_the_words()
    {
        var split = DocumentSplit.Create(7, Corpus);
        Assert.False(split.BySentence);
        Assert.Equal(100, split.Ids.Count);
        var words = new double[3];
        for (var s = 0; s < Corpus.Length; s++)
        {
            Assert.Equal(Corpus[s].Document, split.Ids[split.UnitOfSentence[s]]);
            words[split.Parts[split.UnitOfSentence[s]]] += Corpus[s].Words;
        }
        Assert.Equal([0.6, 0.2, 0.2], words.Select(w => Math.Round(w / words.Sum(), 1)));
    }

    [Fact]
    public void The_order_of_the_corpus_does_not_matter_and_the_seed_does()
    {
        var straight = PartsById(DocumentSplit.Create(7, Corpus));
        var shuffled = Corpus.ToArray();
        new Random(1).Shuffle(shuffled);
        Assert.Equal(straight.OrderBy(p => p.Key), PartsById(DocumentSplit.Create(7, shuffled)).OrderBy(p => p.Key));
        Assert.NotEqual(straight.OrderBy(p => p.Key), PartsById(DocumentSplit.Create(8, Corpus)).OrderBy(p => p.Key));
    }

    [Fact]
    public void The_split_is_the_one_that_anyone_can_compute()
    {
        var sizes = Corpus.GroupBy(s => s.Document).ToDictionary(g => g.Key, g => g.Sum(s => s.Words));
        var total = sizes.Values.Sum();
        var before = 0;
        var expected = new Dictionary<string, byte>();
        foreach (var id in sizes.Keys.OrderBy(id => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes($"7\t{id}"))), StringComparer.Ordinal))
        {
            var middle = (before + (sizes[id] / 2.0)) / total;
            expected[id] = (byte)(middle < 0.6 ? 0 : middle < 0.8 ? 1 : 2);
            before += sizes[id];
        }
        var split = DocumentSplit.Create(7, Corpus);
        Assert.Equal(expected.OrderBy(p => p.Key), PartsById(split).OrderBy(p => p.Key));
        Assert.StartsWith($"doc0\t{(Part)expected["doc0"]}\ndoc1\t".ToLowerInvariant(), split.Listing());
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(split.Listing()))), split.Sha256());
    }

    [Fact]
    public void Few_or_uneven_documents_give_way_to_sentences()
    {
        var few = DocumentSplit.Create(0, [.. Corpus.Take(54)]);
        Assert.True(few.BySentence);
        Assert.Equal(54, few.Ids.Count);
        Assert.Contains("by sentence", few.Description);
        var uneven = DocumentSplit.Create(0, [.. Corpus.Take(120), .. Enumerable.Range(0, 5_000).Select(i => ("giant", $"g{i}", 20))]);
        Assert.True(uneven.BySentence);
        Assert.Equal(3, uneven.Parts.Distinct().Count());
    }

    private static Dictionary<string, byte> PartsById(DocumentSplit split) => split.Ids.Zip(split.Parts).ToDictionary(p => p.First, p => p.Second);
}
