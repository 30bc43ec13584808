using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class DatasetStatisticsTests
{
    private static DatasetStatistics Compute(IEnumerable<Sentence> sentences) =>
        DatasetStatistics.Compute(sentences, seed: 0, TestContext.Current.CancellationToken);

    // Counted by an independent script (Python, collections.Counter) over the same two files.
    [Fact]
    public void Real_treebank_against_an_independent_count()
    {
        var statistics = Compute(DatasetFolder.Open(SharedData.Require("data/gold/ewt-uner")).Read(["dev", "test"]));
        Assert.Equal((634, 4_078, 50_241), (statistics.Documents, statistics.Sentences, statistics.Words));
        Assert.Equal(["pos", "dep", "ner"], statistics.Tasks.Select(t => t.Task));
        var (pos, dep, ner) = (statistics.Tasks[0], statistics.Tasks[1], statistics.Tasks[2]);
        Assert.Equal(3.6218079544643347, pos.EntropyBits, 1e-9);
        Assert.Equal(4.346057038822407, dep.EntropyBits, 1e-9);
        Assert.Equal(0.4393121477372465, ner.EntropyBits, 1e-9);
        Assert.Equal(0.1658605521386915, pos.Majority, 1e-12);
        Assert.Equal(0.13670110069465177, pos.AmbiguousTypeShare, 1e-12);
        Assert.Equal(0.2835333691606457, dep.AmbiguousTypeShare, 1e-12);
        Assert.Equal(0.020162815230588563, ner.AmbiguousTypeShare, 1e-12);
        Assert.Equal(("NOUN", 8_333), (pos.Labels.First().Key, pos.Labels.First().Value));
        Assert.Equal([("pos:PUNCT", "dep:punct"), ("pos:DET", "dep:det"), ("pos:CCONJ", "dep:cc"), ("pos:ADP", "dep:case")],
            statistics.Aliases.Select(a => (a.Left, a.Right)));
        Assert.Equal(0.9927078269324259, statistics.Aliases[0].Jaccard, 1e-12);
        // Method section 0 has 0.884 and 0.630 for a larger treebank of the same language.
        Assert.InRange(pos.TypeBaselineAccuracy, 0.80, 0.90);
        Assert.InRange(dep.TypeBaselineAccuracy, 0.55, 0.65);
        Assert.Contains(statistics.Warnings, w => w.StartsWith("task 'dep'", StringComparison.Ordinal) && w.Contains("not scored"));
    }

    [Fact]
    public void A_label_that_the_form_decides_is_tagged_without_error_and_one_by_chance_is_not()
    {
        var random = new Random(2);
        var statistics = Compute(Enumerable.Range(0, 400).Select(i => ToyTokenizers.Sentence($"s{i}", $"d{i / 4}", "a b a b") with
        {
            Labels = new Dictionary<string, string?[]>
            {
                ["sure"] = ["A", "B", "A", "B"],
                ["chance"] = [.. Enumerable.Range(0, 4).Select(_ => random.Next(2) == 0 ? "X" : "Y")],
                ["absent"] = new string?[4],
            },
        }));
        Assert.Equal(["sure", "chance"], statistics.Tasks.Select(t => t.Task));
        Assert.Equal((1.0, 1.0, 0.0, 0.5), (statistics.Tasks[0].TypeBaselineAccuracy, statistics.Tasks[0].EntropyBits, statistics.Tasks[0].AmbiguousTypeShare, statistics.Tasks[0].Majority));
        Assert.InRange(statistics.Tasks[1].TypeBaselineAccuracy, 0.4, 0.6);
        Assert.Equal(1.0, statistics.Tasks[1].AmbiguousTypeShare);
        Assert.Empty(statistics.Aliases);
        Assert.Empty(statistics.Warnings);
    }

    // grep over the same two files: `cut -f6 | grep -c Number=`, and the values that are there.
    [Fact]
    public void Further_columns_of_a_real_treebank_are_listed_in_the_same_pass()
    {
        var read = DatasetFolder.Open(SharedData.Require("data/gold/ewt-uner")).Read(["dev"], new ReadSettings { Further = true });
        var statistics = Compute(read);
        Assert.Equal(["pos", "dep", "ner"], statistics.Tasks.Select(t => t.Task));
        var further = statistics.Further.ToDictionary(t => t.Task);
        Assert.Equal(new("feats:Number", 9_629, 3, false), further["feats:Number"]);
        Assert.Equal(49, further["dep:full"].Labels);
        Assert.Equal(7, further["ner:bio"].Labels);
        Assert.Equal(new("capital", 25_147, 2, true), further["capital"]);
        Assert.Superset(new HashSet<string> { "xpos", "ner:boundary", "misc:CorrectForm", "position", "word-length", "sentence-final", "frequency" }, further.Keys.ToHashSet());
        Assert.DoesNotContain("misc:SpaceAfter", further.Keys); // one label only
    }

    [Fact]
    public void A_column_of_too_many_labels_is_no_task_and_frequency_is_counted_when_asked()
    {
        var sentences = Enumerable.Range(0, 5000).Select(i => ToyTokenizers.Sentence($"s{i}", $"d{i / 50}", $"w{i} the the") with
        {
            Further = new Dictionary<string, string?[]> { ["free"] = [$"t{i}", null, null], ["kind"] = ["A", "B", null], ["same"] = ["A", "A", "A"] },
        });
        var statistics = DatasetStatistics.Compute(sentences, 0, TestContext.Current.CancellationToken, asked: ["pos", "frequency"]);
        Assert.Equal([new FurtherTask("kind", 10_000, 2, false)], statistics.Further);
        var frequency = statistics.Tasks.Single(t => t.Task == "frequency");
        Assert.Equal((5000, 10_000), (frequency.Labels["1"], frequency.Labels["8192-16383"]));
    }

    [Fact]
    public void What_a_user_should_know_is_a_warning()
    {
        var statistics = Compute(Enumerable.Range(0, 60).Select(i => ToyTokenizers.Sentence("same", "d", "a b c", w => w == 0 ? "X" : w == 1 && i == 0 ? "Y" : null) with
        {
            TextReconstructed = true,
        }));
        Assert.Contains(statistics.Warnings, w => w.StartsWith("1 document:", StringComparison.Ordinal));
        Assert.Contains("60 of 60 sentences have no raw text", string.Join('\n', statistics.Warnings));
        Assert.Contains("59 sentences repeat the identifier", string.Join('\n', statistics.Warnings));
        Assert.Contains("task 'pos': 1 label on fewer than 50 words is not scored: Y", statistics.Warnings);
        Assert.Contains("task 'pos': 119 of 180 words are not labelled", statistics.Warnings);
    }
}
