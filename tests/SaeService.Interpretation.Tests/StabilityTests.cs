using SaeService.Contracts;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>Whether labels explain features, and whether other documents or another seed would have given the same.</summary>
public sealed class StabilityTests
{
    private static readonly LabelRules Rules = new() { BootstrapSamples = 100 };
    private static readonly LabelledWords Words = Planted.Words();

    /// <summary>The same corpus with all of a document in one sentence: longer than a window.</summary>
    private static readonly LabelledWords Long = Words with { Sentence = Words.Document };

    private static FeatureSummary Dep(LabelledWords words, Func<int, float> feature) =>
        FeatureLabeller.Run(Planted.Codes(words, feature), words, Rules).Features().Single(f => f.Task == "dep");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Detection_and_fuzzing_equal_counting_by_hand(bool longSentences)
    {
        var words = longSentences ? Long : Words;
        var detector = Planted.Detector(words, "dep", "obl", share: 0.15, otherwise: 0.02);
        var detection = FeatureLabeller.Run(Planted.Codes(words, detector), words, Rules with { ChooseThresholds = false }).Features().Single(f => f.Task == "dep").Detection!;

        var windows = Enumerable.Range(0, words.Count).Where(w => words.PartOf(w) != Part.Train).GroupBy(w => words.Sentence[w])
            .SelectMany(sentence => sentence.Chunk(32).Select(window => (Window: window, Sentence: sentence.ToArray()))).ToArray();
        bool Carries(int word) => words.Carries("dep", "obl", word);
        var firing = windows.Where(w => w.Window.Any(word => detector(word) > 0)).ToArray();
        var silent = windows.Except(firing).ToArray();
        Assert.Equal((firing.Length, silent.Length), (detection.FiringWindows, detection.SilentWindows));
        Assert.Equal((firing.Average(w => w.Window.Any(Carries) ? 1.0 : 0) + silent.Average(w => w.Window.Any(Carries) ? 0.0 : 1)) / 2, detection.Accuracy, 12);

        // The controls, by shuffling for real.
        double accuracy = 0, fuzzing = 0;
        const int Shuffles = 300;
        var fired = firing.SelectMany(w => w.Window.Where(word => detector(word) > 0)).ToArray();
        var others = firing.SelectMany(w => w.Window.Where(word => detector(word) == 0)).ToArray();
        for (var shuffle = 0; shuffle < Shuffles; shuffle++)
        {
            var random = new CounterRandom(5, shuffle);
            var carries = new HashSet<int>();
            foreach (var sentence in windows.Select(w => w.Sentence).DistinctBy(s => s[0]))
            {
                var dealt = sentence.Select(Carries).ToArray();
                random.Shuffle<bool>(dealt);
                carries.UnionWith(sentence.Where((_, i) => dealt[i]));
            }
            accuracy += (firing.Average(w => w.Window.Any(carries.Contains) ? 1.0 : 0) + silent.Average(w => w.Window.Any(carries.Contains) ? 0.0 : 1)) / 2 / Shuffles;
            fuzzing += (fired.Average(w => carries.Contains(w) ? 1.0 : 0) + others.Average(w => carries.Contains(w) ? 0.0 : 1)) / 2 / Shuffles;
        }
        Assert.Equal(accuracy, detection.Control, 0.01);
        Assert.Equal((fired.Average(w => Carries(w) ? 1.0 : 0) + others.Average(w => Carries(w) ? 0.0 : 1)) / 2, detection.Fuzzing!.Value, 12);
        Assert.Equal(fuzzing, detection.FuzzingControl!.Value, 0.01);
        if (!longSentences)
            Assert.Equal(detection.Accuracy, detection.Control, 12); // a sentence keeps its labels
        Assert.True(detection.Fuzzing > detection.FuzzingControl + 0.1);
    }

    [Fact]
    public void A_label_that_explains_everything_detects_everything_and_one_that_explains_nothing_half()
    {
        var all = Dep(Words, Planted.Detector(Words, "dep", "obl", share: 1, otherwise: 0)).Detection;
        Assert.Equal((1, 1.0), (all!.Accuracy, all.Fuzzing!.Value));
        var none = Dep(Long, Planted.Noise(0.01, 5)).Detection!;
        Assert.Equal(0.5, none.Accuracy, 0.05);
        Assert.Equal(0.5, none.Fuzzing!.Value, 0.1);
        Assert.Null(Dep(Words, _ => 1).Detection);
    }

    [Fact]
    public void Unlabelled_words_belong_to_no_window()
    {
        var half = Words with { Tasks = [Words.Task("dep") with { Of = [.. Words.Task("dep").Of.Select((label, word) => word % 24 < 12 ? label : -1)] }] };
        var held = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) != Part.Train && w % 24 < 12).Select(w => Words.Sentence[w]).Distinct().Count();
        var detection = Dep(half, Planted.Detector(half with { Tasks = Words.Tasks }, "dep", "obl", share: 0.2)).Detection!;
        Assert.Equal(held, detection.FiringWindows + detection.SilentWindows);
    }

    [Fact]
    public void Halves_of_the_documents_agree_on_a_planted_label_and_not_on_noise()
    {
        // Noise that fires now on this label more, now on that, by document: what one half says the other does not.
        Func<int, float>[] features =
        [
            Planted.Detector(Words, "dep", "nsubj", share: 0.5, otherwise: 0.01), Planted.Detector(Words, "dep", "obj", share: 0.7, otherwise: 0.02, seed: 2),
            Planted.Detector(Words, "dep", "obl", share: 0.3, otherwise: 0.1, seed: 3),
        ];
        var run = FeatureLabeller.Run(Planted.Codes(Words, features), Words, Rules);
        var split = run.Layer.Tasks.Single(t => t.Task == "dep").Split!;
        Assert.Equal((3, 1.0, 1.0), (split.Features, split.Agreement!.Value, split.Kappa!.Value));
        Assert.Equal(1, split.Spearman!.Value, 12); // 0.96, 0.94 and 0.5: in the same order in both
        Assert.All(run.Features().Where(f => f.Task == "dep"), f => Assert.True(f.SplitAgrees));

        var noise = FeatureLabeller.Run(Planted.Codes(Words, [.. Enumerable.Range(0, 200).Select(n => Planted.Noise(0.02, 300 + n))]), Words, Rules);
        var ofNoise = noise.Layer.Tasks.Single(t => t.Task == "dep").Split!;
        Assert.Equal(200, ofNoise.Features);
        Assert.InRange(ofNoise.Kappa!.Value, -0.2, 0.2);
        Assert.InRange(ofNoise.Spearman!.Value, -0.4, 0.4);
        Assert.Contains(noise.Features(), f => f is { Task: "dep", SplitAgrees: false });
    }

    [Fact]
    public void Halves_are_disjoint_equal_and_both_of_all_parts()
    {
        var places = new WordPlaces(Words, 3);
        var halves = Enumerable.Range(0, Words.Count).GroupBy(w => Words.Document[w]).Select(d => (Part: Words.PartOf(d.First()), Halves: d.Select(places.Half).Distinct().ToArray())).ToArray();
        Assert.All(halves, d => Assert.Single(d.Halves));
        Assert.Equal(18, halves.Count(d => d.Part == Part.Train && d.Halves[0] == 0));
        Assert.Equal(18, halves.Count(d => d.Part == Part.Train && d.Halves[0] == 1));
        Assert.Equal(12, halves.Count(d => d.Part != Part.Train && d.Halves[0] == 1));
        Assert.NotEqual(Enumerable.Range(0, Words.Count).Select(places.Half), Enumerable.Range(0, Words.Count).Select(new WordPlaces(Words, 4).Half));
    }

    [Fact]
    public void A_silent_half_says_nothing()
    {
        var places = new WordPlaces(Words, Rules.Seed);
        var detector = Planted.Detector(Words, "dep", "nsubj");
        Assert.Null(Dep(Words, word => places.Half(word) == 0 ? detector(word) : 0).SplitAgrees);
    }

    [Fact]
    public void The_modal_label_has_no_base_rate_and_the_dominant_one_has()
    {
        var feature = FeatureLabeller.Run(Planted.Codes(Words, Planted.Detector(Words, "ner", "PER", share: 0.4, otherwise: 0.05)), Words, Rules).Features().Single(f => f.Task == "ner");
        Assert.Equal(("O", "PER"), (feature.ModalLabel, feature.DominantLabel));
    }

    [Fact]
    public void The_strongest_tenth_is_told_apart_with_ties_in_part()
    {
        var random = new CounterRandom(8, 1);
        // Strong on subjects, weak on anything; the tie at 2 straddles the tenth.
        var value = Enumerable.Range(0, Words.Count).Select(w => Words.Carries("dep", "nsubj", w) && random.NextDouble() < 0.05 ? 2f : random.NextDouble() < 0.2 ? 1f : 0).ToArray();
        var found = FeatureLabeller.Run(Planted.Codes(Words, w => value[w]), Words, Rules with { ChooseThresholds = false }).Features().Single(f => f.Task == "dep");
        var held = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) != Part.Train && value[w] > 0).ToArray();
        int wanted = (held.Length + 9) / 10, strong = held.Count(w => value[w] == 2);
        Assert.True(strong < wanted);
        var weak = held.Where(w => value[w] == 1).ToArray();
        var expected = (strong + (wanted - strong) * weak.Average(w => Words.Carries("dep", found.DominantLabel, w) ? 1.0 : 0)) / wanted;
        Assert.Equal("nsubj", found.DominantLabel);
        Assert.Equal(expected, found.TopDecileConsistency!.Value, 12);
    }

    [Fact]
    public void Another_seed_is_matched_direction_by_direction()
    {
        const int F = 300, D = 32;
        var random = new CounterRandom(4, 4);
        float[] first = new float[F * D], second = new float[(F + 40) * D];
        for (var i = 0; i < first.Length; i++)
            first[i] = (float)random.NextNormal();
        // The second has the first 200 in another order, longer and a little turned; then 140 of its own, of which the last is no direction at all.
        for (var j = 0; j < F + 39; j++)
            for (var i = 0; i < D; i++)
                second[j * D + i] = j < 200 ? 3 * (first[(199 - j) * D + i] + 0.3f * (float)random.NextNormal()) : (float)random.NextNormal();
        string?[] labels = [.. Enumerable.Range(0, F).Select(f => f % 3 == 0 ? null : $"L{f % 3}")];
        string?[] others = [.. Enumerable.Range(0, F + 40).Select(f => f < 100 ? labels[199 - f] : f % 2 == 0 ? "L1" : null)];
        var compared = SeedMatching.Compare(Of(1, first, labels), Of(2, second, others));

        double Cosine(int i, int j)
        {
            double xy = 0, xx = 0, yy = 0;
            for (var n = 0; n < D; n++)
            {
                var (x, y) = ((double)first[i * D + n], (double)second[j * D + n]);
                (xy, xx, yy) = (xy + x * y, xx + x * x, yy + y * y);
            }
            return yy == 0 ? 0 : xy / Math.Sqrt(xx * yy);
        }
        // Greedy over all pairs, as it stands in the books.
        var pairs = (from i in Enumerable.Range(0, F) from j in Enumerable.Range(0, F + 40) let c = Cosine(i, j) where c >= 0.7 orderby c descending select (i, j)).ToArray();
        var match = new Dictionary<int, int>();
        foreach (var (i, j) in pairs)
            if (!match.ContainsKey(i) && !match.ContainsValue(j))
                match[i] = j;
        Assert.InRange(match.Count, 190, 210);
        Assert.Equal((F, F + 39), (compared.Features, compared.OtherFeatures));
        Assert.Equal(match.Count / (double)F, compared.Matched, 12);
        Assert.Equal(Enumerable.Range(0, F).Average(i => Enumerable.Range(0, F + 40).Max(j => Cosine(i, j))), compared.MeanLargestCosine, 1e-6);
        var of = Assert.Single(compared.Labels);
        Assert.Equal(200, of.Labelled);
        Assert.Equal(match.Count(m => labels[m.Key] is not null) / 200.0, of.Matched, 12);
        Assert.Equal(match.Count(m => labels[m.Key] is { } label && label == others[m.Value]) / 200.0, of.SameLabel, 12);
        Assert.InRange(of.ByChance, 0.1, of.SameLabel - 0.05);

        static SeededDictionary Of(int seed, float[] decoder, string?[] labels) => new(seed, decoder, D, new Dictionary<string, IReadOnlyList<string?>> { ["pos"] = labels });
    }

    [Fact]
    public void A_direction_learnt_many_times_over_is_matched_once_each()
    {
        var ones = Enumerable.Repeat(1f, 100 * 4).ToArray();
        var compared = SeedMatching.Compare(new(1, ones, 4, new Dictionary<string, IReadOnlyList<string?>>()), new(2, ones.AsMemory(0, 40), 4, new Dictionary<string, IReadOnlyList<string?>>()));
        Assert.Equal(0.1, compared.Matched, 12); // ten there are, for a hundred
        Assert.Equal(1, compared.MeanLargestCosine, 1e-6);
        Assert.Throws<ArgumentException>(() => SeedMatching.Compare(new(1, ones, 4, new Dictionary<string, IReadOnlyList<string?>>()), new(2, ones, 5, new Dictionary<string, IReadOnlyList<string?>>())));
    }
}
