using System.Text.Json;
using SaeService.Contracts;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class FeatureLabellerTests
{
    private static readonly LabelRules Rules = new() { BootstrapSamples = 200 };
    private static readonly LabelledWords Words = Planted.Words();

    [Fact]
    public void A_planted_feature_is_found_with_its_label()
    {
        var run = FeatureLabeller.Run(Planted.Codes(Words, Planted.Detector(Words, "dep", "nsubj"), Planted.Noise(0.05, 9)), Words, Rules);
        var found = Assert.Single(run.Layer.Tasks.Single(t => t.Task == "dep").Consistent);
        Assert.Equal(0, found.Index);
        Assert.Equal("nsubj", found.DominantLabel);
        Assert.Equal(FeatureKind.Contextual, found.Kind); // forms say nothing of dep, so all of its precision is context
        Assert.Equal(found.Consistency - found.BaseRate / (1 - 1.0 / 12) * (11.0 / 12), found.ContextGain, 0.05);
        Assert.True(found.ContextGainCi95![0] > 0.5);
        Assert.Equal(0.8, found.Recall, 0.05);
        Assert.Equal("nsubj", found.LabelDistribution.First().Key);
        Assert.True(found.LexicalDiversity > 50);
        Assert.True(found.MiBits > 0.3 && found.ExpectedMiBits < 0.01);
        Assert.Empty(run.Layer.Tasks.Single(t => t.Task == "ner").Consistent);
    }

    [Fact]
    public void Measures_equal_counting_by_hand()
    {
        var codes = Planted.Codes(Words, Planted.Detector(Words, "dep", "obl", share: 0.6, otherwise: 0.05));
        var feature = FeatureLabeller.Run(codes, Words, Rules).Features().Single(f => f.Task == "dep");
        var detector = Planted.Detector(Words, "dep", "obl", share: 0.6, otherwise: 0.05);
        var held = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) != Part.Train).ToArray();
        var fires = held.Where(w => detector(w) > 0).ToArray();
        var hits = fires.Where(w => Words.Carries("dep", "obl", w)).ToArray();
        var positives = held.Where(w => Words.Carries("dep", "obl", w)).Select(detector).ToArray();
        var negatives = held.Where(w => !Words.Carries("dep", "obl", w)).Select(detector).ToArray();
        var table = new Contingency(hits.Length, fires.Length, positives.Length, held.Length);
        Assert.Equal(fires.Length, feature.Support);
        Assert.Equal(fires.Select(w => Words.Sentence[w]).Distinct().Count(), feature.Sentences);
        Assert.Equal(table.Precision, feature.Consistency, 12);
        Assert.Equal(table.F1, feature.F1, 12);
        Assert.Equal(table.Mcc, feature.Mcc, 12);
        Assert.Equal(hits.Sum(w => (double)detector(w)) / fires.Sum(w => (double)detector(w)), feature.WeightedConsistency, 9);
        var won = positives.Sum(p => negatives.Sum(n => p > n ? 1.0 : p == n ? 0.5 : 0));
        Assert.Equal(won / ((double)positives.Length * negatives.Length), feature.Auroc!.Value, 10);
        Assert.Equal(hits.Length, feature.LabelDistribution["obl"]);
        var byForm = fires.GroupBy(w => Words.Type[w]).Select(g => g.Count()).ToArray();
        Assert.Equal(Math.Pow(2, DiscreteInformation.EntropyBits(byForm)), feature.LexicalDiversity, 9);
        var gain = fires.Average(w =>
        {
            var same = Enumerable.Range(0, Words.Count).Where(v => Words.PartOf(v) == Part.Train && Words.Type[v] == Words.Type[w]).ToArray();
            return (Words.Carries("dep", "obl", w) ? 1.0 : 0) - (double)same.Count(v => Words.Carries("dep", "obl", v)) / same.Length;
        });
        Assert.Equal(gain, feature.ContextGain, 9);
    }

    [Fact]
    public void How_strongly_a_feature_fires_is_information_too()
    {
        // It fires on every word, so that whether it fires says nothing; strongly on subjects, weakly on the rest.
        var strength = Planted.Noise(1, 5);
        var codes = Planted.Codes(Words, w => 0.5f + 0.4f * strength(w) + (Words.Carries("dep", "nsubj", w) ? 10 : 0), Planted.Noise(0.02, 6), _ => 0,
            w => w % 700 == 0 ? 1 + w : 0);
        var features = FeatureLabeller.Run(codes, Words, Rules with { ChooseThresholds = false }).Features().Where(f => f.Task == "dep").ToDictionary(f => f.Index);
        var held = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) != Part.Train).ToArray();
        var share = (double)held.Count(w => Words.Carries("dep", "nsubj", w)) / held.Length;
        var binary = -share * Math.Log2(share) - (1 - share) * Math.Log2(1 - share);
        Assert.Equal(0, features[0].MiBits);
        Assert.Equal(binary, features[0].MiMagnitudeBits!.Value, 0.03);
        // A detector of all or nothing, at random, holds nothing either way: the zeros are one value, not many neighbours.
        Assert.InRange(features[1].MiMagnitudeBits!.Value, 0, 0.004);
        Assert.True(features[1].MiLog10P > -4);
        Assert.Equal(features[1].MiBits - features[1].ExpectedMiBits, features[1].ExcessMiBits!.Value, 12);
        Assert.True(features[3].Support < Rules.MinSupport);
        Assert.Null(features[3].MiMagnitudeBits);
    }

    [Fact]
    public void Without_strengths_that_tell_information_is_that_of_firing()
    {
        var dep = FeatureLabeller.Run(Planted.Codes(Words, Planted.Detector(Words, "dep", "nsubj")), Words, Rules with { ChooseThresholds = false })
            .Features().Single(f => f.Task == "dep");
        Assert.Equal(dep.MiBits, dep.MiMagnitudeBits!.Value, 0.01);
        var held = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) != Part.Train).ToArray();
        var entropy = DiscreteInformation.EntropyBits(held.GroupBy(w => Words.Task("dep").Of[w]).Select(g => g.Count()).ToArray());
        Assert.Equal(dep.MiBits / entropy, dep.NormalisedMi!.Value, 12);
        Assert.True(dep.MiLog10P < -100);
    }

    [Fact]
    public void The_majority_trap_a_feature_that_fires_at_random_on_text_that_is_mostly_O()
    {
        var run = FeatureLabeller.Run(Planted.Codes(Words, Planted.Noise(0.2, 3)), Words, Rules);
        var ner = run.Features().Single(f => f.Task == "ner");
        Assert.Equal("O", ner.LabelDistribution.First().Key);
        Assert.Equal(0.90, (double)ner.LabelDistribution["O"] / ner.Support, 0.03);
        Assert.NotEqual("O", ner.DominantLabel);
        Assert.Equal(0, ner.Kappa, 0.02);
        Assert.False(ner.Consistent);
        Assert.Empty(run.Layer.Tasks.SelectMany(t => t.Consistent));
        Assert.DoesNotContain(run.Layer.Tasks.Single(t => t.Task == "ner").Labels, l => l.Label == "O");
    }

    [Fact]
    public void The_token_detector_trap_a_feature_that_fires_on_one_form()
    {
        var the = FeatureLabeller.Run(Planted.Codes(Words, Planted.FormDetector(Words, Planted.The)), Words, Rules).Features().Single(f => f.Task == "pos");
        Assert.Equal("D", the.DominantLabel);
        Assert.Equal(1, the.Consistency);
        Assert.Equal(FeatureKind.Lexical, the.Kind);
        Assert.Equal(1, the.LexicalDiversity);
        Assert.Equal(0, the.ContextGain);
    }

    [Fact]
    public void Shuffled_labels_establish_nothing()
    {
        Func<int, float>[] features =
        [
            Planted.Detector(Words, "dep", "nsubj"), Planted.Detector(Words, "pos", "N", seed: 2), Planted.FormDetector(Words, 0),
            Planted.FormDetector(Words, The),
            .. Enumerable.Range(0, 20).Select(n => Planted.Noise(0.02, 100 + n)),
        ];
        var codes = Planted.Codes(Words, features);
        for (var repeat = 0; repeat < 20; repeat++)
            Assert.Empty(FeatureLabeller.Run(codes, ShuffledLabels.Of(Words, repeat), Rules).Layer.Tasks.SelectMany(t => t.Consistent));
    }

    [Fact]
    public void Shuffling_keeps_the_margins()
    {
        var shuffled = ShuffledLabels.Of(Words, 1);
        foreach (var (before, after) in Words.Tasks.Zip(shuffled.Tasks))
        {
            Assert.NotEqual(before.Of, after.Of);
            Assert.Equal(before.Of.Order(), after.Of.Order());
        }
    }

    [Fact]
    public void The_union_by_document_adds_up_to_the_union()
    {
        var a = Planted.Detector(Words, "dep", "obj", share: 0.3, otherwise: 0.001, seed: 5);
        var b = Planted.Detector(Words, "dep", "obj", share: 0.3, otherwise: 0.001, seed: 6);
        var layer = FeatureLabeller.Run(Planted.Codes(Words, a, b), Words, Rules).Layer;
        var label = layer.Tasks.Single(t => t.Task == "dep").Labels.Single(l => l.Label == "obj");
        Assert.Equal(2, label.Features);
        var held = Enumerable.Range(0, Words.Count).Where(w => Words.PartOf(w) != Part.Train).ToArray();
        bool Fires(int word) => a(word) > 0 || b(word) > 0;
        for (var n = 0; n < layer.HeldOutDocuments.Length; n++)
        {
            var of = held.Where(w => Words.Document[w] == layer.HeldOutDocuments[n]).ToArray();
            Assert.Equal(of.Count(w => Fires(w) && Words.Carries("dep", "obj", w)), label.Union!.TruePositives[n]);
            Assert.Equal(of.Count(w => Fires(w) && !Words.Carries("dep", "obj", w)), label.Union.FalsePositives[n]);
            Assert.Equal(of.Count(w => !Fires(w) && Words.Carries("dep", "obj", w)), label.Union.FalseNegatives[n]);
        }
        Assert.Equal(label.HeldOutWords, label.Union!.TruePositives.Sum() + label.Union.FalseNegatives.Sum());
    }

    [Fact]
    public void Each_gate_can_fail_and_is_named()
    {
        var rare = Planted.Detector(Words, "dep", "nsubj", share: 0.005, otherwise: 0);
        var impure = Planted.Detector(Words, "dep", "obj", share: 0.8, otherwise: 0.2);
        var held = new HeldOutDocuments(Words);
        var drops = Planted.Detector(Words, "dep", "obl", share: 0.8, otherwise: 0.15);
        var pure = Planted.Detector(Words, "dep", "obl", share: 0.8, otherwise: 0);
        float Overfit(int word) => held.PositionOf(Words.Document[word]) < 0 ? pure(word) : drops(word);
        var labels = Dep(rare, impure, Overfit).Labels.ToDictionary(l => l.Label);
        Assert.Equal([FeatureGates.Support, FeatureGates.Sentences, FeatureGates.ConsistencyLower], labels["nsubj"].CandidateFailedGates);
        Assert.Equal([FeatureGates.ConsistencyLower, FeatureGates.Kappa], labels["obj"].CandidateFailedGates);
        Assert.Contains(FeatureGates.Drop, labels["obl"].CandidateFailedGates);
        Assert.All(labels.Values, l => Assert.Equal(0, l.Features));
    }

    [Fact]
    public void The_best_feature_of_a_label_is_chosen_on_train()
    {
        var held = new HeldOutDocuments(Words);
        var good = Planted.Detector(Words, "dep", "obj", share: 0.5, otherwise: 0);
        var lucky = Planted.Detector(Words, "dep", "obj", share: 0.9, otherwise: 0);
        // Better than the other on held-out documents only: choosing there would be cheating.
        float Late(int word) => held.PositionOf(Words.Document[word]) < 0 ? good(word) * (word % 3) : lucky(word);
        var best = Dep(good, Late).Labels.Single(l => l.Label == "obj").Best;
        Assert.Equal(0, best!.Index);
    }

    [Fact]
    public void Threads_and_repetition_change_nothing()
    {
        var codes = Planted.Codes(Words, [Planted.Detector(Words, "dep", "nsubj"), .. Enumerable.Range(0, 30).Select(n => Planted.Noise(0.01 + 0.005 * n, n))]);
        var runs = new[] { 1, 2, 2, 7 }.Select(threads => FeatureLabeller.Run(codes, Words, Rules, threads)).ToArray();
        var first = JsonSerializer.Serialize(runs[0].Layer) + JsonSerializer.Serialize(runs[0].Features());
        Assert.All(runs, run => Assert.Equal(first, JsonSerializer.Serialize(run.Layer) + JsonSerializer.Serialize(run.Features())));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        var layer = FeatureLabeller.Run(Planted.Codes(Words, Planted.Detector(Words, "dep", "nsubj"), Planted.Noise(0.1, 4)), Words, Rules).Layer;
        using var stream = new MemoryStream();
        layer.Write(stream);
        stream.Position = 0;
        Assert.Equal(JsonSerializer.Serialize(layer), JsonSerializer.Serialize(LayerLabelling.Read(stream)));
    }

    [Fact]
    public void Silent_features_and_unlabelled_words_are_no_trouble()
    {
        var dep = Words.Task("dep").Of.Select((label, word) => word % 2 == 0 ? -1 : label).ToArray();
        var half = Words with { Tasks = [Words.Task("dep") with { Of = dep }] };
        var run = FeatureLabeller.Run(Planted.Codes(half, _ => 0, Planted.Noise(0.5, 1), word => Words.PartOf(word) == Part.Train ? 1 : 0,
            word => Words.PartOf(word) == Part.Train ? 0 : 1), half, Rules);
        Assert.Equal(3, run.Layer.Alive);
        Assert.Equal([1, 2], run.Features().Select(f => f.Index));
        Assert.Equal(0, run.Features().Last().Support);
        Assert.Equal(1, run.Layer.Tasks[0].Tests);
    }

    [Fact]
    public void Codes_of_other_words_are_refused()
    {
        var codes = Planted.Codes(Planted.Words(documents: 5), Planted.Noise(0.1, 1));
        Assert.Contains("rows", Assert.Throws<ArgumentException>(() => FeatureLabeller.Run(codes, Words, Rules)).Message, StringComparison.Ordinal);
        var allTrain = Words with { PartOfDocument = new Part[Words.PartOfDocument.Length] };
        var refused = Assert.Throws<ArgumentException>(() => FeatureLabeller.Run(Planted.Codes(Words, Planted.Noise(0.1, 1)), allTrain, Rules));
        Assert.Contains("held out", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rules_follow_the_request_and_have_its_documented_defaults()
    {
        var request = new JobRequest { Model = new ModelReference("m"), Dataset = new DatasetReference("d") };
        Assert.Equal(new LabelRules(), LabelRules.From(request));
        var asked = request with
        {
            Labels = new LabelSettings { MinSupport = 5, Kappa = 0.6 },
            Information = new InformationSettings { BootstrapSamples = 70 },
            Seed = 9,
        };
        Assert.Equal(new LabelRules { MinSupport = 5, Kappa = 0.6, BootstrapSamples = 70, Seed = 9 }, LabelRules.From(asked));
    }

    private const int The = Planted.The;

    private static TaskLabelling Dep(params IReadOnlyList<Func<int, float>> features) =>
        FeatureLabeller.Run(Planted.Codes(Words, features), Words, Rules).Layer.Tasks.Single(t => t.Task == "dep");
}
