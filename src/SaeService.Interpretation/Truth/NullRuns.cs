using System.Globalization;
using SaeService.Contracts;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;

namespace SaeService.Interpretation.Truth;

/// <summary>How null runs are made and read. The defaults are the product's; anything else is there to be shown wrong.</summary>
public sealed record NullSettings
{
    public int Runs { get; init; } = 200;
    public int Seed { get; init; } = 1;
    public int Documents { get; init; } = 50;

    /// <summary>Features that fire at random beside the detectors, which under dealt-out labels are as random.</summary>
    public int Noise { get; init; } = 60;
    public StudyRules Rules { get; init; } = new(new LabelRules { BootstrapSamples = 200 }, new() { BootstrapSamples = 200, Threads = 1 }, Threads: 1);

    /// <summary>What a discovery is held to: the feature's q.</summary>
    public Func<FeatureSummary, double> Significance { get; init; } = feature => feature.Q;

    /// <summary>The analysis that is judged, of words with their labels dealt out; null: <see cref="Study.Run"/> by the rules.</summary>
    public Func<LabelledWords, IReadOnlyList<StudyLayer>, Study>? Analyse { get; init; }
}

/// <summary>
/// Whole runs in which there is nothing to find (method 8.3): the labels of a planted language dealt out anew, under its own detectors, under features that fire at
/// random and under vectors that know the old labels. Everything that is found is false.
/// </summary>
public static class NullRuns
{
    private static readonly int[] s_layers = [0, 2];

    /// <param name="Families">Layer x task families tested, over all runs: what q promises is the share of these with any discovery.</param>
    /// <param name="Established">Runs with an established cell.</param>
    public sealed record Outcome(int Runs, int Tested, int Discovered, int Families, int FamiliesWithDiscovery, int Established, int Suggestive, double MeanBits, double MostBits);

    public static IEnumerable<TruthCheck> Checks(NullSettings settings, Action<int>? done = null, CancellationToken cancel = default)
    {
        var found = Run(settings, done, cancel);
        var level = settings.Rules.Labels.Fdr;
        yield return TruthCheck.AtMost($"{found.Runs} null runs: false discoveries over {found.Tested} tested features", Share(found.Discovered, found.Tested), level);
        yield return TruthCheck.AtMost($"{found.Runs} null runs: share of {found.Families} layer x task families with a discovery", Share(found.FamiliesWithDiscovery, found.Families), level);
        yield return TruthCheck.AtLeast($"{found.Runs} null runs: share without an established cell", 1 - Share(found.Established, found.Runs), 0.95);
        yield return TruthCheck.AtMost($"{found.Runs} null runs: mean information, bits", Math.Abs(found.MeanBits), 0.05) with
        {
            Note = string.Create(CultureInfo.InvariantCulture, $"{found.MeanBits:0.000} a run and task, at most {found.MostBits:0.000}; {found.Suggestive} suggestive cells"),
        };
    }

    public static Outcome Run(NullSettings settings, Action<int>? done = null, CancellationToken cancel = default)
    {
        var runs = new Outcome[settings.Runs];
        var finished = 0;
        // The runs themselves are the grain: each is made on one thread, and depends on its number alone.
        Parallel.For(0, settings.Runs, new ParallelOptions { CancellationToken = cancel }, run =>
        {
            runs[run] = Run(settings, run, cancel);
            done?.Invoke(Interlocked.Increment(ref finished));
        });
        return new Outcome(settings.Runs, runs.Sum(r => r.Tested), runs.Sum(r => r.Discovered), runs.Sum(r => r.Families), runs.Sum(r => r.FamiliesWithDiscovery),
            runs.Sum(r => r.Established), runs.Sum(r => r.Suggestive), runs.Average(r => r.MeanBits), runs.Max(r => r.MostBits));
    }

    private static Outcome Run(NullSettings settings, int run, CancellationToken cancel)
    {
        var language = new PlantedLanguage(new PlantedSettings(settings.Documents, 5 * PlantedSettings.SentenceWords, settings.Seed + 1000 * (run + 1)));
        var features = PlantedFeatures.Of(language, settings.Noise);
        var dealt = ShuffledLabels.Of(language.Words, settings.Seed + run);
        var layers = Array.ConvertAll(s_layers, l => new StudyLayer(l, PlantedFeatures.Codes(language, features, l), language.Vectors(l)));
        var study = settings.Analyse?.Invoke(dealt, layers) ?? Study.Run(dealt, layers, PlantedLanguage.Dimension, settings.Rules, cancel);

        int tested = 0, discovered = 0, families = 0, withDiscovery = 0;
        foreach (var labelling in study.Labellings)
            foreach (var family in labelling.Features().Where(f => f.Support > 0).GroupBy(f => f.Task))
            {
                var here = family.Count(f => settings.Significance(f) < settings.Rules.Labels.Fdr);
                tested += family.Count();
                discovered += here;
                families++;
                withDiscovery += here > 0 ? 1 : 0;
            }
        var bits = study.Document.Tasks.SelectMany(t => t.Layers.Select(l => l.IvBits.Value)).ToArray();
        var cells = study.Document.Layers.SelectMany(l => l.Functionalities).ToLookup(f => f.Status);
        return new Outcome(1, tested, discovered, families, withDiscovery, cells[CellStatus.Established].Any() ? 1 : 0, cells[CellStatus.Suggestive].Count(),
            bits.Average(), bits.Max());
    }

    private static double Share(int part, int whole) => whole == 0 ? 0 : (double)part / whole;
}
