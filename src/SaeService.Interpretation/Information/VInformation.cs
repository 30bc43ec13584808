using SaeService.Columns;
using SaeService.Contracts;

namespace SaeService.Interpretation.Information;

/// <param name="Lambda">The penalty with the shortest code on dev words.</param>
/// <param name="Trials">What was tried, strongest penalty first, until the code grew longer again.</param>
public sealed record LambdaChoice(double Lambda, IReadOnlyList<LambdaTrial> Trials);

/// <param name="DevBits">Held-out cross-entropy on dev words, bits a word.</param>
public sealed record LambdaTrial(double Lambda, double DevBits);

/// <summary>
/// Mutual information between a layer's vectors and a task's labels as a linear probe can use it (Xu et al. 2020):
/// I_V = H_V(Y|∅) - H_V(Y|H), both held-out cross-entropies in bits a word: of the train marginal, and of a softmax regression fitted on train words.
/// A lower bound of the Shannon information, near or below zero where there is none. A fit ends at the optimum of a convex problem, which no seed moves: one fit
/// stands for the three seeds that probes trained by steps need (the network of <see cref="MlpInformation"/> has them). Probes train on <see cref="Part.Train"/>, λ and the word-type table are
/// tuned on <see cref="Part.Dev"/>, everything published is of <see cref="Part.Test"/>.
/// </summary>
public static class VInformation
{
    public const string Estimator = "v-information/linear/held-out";

    /// <summary>Chooses λ for a task, once, at a layer of reference; <see cref="Measure"/> then holds it fixed across layers.</summary>
    /// <param name="dimension">Of the vectors that <paramref name="gather"/> writes.</param>
    /// <exception cref="UnmeasurableTaskException">Fewer than two labels, or too few words, on train or dev.</exception>
    public static LambdaChoice ChooseLambda(LabelledWords words, TaskLabels task, ProbeWords chosen, int dimension, GatherVectors gather,
        InformationRules rules, CancellationToken cancel = default)
    {
        var classes = Classes(task, chosen, rules);
        var dev = Array.FindAll(chosen.Dev, word => classes.Of(task.Of[word]) >= 0);
        Require(dev.Length >= rules.MinWords, task, $"only {dev.Length} words to choose the probe's penalty on (dev part); {rules.MinWords} are needed");
        var input = new ProbeInput(dimension, gather);
        var design = input.Design(chosen.Train, rules.Threads, cancel);
        var labels = ClassesOf(task, chosen.Train, classes);
        var trials = new List<LambdaTrial>();
        LinearProbe? probe = null;
        foreach (var lambda in rules.Lambdas.OrderDescending())
        {
            probe = LinearProbe.Fit(design, labels, classes.Count, lambda, start: probe);
            var bits = 0.0;
            Predict(input, design, [probe], dev, (_, word, p) => bits += TaskClasses.Bits(p[classes.Of(task.Of[dev[word]])]));
            trials.Add(new(lambda, bits / dev.Length));
            if (trials.Count > 1 && trials[^1].DevBits > trials[^2].DevBits)
                break;
        }
        return new(trials.MinBy(trial => trial.DevBits)!.Lambda, trials);
    }

    /// <summary>One task at one layer, with its controls: shuffled labels, a random label by word type, the word-type table, and, where asked, what the
    /// vectors say beyond another task's label.</summary>
    /// <param name="dimension">Of the vectors that <paramref name="gather"/> writes.</param>
    /// <param name="lambda">From <see cref="ChooseLambda"/>.</param>
    /// <param name="given">Task to condition on (pos, where the task is dep), or null.</param>
    /// <exception cref="UnmeasurableTaskException">Fewer than two labels, or too few words, on train or test.</exception>
    /// <exception cref="InvalidDataException">A vector holds a number that is not finite.</exception>
    public static TaskInformation Measure(LabelledWords words, TaskLabels task, ProbeWords chosen, int layer, int dimension, GatherVectors gather,
        double lambda, InformationRules rules, TaskLabels? given = null, CancellationToken cancel = default)
    {
        var classes = Classes(task, chosen, rules);
        using var scratch = rules.Scratch.Inner();
        var scored = new ScoredWords(words, task, chosen.Test, classes, scratch);
        Require(scored.Words.Length >= rules.MinWords, task, $"only {scored.Words.Length} words to score (test part); {rules.MinWords} are needed");

        var labels = ClassesOf(task, chosen.Train, classes);
        var types = Array.ConvertAll(chosen.Train, word => words.Type[word]);
        var shuffledTest = scratch.New(scored.Classes.Length, i => scored.Classes[i]);
        ControlLabels.Shuffle(shuffledTest.Span, rules.Seed, 1);
        var control = ControlLabels.ByType(types, classes.Share, rules.Seed);
        var controlTest = scored.ControlClasses(words, classes, rules.Seed, scratch);

        // The word-type table and the marginal.
        CodeLengths table = new(scored, scratch), marginal = new(scored, scratch);
        ScoreTypes(words, task, chosen, classes, types, labels, scored.Words, table);
        for (var i = 0; i < scored.Words.Length; i++)
            marginal.Add(i, classes.Share);

        // The layer's probe and its two controls share a design, and one pass over the test vectors.
        var input = new ProbeInput(dimension, gather);
        var design = input.Design(chosen.Train, rules.Threads, cancel);
        LinearProbe[] probes =
        [
            LinearProbe.Fit(design, labels, classes.Count, lambda),
            LinearProbe.Fit(design, ControlLabels.Shuffled(labels, rules.Seed, 0), classes.Count, lambda),
            LinearProbe.Fit(design, control, classes.Count, lambda),
        ];
        var probed = new CodeLengths(scored, scratch);
        var shuffledBits = 0.0;
        var controlRight = 0;
        var controlMarginal = Shares(control, classes.Count);
        double[] controlBits = new double[scored.Documents.Length], controlMarginalBits = new double[scored.Documents.Length];
        Predict(input, design, probes, scored.Words, (which, word, p) =>
        {
            if (which == 0)
            {
                probed.Add(word, p);
            }
            else if (which == 1)
            {
                shuffledBits += TaskClasses.Bits(p[shuffledTest[word]]);
            }
            else
            {
                controlBits[scored.Document[word]] += TaskClasses.Bits(p[controlTest[word]]);
                controlMarginalBits[scored.Document[word]] += TaskClasses.Bits(controlMarginal[controlTest[word]]);
                controlRight += ArgMax(p) == controlTest[word] ? 1 : 0;
            }
        });

        var n = scored.Words.Length;
        var intervals = new MeanIntervals(scored, rules);
        var information = Difference(marginal.Bits, probed.Bits);
        var controlInformation = (controlMarginalBits.Sum() - controlBits.Sum()) / n;
        var (givenOther, givenBoth) = given is null
            ? default
            : Conditional(task, given, chosen, dimension, gather, lambda, rules, classes, labels, scored, scratch, cancel);
        var beyond = givenOther is null ? null : Difference(givenOther.Bits, givenBoth!.Bits);
        var (probeF1, tableF1) = (probed.F1(), table.F1());
        var present = Enumerable.Range(0, classes.Count).Where(c => scored.Support[c] > 0).ToArray();
        return new()
        {
            Task = task.Task,
            Lambda = lambda,
            EntropyBits = scored.EntropyBits,
            Majority = (double)scored.Support[classes.MostCommon] / n,
            TypeInformationBits = marginal.MeanBits - table.MeanBits,
            TypeAccuracy = table.Accuracy,
            TypeMacroF1 = table.MacroF1,
            ControlAccuracy = (double)controlRight / n,
            WordsOfUnseenLabels = scored.Unseen,
            SmallLabels = [.. present.Where(c => classes.Counts[c] < rules.SmallLabel || scored.Support[c] < rules.SmallLabel).Select(Name)],
            Documents = scored.Documents,
            Words = scored.WordsOf,
            MarginalBits = marginal.Bits,
            LayerBits = probed.Bits,
            TypeBits = table.Bits,
            ControlMarginalBits = controlMarginalBits,
            ControlLayerBits = controlBits,
            GivenOtherBits = givenOther?.Bits,
            GivenOtherAndLayerBits = givenBoth?.Bits,
            PerLabel = [.. present.Select(c =>
                new LabelCodeLengths(Name(c), scored.Positives(c), marginal.LabelBits[c], probed.LabelBits[c], table.LabelBits[c]))],
            Layer = new()
            {
                Layer = layer,
                IvBits = new(information.Sum() / n, intervals.Of(information), Estimator, chosen.Train.Length, n),
                Normalised = information.Sum() / marginal.Bits.Sum(),
                ContextGainBits = new(table.MeanBits - probed.MeanBits, intervals.Of(Difference(table.Bits, probed.Bits))),
                ControlBits = controlInformation,
                SelectivityBits = information.Sum() / n - controlInformation,
                ShuffledBits = marginal.MeanBits - shuffledBits / n,
                Accuracy = probed.Accuracy,
                MacroF1 = probed.MacroF1,
                ControlAccuracy = (double)controlRight / n,
                SelectivityAccuracy = probed.Accuracy - (double)controlRight / n,
                GivenPosBits = beyond?.Sum() / n,
                GivenPosCi95 = beyond is null ? null : intervals.Of(beyond),
                PerLabel = [.. present.Select(c =>
                {
                    var gained = Difference(marginal.LabelBits[c], probed.LabelBits[c]);
                    var gainedBeyond = givenOther is null ? null : Difference(givenOther.LabelBits[c], givenBoth!.LabelBits[c]);
                    return new LabelInformation(Name(c), gained.Sum() / n, intervals.Of(gained), gained.Sum() / marginal.LabelBits[c].Sum(), scored.Support[c])
                    {
                        GivenPosBits = gainedBeyond?.Sum() / n,
                        GivenPosCi95 = gainedBeyond is null ? null : intervals.Of(gainedBeyond),
                        ProbeF1 = probeF1[c],
                        TypeF1 = tableF1[c],
                    };
                })],
            },
        };

        string Name(int c) => task.Names[classes.Labels[c]];
    }

    /// <summary>
    /// I_V(H, X → Y) - I_V(X → Y) as two code lengths (conditional probing, Hewitt et al. 2021): of a probe that sees the other task's label alone, and of
    /// one that sees label and vector.
    /// </summary>
    private static (CodeLengths GivenOther, CodeLengths GivenBoth) Conditional(TaskLabels task, TaskLabels given, ProbeWords chosen, int dimension,
        GatherVectors gather, double lambda, InformationRules rules, TaskClasses classes, int[] labels, ScoredWords scored, ScratchSpace scratch,
        CancellationToken cancel)
    {
        if (given.Task == task.Task)
            throw new ArgumentException($"task '{task.Task}' cannot be measured beyond itself", nameof(given));
        return (Score(new(0, gather, given)), Score(new(dimension, gather, given)));

        CodeLengths Score(ProbeInput input)
        {
            var design = input.Design(chosen.Train, rules.Threads, cancel);
            var lengths = new CodeLengths(scored, scratch);
            Predict(input, design, [LinearProbe.Fit(design, labels, classes.Count, lambda)], scored.Words, (_, word, p) => lengths.Add(word, p));
            return lengths;
        }
    }

    private static void ScoreTypes(LabelledWords words, TaskLabels task, ProbeWords chosen, TaskClasses classes, int[] types, int[] labels, Column<int> test,
        CodeLengths into)
    {
        var table = new WordTypeTable(types, labels, classes.Share);
        table.Tune(Array.ConvertAll(chosen.Dev, word => words.Type[word]), ClassesOf(task, chosen.Dev, classes));
        var p = new double[classes.Count];
        for (var i = 0; i < test.Length; i++)
        {
            table.Predict(words.Type[test[i]], p);
            into.Add(i, p);
        }
    }

    internal delegate void UsePrediction(int probe, int word, ReadOnlySpan<double> p);

    /// <summary>Every probe's distribution for every word, block by block.</summary>
    internal static void Predict(ProbeInput input, ProbeDesign design, IReadOnlyList<IProbe> probes, Column<int> words, UsePrediction use)
    {
        var room = Array.Empty<double>();
        input.Stream(design, words, (from, rows, x) =>
        {
            for (var which = 0; which < probes.Count; which++)
            {
                var classes = probes[which].Classes;
                if (room.Length < rows * classes)
                    room = new double[rows * classes];
                var p = room.AsSpan(0, rows * classes);
                probes[which].LogProbabilities(x, rows, p);
                foreach (ref var value in p)
                    value = Math.Exp(value);
                for (var row = 0; row < rows; row++)
                    use(which, from + row, p.Slice(row * classes, classes));
            }
        });
    }

    internal static TaskClasses Classes(TaskLabels task, ProbeWords chosen, InformationRules rules)
    {
        Require(chosen.Train.Length >= rules.MinWords, task, $"only {chosen.Train.Length} words to train a probe on; {rules.MinWords} are needed");
        var classes = new TaskClasses(Array.ConvertAll(chosen.Train, word => task.Of[word]), task.Names.Length);
        Require(classes.Count > 1, task, $"every train word has the label '{task.Names[classes.Labels[0]]}': there is nothing to tell apart");
        return classes;
    }

    internal static void Require(bool holds, TaskLabels task, string otherwise)
    {
        if (!holds)
            throw new UnmeasurableTaskException($"task '{task.Task}': {otherwise}");
    }

    internal static int[] ClassesOf(TaskLabels task, int[] words, TaskClasses classes) => Array.ConvertAll(words, word => classes.Of(task.Of[word]));

    internal static double[] Shares(int[] labels, int classes)
    {
        var shares = new double[classes];
        foreach (var label in labels)
            shares[label] += 1.0 / labels.Length;
        return shares;
    }

    internal static double[] Difference(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x - y)];

    internal static int ArgMax(ReadOnlySpan<double> p)
    {
        var best = 0;
        for (var c = 1; c < p.Length; c++)
            if (p[c] > p[best])
                best = c;
        return best;
    }
}
