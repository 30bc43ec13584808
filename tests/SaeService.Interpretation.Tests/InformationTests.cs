using System.Text.Json;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Interpretation.Tests;

public class InformationTests
{
    private static readonly InformationRules Rules = new() { MaxTrainWords = 20_000, BootstrapSamples = 200 };

    [Fact]
    public void Planted_information_is_found_and_shuffled_labels_hold_none()
    {
        var sample = new InformationSample(count: 25_000, dimension: 64, spread: 0.28, sigma: 1.3, seed: 3);
        var truth = sample.TrueInformation();
        var words = Choose(sample, Rules);
        var choice = VInformation.ChooseLambda(sample.Words, sample.Task, words, 64, sample.Gather, Rules, cancel: Cancel);
        var measured = VInformation.Measure(sample.Words, sample.Task, words, 3, 64, sample.Gather, choice.Lambda, Rules, cancel: Cancel);

        Assert.InRange(truth, 1.2, 1.7);
        Assert.Equal(truth, measured.Layer.IvBits.Value, 0.1);
        Assert.InRange(measured.Layer.IvBits.Value, measured.Layer.IvBits.Ci95[0], measured.Layer.IvBits.Ci95[1]);
        Assert.InRange(measured.Layer.ShuffledBits, -0.05, 0.02);
        // Types are drawn apart from labels: a table of them knows nothing, and no vector tells of a type.
        Assert.InRange(measured.TypeInformationBits, -0.05, 0.02);
        Assert.InRange(measured.Layer.ControlBits, -0.05, 0.02);
        Assert.Equal(measured.Layer.IvBits.Value, measured.Layer.SelectivityBits, 0.05);
        Assert.Equal(3, measured.Layer.Layer);
    }

    [Fact]
    public void Neither_order_nor_threads_nor_a_second_run_change_a_bit()
    {
        var sample = Small();
        var given = new TaskLabels("other", ["a", "b", "c"], [.. sample.Words.Type.Select(type => type % 3)], new HashSet<int>());
        string Run(int threads)
        {
            var rules = Rules with { Threads = threads, MaxTrainWords = 1500 };
            return JsonSerializer.Serialize(
                VInformation.Measure(sample.Words, sample.Task, Choose(sample, rules), 1, 12, sample.Gather, 1e-2, rules, given, cancel: Cancel));
        }
        var one = Run(1);
        Assert.Equal(one, Run(1));
        Assert.Equal(one, Run(7));
        var read = JsonSerializer.Deserialize<TaskInformation>(one)!;
        Assert.Equal(one, JsonSerializer.Serialize(read));
    }

    [Fact]
    public void Sums_by_document_carry_the_published_numbers()
    {
        var sample = Small();
        var measured = Measure(sample);
        double words = measured.Words.Sum();
        Assert.Equal(measured.Layer.IvBits.NTest, words);
        Assert.Equal(measured.Layer.IvBits.Value, (measured.MarginalBits.Sum() - measured.LayerBits.Sum()) / words, 1e-9);
        Assert.Equal(measured.Layer.ContextGainBits.Value, (measured.TypeBits.Sum() - measured.LayerBits.Sum()) / words, 1e-9);
        Assert.Equal(measured.TypeInformationBits, (measured.MarginalBits.Sum() - measured.TypeBits.Sum()) / words, 1e-9);
        Assert.Equal(measured.Layer.ControlBits, (measured.ControlMarginalBits.Sum() - measured.ControlLayerBits.Sum()) / words, 1e-9);
        Assert.All(measured.Documents, document => Assert.Equal(Part.Test, sample.Words.PartOfDocument[document]));
        Assert.Equal(sample.Words.PartOfDocument.Count(part => part == Part.Test), measured.Documents.Length);
        foreach (var (label, sums) in measured.Layer.PerLabel.Zip(measured.PerLabel))
        {
            Assert.Equal(label.Label, sums.Label);
            Assert.Equal(label.Support, sums.Positives.Sum());
            Assert.Equal(label.IvBits, (sums.MarginalBits.Sum() - sums.LayerBits.Sum()) / words, 1e-9);
            Assert.Equal(label.Normalised, 1 - sums.LayerBits.Sum() / sums.MarginalBits.Sum(), 1e-9);
            // A question about one label cannot be answered better than the whole: binary information is at most the task's.
            Assert.InRange(label.IvBits, -0.05, measured.Layer.IvBits.Value + 0.01);
        }
        Assert.Equal(words, measured.PerLabel.Sum(label => label.Positives.Sum()));
    }

    [Fact]
    public void Intervals_are_those_of_the_resamples_that_another_stage_draws_again()
    {
        var measured = Measure(Small());
        var again = new DocumentBootstrap(measured.Documents.Length, Rules.BootstrapSamples, Rules.Seed);
        double[] Interval(double[] bits) => DocumentBootstrap.Interval(again.Ratios(bits, Array.ConvertAll(measured.Words, w => (double)w)));
        Assert.Equal(Interval([.. measured.MarginalBits.Zip(measured.LayerBits, (m, l) => m - l)]), measured.Layer.IvBits.Ci95);
        foreach (var (label, sums) in measured.Layer.PerLabel.Zip(measured.PerLabel))
            Assert.Equal(Interval([.. sums.MarginalBits.Zip(sums.LayerBits, (m, l) => m - l)]), label.Ci95);
    }

    [Fact]
    public void Each_labels_F1_is_that_of_the_likeliest_class_of_probe_and_table()
    {
        // Type is all for the table; for the vectors nothing: the probe takes everything for the label that is most common.
        var noise = new InformationSample(count: 6000, dimension: 12, spread: 0, sigma: 1, seed: 5, types: 40);
        var task = noise.Task with { Of = [.. noise.Words.Type.Select(type => type % 5 is var y && y < 3 ? 0 : y - 2)] };
        var measured = VInformation.Measure(noise.Words, task, ProbeWords.Choose(noise.Words, task, 20_000, 1), 0, 12, noise.Gather, 1e-1, Rules, cancel: Cancel);
        Assert.All(measured.Layer.PerLabel, label => Assert.Equal(1, label.TypeF1));
        Assert.Equal(1, measured.TypeMacroF1);
        var share = (double)measured.Layer.PerLabel[0].Support / measured.Layer.IvBits.NTest;
        Assert.Equal(2 * share / (1 + share), measured.Layer.PerLabel[0].ProbeF1!.Value, 0.02);
        Assert.All(measured.Layer.PerLabel.Skip(1), label => Assert.InRange(label.ProbeF1!.Value, 0, 0.1));
        Assert.Equal(measured.Layer.MacroF1, measured.Layer.PerLabel.Average(label => label.ProbeF1!.Value), 1e-12);
    }

    [Fact]
    public void The_word_type_table_is_worth_what_it_should_where_type_is_all()
    {
        // The label is a function of the type, and the vectors are noise: all is in the table, nothing in the layer.
        var noise = new InformationSample(count: 6000, dimension: 12, spread: 0, sigma: 1, seed: 5, types: 40);
        var task = noise.Task with { Of = [.. noise.Words.Type.Select(type => type % 5)] };
        var words = ProbeWords.Choose(noise.Words, task, 20_000, 1);
        var measured = VInformation.Measure(noise.Words, task, words, 0, 12, noise.Gather, 1e-2, Rules, cancel: Cancel);
        Assert.True(measured.TypeInformationBits > 0.98 * measured.EntropyBits);
        Assert.Equal(1, measured.TypeAccuracy);
        Assert.InRange(measured.Layer.IvBits.Value, -0.05, 0.02);
        Assert.True(measured.Layer.ContextGainBits.Ci95![1] < 0);
    }

    [Fact]
    public void The_control_task_is_read_from_vectors_that_name_the_type()
    {
        // One-hot word types: a probe can learn any labelling of types, so the control task is easy and selectivity is gone.
        var sample = new InformationSample(count: 6000, dimension: 20, spread: 0, sigma: 1, seed: 6, types: 20);
        void OneHot(ReadOnlySpan<int> words, Span<float> into)
        {
            into.Clear();
            for (var i = 0; i < words.Length; i++)
                into[i * 20 + sample.Words.Type[words[i]]] = 1;
        }
        var task = sample.Task with { Of = [.. sample.Words.Type.Select(type => type % 4)] };
        var measured = VInformation.Measure(sample.Words, task, ProbeWords.Choose(sample.Words, task, 20_000, 1), 0, 20, OneHot, 1e-4, Rules, cancel: Cancel);
        Assert.Equal(1, measured.ControlAccuracy);
        Assert.Equal(1, measured.Layer.Accuracy);
        Assert.InRange(measured.Layer.ContextGainBits.Value, -0.05, 0.05);
        Assert.True(measured.Layer.ControlBits > 0.9 * measured.ControlMarginalBits.Sum() / measured.Words.Sum());
    }

    [Fact]
    public void Information_beyond_another_task_is_what_that_task_does_not_say()
    {
        var sample = Small();
        // 'coarse' is a function of the label; 'self' says all of it.
        var coarse = new TaskLabels("coarse", ["even", "odd"], [.. sample.Task.Of.Select(label => label % 2)], new HashSet<int>());
        var self = sample.Task with { Task = "self" };
        var words = Choose(sample, Rules);
        TaskInformation Given(TaskLabels task) =>
            VInformation.Measure(sample.Words, sample.Task, words, 0, 12, sample.Gather, 1e-3, Rules, task, cancel: Cancel);
        var beyondCoarse = Given(coarse);
        Assert.InRange(beyondCoarse.Layer.GivenPosBits!.Value, 0.1, beyondCoarse.Layer.IvBits.Value - 0.1);
        Assert.InRange(Given(self).Layer.GivenPosBits!.Value, -0.02, 0.05);
        Assert.InRange(beyondCoarse.Layer.GivenPosBits.Value, beyondCoarse.Layer.GivenPosCi95![0], beyondCoarse.Layer.GivenPosCi95[1]);
        // Of a label of its own, too: less than the vectors say of it at all, more than nothing; nothing once the label itself is given.
        var common = beyondCoarse.Layer.PerLabel.Where(label => label.Support > 50).ToArray();
        Assert.NotEmpty(common);
        Assert.All(common, label => Assert.InRange(label.GivenPosBits!.Value, 0.001, label.IvBits));
        Assert.All(Given(self).Layer.PerLabel, label => Assert.InRange(label.GivenPosBits!.Value, -0.02, 0.02));
        Assert.All(Measure(sample).Layer.PerLabel, label => Assert.Null(label.GivenPosBits));
        Assert.Null(Measure(sample).Layer.GivenPosBits);
        Assert.Throws<ArgumentException>(() => Given(sample.Task));
    }

    [Fact]
    public void Words_are_drawn_by_part_and_the_same_for_every_cap()
    {
        var sample = Small();
        sample.Task.Of[0] = sample.Task.Of[17] = -1;
        var all = ProbeWords.Choose(sample.Words, sample.Task, int.MaxValue, 4);
        var some = ProbeWords.Choose(sample.Words, sample.Task, 700, 4);
        var few = ProbeWords.Choose(sample.Words, sample.Task, 300, 4);
        Assert.Equal(700, some.Train.Length);
        Assert.Subset(some.Train.ToHashSet(), few.Train.ToHashSet());
        Assert.Equal(all.Test, few.Test);
        Assert.DoesNotContain(17, all.Train);
        Assert.All(all.Train, word => Assert.Equal(Part.Train, sample.Words.PartOf(word)));
        Assert.All(all.Dev, word => Assert.Equal(Part.Dev, sample.Words.PartOf(word)));
        Assert.Equal(sample.Words.Count - 2, all.Train.Length + all.Dev.Length + all.Test.Length);
        Assert.Equal(some.Train.Order(), some.Train);
        Assert.NotEqual(some.Train, ProbeWords.Choose(sample.Words, sample.Task, 700, 5).Train);
    }

    [Fact]
    public void A_label_that_train_lacks_is_not_scored_and_a_small_one_is_flagged()
    {
        var sample = Small();
        var words = sample.Words;
        var rare = Enumerable.Range(0, words.Count).Where(word => words.PartOf(word) == Part.Test).Take(3).ToArray();
        var task = sample.Task with { Names = [.. sample.Task.Names, "unseen"] };
        foreach (var word in rare)
            task.Of[word] = task.Names.Length - 1;
        var measured = VInformation.Measure(words, task, ProbeWords.Choose(words, task, 20_000, 1), 0, 12, sample.Gather, 1e-2, Rules, cancel: Cancel);
        Assert.Equal(3, measured.WordsOfUnseenLabels);
        Assert.DoesNotContain(measured.PerLabel, label => label.Label == "unseen");
        Assert.Contains("L16", measured.SmallLabels);
        Assert.DoesNotContain("L00", measured.SmallLabels);
    }

    [Fact]
    public void What_cannot_be_measured_is_refused_by_name()
    {
        var sample = Small();
        string Message(TaskLabels task) => Assert.Throws<UnmeasurableTaskException>(() => VInformation.Measure(
            sample.Words, task, ProbeWords.Choose(sample.Words, task, 20_000, 1), 0, 12, sample.Gather, 1e-2, Rules, cancel: Cancel)).Message;
        TaskLabels Where(Func<int, bool> keep) => sample.Task with { Of = [.. sample.Task.Of.Select((label, word) => keep(word) ? label : -1)] };

        Assert.Equal("task 'pos': every train word has the label 'L02': there is nothing to tell apart",
            Message(sample.Task with { Of = [.. sample.Task.Of.Select(_ => 2)] }));
        Assert.StartsWith("task 'pos': only 0 words to train", Message(Where(_ => false)));
        Assert.StartsWith("task 'pos': only 0 words to score (test part)", Message(Where(word => sample.Words.PartOf(word) != Part.Test)));
        var noDev = Where(word => sample.Words.PartOf(word) != Part.Dev);
        Assert.Contains("(dev part)", Assert.Throws<UnmeasurableTaskException>(() => VInformation.ChooseLambda(
            sample.Words, noDev, ProbeWords.Choose(sample.Words, noDev, 20_000, 1), 12, sample.Gather, Rules, cancel: Cancel)).Message);
    }

    [Theory]
    [InlineData(Part.Train)]
    [InlineData(Part.Test)]
    public void A_vector_that_is_not_finite_is_refused_by_word(Part part)
    {
        var sample = Small();
        var word = Enumerable.Range(0, sample.Words.Count).Last(word => sample.Words.PartOf(word) == part);
        sample.Vectors[word * 12 + 4] = float.PositiveInfinity;
        var refusal = Assert.Throws<InvalidDataException>(() => Measure(sample));
        Assert.StartsWith($"the vector of word {word} holds", refusal.Message);
        Assert.EndsWith("in dimension 4", refusal.Message);
    }

    [Fact]
    public void A_measurement_can_be_cancelled()
    {
        var sample = Small();
        using var cancel = new CancellationTokenSource();
        void Gather(ReadOnlySpan<int> words, Span<float> into)
        {
            sample.Gather(words, into);
            cancel.Cancel();
        }
        Assert.ThrowsAny<OperationCanceledException>(() => VInformation.Measure(sample.Words, sample.Task, Choose(sample, Rules), 0, 12, Gather, 1e-2, Rules,
            cancel: cancel.Token));
    }

    [Fact]
    public void The_penalty_is_stronger_where_there_is_less_to_learn()
    {
        var clear = new InformationSample(count: 4000, dimension: 12, spread: 3, sigma: 1, seed: 8);
        var noise = new InformationSample(count: 4000, dimension: 12, spread: 0.05, sigma: 1, seed: 8);
        double Lambda(InformationSample sample) =>
            VInformation.ChooseLambda(sample.Words, sample.Task, Choose(sample, Rules), 12, sample.Gather, Rules, cancel: Cancel).Lambda;
        Assert.True(Lambda(clear) < 1e-2);
        Assert.True(Lambda(noise) > 1e-2);
    }

    [Fact]
    public void A_shuffled_control_keeps_the_labels_and_a_type_its_label()
    {
        int[] classes = [.. Enumerable.Range(0, 500).Select(i => i % 7)];
        var shuffled = ControlLabels.Shuffled(classes, 3, 0);
        Assert.Equal(classes.Order(), shuffled.Order());
        Assert.NotEqual(classes, shuffled);

        int[] types = [.. Enumerable.Range(0, 20_000).Select(i => i % 5000)];
        double[] marginal = [0.7, 0.2, 0.1];
        var control = ControlLabels.ByType(types, marginal, 9);
        Assert.Equal(control[..5000], control[5000..10_000]);
        for (var c = 0; c < 3; c++)
            Assert.Equal(marginal[c], control.Count(label => label == c) / 20_000.0, 0.03);
    }

    [Fact]
    public void Scikit_learn_finds_the_same_information_in_real_words()
    {
        var (words, task, vectors) = FormVectors.Of(SharedData.Require("data/gold/ewt-uner/en_ewt_uner-dev.conllu"));
        void Gather(ReadOnlySpan<int> chosen, Span<float> into)
        {
            for (var i = 0; i < chosen.Length; i++)
                vectors.AsSpan(chosen[i] * FormVectors.Dimension, FormVectors.Dimension).CopyTo(into[(i * FormVectors.Dimension)..]);
        }
        var chosen = ProbeWords.Choose(words, task, 5000, 1);
        var ours = VInformation.Measure(words, task, chosen, 0, FormVectors.Dimension, Gather, 1e-2, Rules, cancel: Cancel);
        Assert.Equal(0, ours.WordsOfUnseenLabels);
        float[] Vectors(int[] of)
        {
            var x = new float[of.Length * FormVectors.Dimension];
            Gather(of, x);
            return x;
        }
        var theirs = Sklearn.Information(FormVectors.Dimension, 1e-2, Vectors(chosen.Train), [.. chosen.Train.Select(word => task.Of[word])],
            Vectors(chosen.Test.ToArray()), [.. chosen.Test.Select(word => task.Of[word])]);
        Assert.Equal(theirs.MarginalBits, ours.MarginalBits.Sum() / ours.Words.Sum(), 1e-6);
        Assert.Equal(theirs.InformationBits, ours.Layer.IvBits.Value, 0.001);
        Assert.Equal(theirs.Accuracy, ours.Layer.Accuracy, 0.002);
        Assert.Equal(theirs.MacroF1, ours.Layer.MacroF1, 0.005);
        Assert.InRange(ours.Layer.IvBits.Value, 0.4, 3.5);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static InformationSample Small() => new(count: 5000, dimension: 12, spread: 0.8, sigma: 1, seed: 4);

    private static ProbeWords Choose(InformationSample sample, InformationRules rules) =>
        ProbeWords.Choose(sample.Words, sample.Task, rules.MaxTrainWords, rules.Seed);

    private static TaskInformation Measure(InformationSample sample) =>
        VInformation.Measure(sample.Words, sample.Task, Choose(sample, Rules), 0, 12, sample.Gather, 1e-2, Rules, cancel: Cancel);
}
