using System.Globalization;
using System.Text.Json;
using SaeService.Contracts;
using static TorchSharp.torch;

namespace SaeService.Interpretation.Truth;

/// <param name="Runs">Null runs.</param>
/// <param name="Documents">Of the planted language of the main study: 60 words each, three fifths of them train.</param>
public sealed record TruthRun(int Runs = 200, int Documents = 560, int Seed = 1);

/// <summary>
/// Everything the product says of linguistics, held against things that are known: other people's numbers, planted truth, nothing at all, and the traps that
/// simpler methods fall into. The command <c>sae bench truth</c>.
/// </summary>
public static class TruthBench
{
    /// <summary>Words of a document of the main study.</summary>
    private const int WordsEach = 5 * PlantedSettings.SentenceWords;
    private const int Noise = 100;

    /// <exception cref="ArgumentException">Fewer runs or documents than can be judged.</exception>
    /// <param name="progress">What is being done, for people.</param>
    public static IEnumerable<TruthCheck> Run(TruthRun run, Action<string> progress, CancellationToken cancel = default)
    {
        if (run.Runs is < 1 or > 100_000)
            throw new ArgumentException($"runs is {run.Runs}; it must be from 1 to 100000");
        if (run.Documents is < 100 or > 100_000)
            throw new ArgumentException($"documents is {run.Documents}; it must be from 100 to 100000");
        progress("golden statistics");
        foreach (var check in GoldenStatistics.Checks())
            yield return check;

        progress("planted language: labels, controls, information and conclusion of five layers");
        var language = new PlantedLanguage(new PlantedSettings(run.Documents, WordsEach, run.Seed));
        var features = PlantedFeatures.Of(language, Noise);
        var study = PlantedTruth.Study(language, features, StudyRules.Default, cancel);
        foreach (var check in PlantedTruth.Information(language, PlantedTruth.Published(study), StudyRules.Default.Information.MaxTrainWords))
            yield return check;
        foreach (var check in PlantedTruth.Features(study, features).Concat(PlantedTruth.Conclusions(language, study, features)))
            yield return check;

        progress("traps");
        foreach (var check in Traps.Checks(StudyRules.Default, run.Seed, cancel))
            yield return check;

        progress("the same document with 1, 2 and 5 threads");
        yield return SameBytes(run.Seed, cancel);

        progress($"{run.Runs} null runs");
        var step = Math.Max(1, run.Runs / 10);
        foreach (var check in NullRuns.Checks(new NullSettings { Runs = run.Runs, Seed = run.Seed }, done =>
        {
            if (done % step == 0)
                progress(string.Create(CultureInfo.InvariantCulture, $"{done} of {run.Runs} null runs"));
        }, cancel))
            yield return check;
    }

    /// <summary>Documents of the same planted study, byte by byte, whatever the number of threads.</summary>
    public static TruthCheck SameBytes(int seed, CancellationToken cancel = default)
    {
        var language = new PlantedLanguage(new PlantedSettings(100, WordsEach, seed));
        var features = PlantedFeatures.Of(language, Noise);
        var before = get_num_threads();
        try
        {
            var documents = new[] { 1, 2, 5 }.Select(threads =>
            {
                set_num_threads(threads);
                return JsonSerializer.Serialize(PlantedTruth.Study(language, features, StudyRules.Default.With(threads), cancel).Document, Wire.Json);
            }).Distinct(StringComparer.Ordinal).ToArray();
            return TruthCheck.Exactly("different documents of one study with 1, 2 and 5 threads, less 1", documents.Length - 1, 0);
        }
        finally
        {
            set_num_threads(before);
        }
    }
}
