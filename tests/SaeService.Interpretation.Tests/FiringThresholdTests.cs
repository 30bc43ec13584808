using SaeService.Autoencoders;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class FiringThresholdTests
{
    private static readonly LabelRules Rules = new() { BootstrapSamples = 200 };
    private static readonly LabelledWords Words = Planted.Words();

    /// <summary>Above 2 it fires on subjects alone; below, on anything.</summary>
    private static float Murmuring(int word)
    {
        var random = new CounterRandom(77, word);
        if (Words.Carries("dep", "nsubj", word) && random.NextDouble() < 0.6)
            return (float)(2 + random.NextDouble());
        return random.NextDouble() < 0.4 ? (float)(2 * random.NextDouble()) : 0;
    }

    private static SparseCodes Codes => Planted.Codes(Words, Murmuring);

    [Fact]
    public void A_feature_that_means_one_thing_when_loud_is_judged_by_what_is_loud()
    {
        var loud = FeatureLabeller.Run(Codes, Words, Rules).Features().Single(f => f.Task == "dep");
        Assert.True(loud.Consistent);
        Assert.Equal("nsubj", loud.DominantLabel);
        Assert.InRange(loud.Threshold, 1.5, 2.05);
        Assert.True(loud.Consistency > 0.85);
        Assert.True(loud.Support < loud.PositiveSupport);

        var any = FeatureLabeller.Run(Codes, Words, Rules with { ChooseThresholds = false }).Features().Single(f => f.Task == "dep");
        Assert.False(any.Consistent);
        Assert.Equal(0, any.Threshold);
        Assert.Equal(any.Consistency, any.PositiveConsistency);
        Assert.Equal((loud.PositiveConsistency, loud.PositiveSupport), (any.Consistency, any.Support));
    }

    [Fact]
    public void The_threshold_is_the_lowest_that_leaves_the_feature_clearly_consistent_on_train()
    {
        var chosen = FeatureLabeller.Run(Codes, Words, Rules).Features().Single(f => f.Task == "dep").Threshold;
        // By hand: over all prefixes of the train activations, the one of highest F1 that passes.
        var train = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) == Part.Train).ToArray();
        var labelled = train.Count(w => Words.Carries("dep", "nsubj", w));
        var ordered = train.Where(w => Murmuring(w) > 0).OrderByDescending(Murmuring).ToArray();
        var (best, threshold, hits) = (0.0, 0.0, 0);
        for (var n = 0; n < ordered.Length; n++)
        {
            hits += Words.Carries("dep", "nsubj", ordered[n]) ? 1 : 0;
            var prefix = new Contingency(hits, n + 1, labelled, train.Length);
            if (n + 1 >= 45 && prefix.Wilson.Low >= 0.85 && prefix.Kappa >= 0.7 && prefix.F1 > best)
                (best, threshold) = (prefix.F1, n + 1 < ordered.Length ? Murmuring(ordered[n + 1]) : 0);
        }
        Assert.True(best > 0);
        Assert.Equal(threshold, chosen, 6);
    }

    [Fact]
    public void Held_out_words_have_no_say_in_the_threshold()
    {
        float Deaf(int word) => Words.PartOf(word) == Part.Train ? Murmuring(word) : 3 - Murmuring(word);
        var own = FeatureLabeller.Run(Codes, Words, Rules).Features().Single(f => f.Task == "dep");
        var other = FeatureLabeller.Run(Planted.Codes(Words, Deaf), Words, Rules).Features().Single(f => f.Task == "dep");
        Assert.Equal(own.Threshold, other.Threshold);
        Assert.False(other.Consistent); // and what held only on train does not pass
    }

    [Fact]
    public void Under_shuffled_labels_thresholds_establish_nothing()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var run = FeatureLabeller.Run(Codes, ShuffledLabels.Of(Words, seed), Rules);
            Assert.All(run.Layer.Tasks, task => Assert.Empty(task.Consistent));
        }
    }

    [Fact]
    public void Two_valued_features_have_no_threshold_to_choose()
    {
        foreach (var feature in FeatureLabeller.Run(TokenTypeDetectors.Codes(Words), Words, Rules).Features())
            Assert.Equal(0, feature.Threshold);
    }
}
