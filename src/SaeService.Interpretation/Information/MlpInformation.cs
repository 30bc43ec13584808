using SaeService.Contracts;

namespace SaeService.Interpretation.Information;

/// <summary>
/// V-information by a network with one hidden layer, with its control task: the second bound of method 1d (5). Any probe gives a lower bound, so the tightest
/// of the initialisations is taken (Pimentel et al. 2020), chosen on dev words; how far they lie apart is reported.
/// </summary>
public static class MlpInformation
{
    public const string Estimator = "v-information/mlp-1/held-out";
    private const int Seeds = 3;

    /// <summary>Dev words that decide when training stops; kept in memory.</summary>
    private const int MaxDevWords = 4096;

    /// <param name="dimension">Of the vectors that <paramref name="gather"/> writes.</param>
    /// <exception cref="UnmeasurableTaskException">Fewer than two labels, or too few words, on train, dev or test.</exception>
    public static MlpBound Measure(LabelledWords words, TaskLabels task, ProbeWords chosen, int dimension, GatherVectors gather, InformationRules rules,
        CancellationToken cancel = default)
    {
        var classes = VInformation.Classes(task, chosen, rules);
        using var scratch = rules.Scratch.Inner();
        var scored = new ScoredWords(words, task, chosen.Test, classes, scratch);
        VInformation.Require(scored.Words.Length >= rules.MinWords, task, $"only {scored.Words.Length} words to score (test part); {rules.MinWords} are needed");
        var dev = Spread(Array.FindAll(chosen.Dev, word => classes.Of(task.Of[word]) >= 0));
        VInformation.Require(dev.Length >= rules.MinWords, task, $"only {dev.Length} words to stop training on (dev part); {rules.MinWords} are needed");

        var input = new ProbeInput(dimension, gather);
        var design = input.Design(chosen.Train, rules.Threads, cancel);
        var devVectors = new float[ProbeDesign.RowsAllocated(dev.Length) * design.Stride];
        input.Stream(design, dev, (from, rows, x) => x.AsSpan(0, rows * design.Stride).CopyTo(devVectors.AsSpan(from * design.Stride)));

        int[] Control(int[] of) => ControlLabels.ByType(Array.ConvertAll(of, word => words.Type[word]), classes.Share, rules.Seed);
        int[] labels = VInformation.ClassesOf(task, chosen.Train, classes), control = Control(chosen.Train);
        var controlTest = scored.ControlClasses(words, classes, rules.Seed, scratch);
        var probes = Fit(labels, VInformation.ClassesOf(task, dev, classes));
        var controls = Fit(control, Control(dev));
        var best = probes.IndexOf(probes.MinBy(p => p.DevLoss)!);
        var bestControl = Seeds + controls.IndexOf(controls.MinBy(p => p.DevLoss)!);

        CodeLengths marginal = new(scored, scratch), probed = new(scored, scratch);
        for (var i = 0; i < scored.Words.Length; i++)
            marginal.Add(i, classes.Share);
        var bits = new double[2 * Seeds];
        var controlRight = 0;
        VInformation.Predict(input, design, [.. probes, .. controls], scored.Words, (which, word, p) =>
        {
            bits[which] += TaskClasses.Bits(p[which < Seeds ? scored.Classes[word] : controlTest[word]]);
            if (which == best)
                probed.Add(word, p);
            else if (which == bestControl)
                controlRight += VInformation.ArgMax(p) == controlTest[word] ? 1 : 0;
        });
        var shares = VInformation.Shares(control, classes.Count);
        var n = scored.Words.Length;
        var gained = VInformation.Difference(marginal.Bits, probed.Bits);
        double value = gained.Sum() / n, controlBits = (controlTest.Sum(c => TaskClasses.Bits(shares[c])) - bits[bestControl]) / n;
        return new()
        {
            IvBits = new(value, new MeanIntervals(scored, rules).Of(gained), Estimator, chosen.Train.Length, n),
            Normalised = gained.Sum() / marginal.Bits.Sum(),
            Accuracy = probed.Accuracy,
            ControlBits = controlBits,
            ControlAccuracy = (double)controlRight / n,
            SelectivityBits = value - controlBits,
            SelectivityAccuracy = probed.Accuracy - (double)controlRight / n,
            Hidden = MlpProbe.Hidden,
            BySeed = [.. bits.Take(Seeds).Select(b => marginal.MeanBits - b / n)],
        };

        List<MlpProbe> Fit(int[] of, int[] ofDev) => [.. Enumerable.Range(0, Seeds).Select(seed =>
            MlpProbe.Fit(design, of, classes.Count, devVectors, ofDev, ((long)rules.Seed << 8) + seed))];
    }

    /// <summary>Evenly drawn, so that no part of the corpus decides alone.</summary>
    private static int[] Spread(int[] words) => words.Length <= MaxDevWords ? words
        : [.. Enumerable.Range(0, MaxDevWords).Select(i => words[(int)((long)i * words.Length / MaxDevWords)])];
}
