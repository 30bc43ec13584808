using SaeService.Autoencoders;
using SaeService.Contracts;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Statistics;
using SaeService.Interpretation.Truth;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>The checks of <c>sae bench truth</c>, small: they hold for the product, and refuse what is broken on purpose.</summary>
public sealed class TruthTests
{
    private static readonly PlantedLanguage Language = new(new PlantedSettings(240, 60, 1));
    private static readonly IReadOnlyList<PlantedFeature> Features = PlantedFeatures.Of(Language, 40);
    private static readonly Lazy<Study> Study = new(() => PlantedTruth.Study(Language, Features, StudyRules.Default));
    private static readonly NullSettings Null = new() { Runs = 20 };

    public static TheoryData<string> Golden => [.. GoldenStatistics.Checks().Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Golden))]
    public void Statistics_equal_the_golden_values(string name) => Holds([GoldenStatistics.Checks().Single(c => c.Name == name)]);

    [Fact]
    public void Information_is_that_of_the_planted_mixture() =>
        Holds(PlantedTruth.Information(Language, PlantedTruth.Published(Study.Value), StudyRules.Default.Information.MaxTrainWords));

    [Fact]
    public void Planted_features_and_labels_are_found_where_they_were_planted() =>
        Holds([.. PlantedTruth.Features(Study.Value, Features), .. PlantedTruth.Conclusions(Language, Study.Value, Features)]);

    [Fact]
    public void Traps_are_seen() => Holds(Traps.Checks(StudyRules.Default, cancel: TestContext.Current.CancellationToken));

    [Fact]
    public void Documents_do_not_depend_on_threads() => Holds([TruthBench.SameBytes(seed: 3, TestContext.Current.CancellationToken)]);

    [Fact]
    public void Null_runs_find_nothing() => Holds(NullRuns.Checks(Null, cancel: TestContext.Current.CancellationToken));

    [Fact]
    public void Without_correction_for_many_tests_null_runs_fail() =>
        Fails(NullRuns.Checks(Null with { Significance = f => Math.Pow(10, f.Log10P) }, cancel: TestContext.Current.CancellationToken), "families");

    [Fact]
    public void Judged_on_the_documents_that_chose_the_label_null_runs_fail() =>
        Fails(NullRuns.Checks(Null with { Analyse = WithoutSplit }, cancel: TestContext.Current.CancellationToken), "families");

    [Fact]
    public void Plug_in_information_fails()
    {
        Fails(PlantedTruth.Information(Language, PlugIn, 20_000), "planted information");
        var shuffled = ShuffledLabels.Of(Language.Words, 1);
        Fails([PlantedTruth.NoInformation(Language, (language, layer, task) => PlugIn(language, layer, shuffled.Tasks.Single(t => t.Task == task)))], "shuffled labels");
    }

    [Fact]
    public void A_figure_that_is_no_number_fails_and_can_be_written()
    {
        var check = TruthCheck.AtMost("x", double.NaN, 1);
        Assert.False(check.Ok);
        Assert.Null(check.Value);
        var report = TruthReport.Of([check, TruthCheck.Exactly("y", 1, 1), TruthCheck.SkippedFor("z", "0", "absent")]);
        Assert.Equal((1, 1, 1), (report.Passed, report.Failed, report.Skipped));
    }

    private static void Holds(IEnumerable<TruthCheck> checks)
    {
        var all = checks.ToArray();
        Assert.NotEmpty(all);
        Assert.All(all, c => Assert.True(c.Ok, $"{c.Name}: {c.Value}, wanted {c.Want}. {c.Note}"));
    }

    private static void Fails(IEnumerable<TruthCheck> checks, string about) =>
        Assert.Contains(checks, c => !c.Ok && c.Name.Contains(about, StringComparison.Ordinal));

    /// <summary>A study without a held-out split: train documents alone, and every one of them again to be judged on, with all its features.</summary>
    private static Study WithoutSplit(LabelledWords words, IReadOnlyList<StudyLayer> layers)
    {
        var train = Enumerable.Range(0, words.Count).Where(word => words.PartOf(word) == Part.Train).ToArray();
        int[] rows = [.. train, .. train];
        var documents = words.PartOfDocument.Length;
        T[] Twice<T>(Func<int, bool, T> of) => [.. rows.Select((word, n) => of(word, n >= train.Length))];
        var doubled = new LabelledWords(
            Twice((word, copy) => words.Document[word] + (copy ? documents : 0)),
            Twice((word, copy) => words.Sentence[word] + (copy ? words.Sentence[^1] + 1 : 0)),
            Twice((word, _) => words.Type[word]),
            [.. Enumerable.Repeat(Part.Train, documents), .. Enumerable.Range(0, documents).Select(d => d % 2 == 0 ? Part.Dev : Part.Test)],
            [.. words.Tasks.Select(t => t with { Of = Twice((word, _) => t.Of[word]) })]);
        return Truth.Study.Run(doubled, [.. layers.Select(l => new StudyLayer(l.Layer, Rows(l.Codes, rows), (chosen, into) =>
            l.Vectors([.. chosen.ToArray().Select(n => rows[n])], into)))], PlantedLanguage.Dimension, Null.Rules);
    }

    private static SparseCodes Rows(SparseCodes codes, int[] rows)
    {
        var start = new long[rows.Length + 1];
        var index = new List<int>();
        var value = new List<float>();
        for (var n = 0; n < rows.Length; n++)
        {
            index.AddRange(codes.RowIndex(rows[n]));
            value.AddRange(codes.RowValue(rows[n]));
            start[n + 1] = index.Count;
        }
        return new SparseCodes(codes.Width, start, [.. index], [.. value]);
    }

    private static double PlugIn(PlantedLanguage language, int layer, string task) => PlugIn(language, layer, language.Task(task));

    /// <summary>Vectors cut into 1024 cells by the signs of ten directions, and the information of the table as it is counted.</summary>
    private static double PlugIn(PlantedLanguage language, int layer, TaskLabels task)
    {
        const int directions = 10;
        var table = new int[(1 << directions) * task.Names.Length];
        var h = new float[PlantedLanguage.Dimension];
        for (var word = 0; word < 4000; word++)
        {
            language.Vectors(layer)([word], h);
            var cell = 0;
            for (var d = 0; d < directions; d++)
            {
                var random = new CounterRandom(9, d);
                var projection = 0.0;
                foreach (var x in h)
                    projection += x * random.NextNormal();
                cell = 2 * cell + (projection > 0 ? 1 : 0);
            }
            table[cell * task.Names.Length + task.Of[word]]++;
        }
        return DiscreteInformation.MutualInformationBits(table, 1 << directions, task.Names.Length);
    }
}
