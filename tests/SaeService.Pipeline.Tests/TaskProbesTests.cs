using SaeService.Interpretation;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Pipeline.Tests;

/// <summary>What a mode measures of information, and that layers agree on it.</summary>
public sealed class TaskProbesTests
{
    private const int Count = 2400, Dimension = 8;
    private static readonly LabelledWords Words = Made();
    private static readonly float[] Vectors = Drawn();

    [Theory]
    [InlineData("quick", false, false)]
    [InlineData("standard", false, false)]
    [InlineData("full", true, false)]
    [InlineData("thorough", true, true)]
    public void A_mode_measures_what_it_says(string mode, bool dimensions, bool slow)
    {
        var probes = Probes(mode, nextWord: false, [], choose: true);
        var ner = probes.Measure(Words.Tasks[1], probes.Choose(Words.Tasks[1]), (_, _) => { });
        Assert.Equal(dimensions, ner.Layer.Dimensions is not null);
        Assert.Equal(slow, ner.Layer.OnlineCode is not null);
        Assert.Equal(slow, ner.Layer.Mlp is not null);
        Assert.Equal(slow, ner.Layer.Clusters is not null);
        Assert.Null(ner.NextWord);
        // O is most of the words; of the entities alone there is less to know, and it is asked on fewer words.
        Assert.Equal(ner.WithoutO!.Layer.IvBits, ner.Layer.WithoutO!.IvBits);
        Assert.True(ner.Layer.WithoutO.IvBits.NTest < ner.Layer.IvBits.NTest);
        if (slow)
        {
            // Two estimators of the same bound, on labels that are linear in the vectors.
            Assert.Equal(ner.Layer.IvBits.Value, ner.Layer.Mlp!.IvBits.Value, 0.1);
            Assert.Equal(2, ner.Layer.Dimensions!.Dimensions.Take(2).Count(d => d.Dimension < 2));
            Assert.Equal(Count, ner.Layer.Clusters!.Words);
            Assert.Equal(ner.Layer.Clusters.K, probes.WordForms()!.K);
        }
    }

    [Fact]
    public void The_next_words_label_is_found_where_it_is_written()
    {
        var lambdas = new Dictionary<string, double>();
        var reference = Probes("standard", nextWord: true, lambdas, choose: true);
        var pos = reference.Measure(Words.Tasks[0], reference.Choose(Words.Tasks[0]), (_, _) => { });
        // Of the next word only the second half of the vector tells, of this word only the first.
        Assert.InRange(pos.NextWord!.Layer.IvBits.Value, 0.5, pos.NextWord.EntropyBits);
        Assert.True(pos.NextWord.Layer.IvBits.NTest < pos.Layer.IvBits.NTest); // the last word of a document has none
        Assert.Equal(["pos", "pos/next_word"], lambdas.Keys.Order());

        var other = Probes("standard", nextWord: true, new(lambdas), choose: false);
        var same = other.Measure(Words.Tasks[0], other.Choose(Words.Tasks[0]), (_, _) => { });
        Assert.Equal(pos.LayerBits, same.LayerBits);
        Assert.Equal(pos.NextWord.LayerBits, same.NextWord!.LayerBits);
    }

    [Fact]
    public void A_variant_that_too_few_words_carry_is_left_out_at_every_layer()
    {
        var rare = Words.Tasks[1] with { Of = [.. Words.Tasks[1].Of.Select((label, word) => word % 40 == 7 ? label : 0)] };
        var lambdas = new Dictionary<string, double>();
        var reference = Probes("standard", nextWord: false, lambdas, choose: true);
        Assert.Null(reference.Measure(rare, reference.Choose(rare), (_, _) => { }).Layer.WithoutO);
        var other = Probes("standard", nextWord: false, lambdas, choose: false);
        Assert.Null(other.Measure(rare, other.Choose(rare), (_, _) => { }).WithoutO);
    }

    private static TaskProbes Probes(string mode, bool nextWord, Dictionary<string, double> lambdas, bool choose) => new(Words, _ => true, 1, Dimension,
        (words, into) =>
        {
            for (var i = 0; i < words.Length; i++)
                Vectors.AsSpan(words[i] * Dimension, Dimension).CopyTo(into[(i * Dimension)..]);
        }, new InformationRules { BootstrapSamples = 100 }, mode, nextWord, lambdas, choose, TestContext.Current.CancellationToken);

    private static LabelledWords Made()
    {
        var random = new CounterRandom(31, 0);
        int[] document = [.. Enumerable.Range(0, Count).Select(w => w / 20)], pos = new int[Count], ner = new int[Count], type = new int[Count];
        for (var w = 0; w < Count; w++)
            (pos[w], ner[w], type[w]) = (random.Next(3), random.NextDouble() < 0.6 ? 0 : 1 + random.Next(2), random.Next(50));
        var parts = Enumerable.Range(0, Count / 20).Select(d => (d % 5) switch { 3 => Part.Dev, 4 => Part.Test, _ => Part.Train }).ToArray();
        return new(document, document, type, parts,
            [new("pos", ["A", "B", "C"], pos, new HashSet<int>()), new("ner", ["O", "PER", "LOC"], ner, new HashSet<int> { 0 })]);
    }

    /// <summary>Dimensions 0 and 1 tell of ner, 2 and 3 of pos, 4 and 5 of the next word's pos, the rest of nothing.</summary>
    private static float[] Drawn()
    {
        var random = new CounterRandom(32, 0);
        var x = new float[Count * Dimension];
        for (var w = 0; w < Count; w++)
        {
            int[] labels = [Words.Tasks[1].Of[w], Words.Tasks[0].Of[w], Words.Tasks[0].Of[Math.Min(w + 1, Count - 1)]];
            for (var j = 0; j < Dimension; j++)
                x[w * Dimension + j] = (float)(random.NextNormal() + (j < 6 && labels[j / 2] == 1 + j % 2 ? 2.5 : 0));
        }
        return x;
    }
}
