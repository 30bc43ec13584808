using System.Globalization;
using SaeService.Contracts;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Truth;

/// <summary>
/// Information in bits a word of a layer's vectors about a task, as an estimator has it. <see cref="PlantedTruth.Information"/> judges whatever it is given,
/// so that it can be shown to refuse estimators that are wrong.
/// </summary>
public delegate double EstimateInformation(PlantedLanguage language, int layer, string task);

/// <summary>What a study finds in a planted language, against what was planted (method 8.2).</summary>
public static class PlantedTruth
{
    /// <summary>Greatest difference from the true information, bits.</summary>
    public const double Bits = 0.1;

    /// <summary>Greatest difference from the true centre of gravity, layers.</summary>
    public const double GravityLayers = 0.3;

    /// <summary>The study of all layers of a language with all its features.</summary>
    public static Study Study(PlantedLanguage language, IReadOnlyList<PlantedFeature> features, StudyRules rules, CancellationToken cancel = default) =>
        Truth.Study.Run(language.Words,
            [.. Enumerable.Range(0, PlantedLanguage.Layers).Select(layer => new StudyLayer(layer, PlantedFeatures.Codes(language, features, layer), language.Vectors(layer)))],
            PlantedLanguage.Dimension, rules, cancel);

    /// <summary>The product's estimate, from a study.</summary>
    public static EstimateInformation Published(Study study) => (_, layer, task) =>
        study.Document.Tasks.Single(t => t.Task == task).Layers.Single(l => l.Layer == layer).IvBits.Value;

    /// <summary>Every task and layer against the exact posterior on the words that the estimator scores, and where information lies by depth.</summary>
    public static IEnumerable<TruthCheck> Information(PlantedLanguage language, EstimateInformation estimate, int maxTrainWords)
    {
        var layers = Enumerable.Range(0, PlantedLanguage.Layers).ToArray();
        foreach (var task in language.Words.Tasks)
        {
            var test = ProbeWords.Choose(language.Words, task, maxTrainWords, 1).Test;
            var truth = Array.ConvertAll(layers, layer => language.TrueInformation(layer, task.Task, test));
            var found = Array.ConvertAll(layers, layer => estimate(language, layer, task.Task));
            var worst = layers.MaxBy(layer => Math.Abs(found[layer] - truth[layer]));
            yield return TruthCheck.AtMost($"planted information, {task.Task}: greatest error over layers, bits", Math.Abs(found[worst] - truth[worst]), Bits) with
            {
                Note = Invariant($"layer {worst}: {found[worst]:0.000} of {truth[worst]:0.000} bits"),
            };
            var (at, of) = (Gravity(truth), Gravity(found));
            yield return TruthCheck.AtMost($"planted information, {task.Task}: error of its centre of gravity, layers", Math.Abs(of - at), GravityLayers) with
            {
                Note = Invariant($"{of:0.00}, in truth {at:0.00}"),
            };
        }

        double Gravity(double[] bits) => DepthProfile.CentreOfGravity(Array.ConvertAll(bits, b => Math.Max(0, b)), layers);
    }

    /// <summary>
    /// What happens to labels that say nothing: labels of the planted language dealt out anew, scored with all that the language's vectors hold.
    /// </summary>
    public static TruthCheck NoInformation(PlantedLanguage language, EstimateInformation estimate)
    {
        var worst = language.Words.Tasks.Max(task => Math.Abs(estimate(language, PlantedLanguage.Layers / 2, task.Task)));
        return TruthCheck.AtMost("shuffled labels: greatest |information| over tasks, bits", worst, 0.05);
    }

    /// <summary>Every planted feature has its label and its kind at every layer where it fires often enough to be judged.</summary>
    public static IEnumerable<TruthCheck> Features(Study study, IReadOnlyList<PlantedFeature> features)
    {
        var missed = new List<string>();
        int planted = 0, noise = 0, taken = 0;
        for (var layer = 0; layer < study.Labellings.Count; layer++)
        {
            var labels = study.Labellings[layer].Features().ToLookup(f => f.Index);
            for (var n = 0; n < features.Count; n++)
            {
                var feature = features[n];
                if (feature.Kind is null)
                {
                    noise++;
                    taken += labels[n].Any(f => f.Consistent) ? 1 : 0;
                }
                else if (feature.Recall is [] || feature.Recall[layer] > 0)
                {
                    planted++;
                    var found = labels[n].SingleOrDefault(f => f.Task == feature.Task);
                    if (found is not { Consistent: true } || found.DominantLabel != feature.Label || found.Kind != feature.Kind)
                        missed.Add($"layer {layer}, {feature.Name}: {(found is null ? "no label" : $"{found.DominantLabel}, {found.Kind}, consistent {found.Consistent}")}");
                }
            }
        }
        yield return TruthCheck.Exactly("planted features found with their label and kind", planted - missed.Count, planted) with { Note = missed.Count == 0 ? null : string.Join("; ", missed) };
        yield return TruthCheck.Exactly($"features that fire at random and pass as consistent, of {noise}", taken, 0);
    }

    /// <summary>The score's centre of gravity of every label with planted detectors, and which cells are established.</summary>
    public static IEnumerable<TruthCheck> Conclusions(PlantedLanguage language, Study study, IReadOnlyList<PlantedFeature> features)
    {
        int[] layers = [.. Enumerable.Range(0, PlantedLanguage.Layers)];
        var detectors = features.Where(f => f.Kind == FeatureKind.Contextual).ToArray();
        foreach (var detector in detectors)
        {
            // In expectation over the words: F1 = 2 hits / (fired + labelled).
            var labels = language.Task(detector.Task);
            var id = Array.IndexOf(labels.Names, detector.Label);
            var share = labels.Of.Count(y => y == id) / (double)labels.Of.Length;
            var f1 = Array.ConvertAll(detector.Recall, r => r == 0 ? 0 : 2 * r * share / (r * share + PlantedFeatures.Misfires * (1 - share) + share));
            var truth = DepthProfile.CentreOfGravity(f1, layers);
            var found = study.Document.Tasks.Single(t => t.Task == detector.Task).Profiles.Single(p => p.Label == detector.Label).CentreOfGravity?.Value ?? double.NaN;
            yield return TruthCheck.AtMost($"planted label {detector.Name}: error of its centre of gravity, layers", Math.Abs(found - truth), GravityLayers) with
            {
                Note = Invariant($"{found:0.00}, in truth {truth:0.00}"),
            };
        }

        var wanted = detectors.SelectMany(d => layers.Where(l => d.Recall[l] > 0).Select(l => $"{l} {d.Task}:{d.Label}")).ToHashSet();
        var established = study.Document.Layers.SelectMany(l => l.Functionalities.Where(f => f.Status == CellStatus.Established).Select(f => $"{l.Layer} {f.Task}:{f.Label}")).ToHashSet();
        yield return TruthCheck.Exactly("planted cells established", established.Intersect(wanted).Count(), wanted.Count) with { Note = Listed(wanted.Except(established)) };
        yield return TruthCheck.Exactly("cells established that were not planted", established.Except(wanted).Count(), 0) with { Note = Listed(established.Except(wanted)) };
    }

    private static string? Listed(IEnumerable<string> cells) => string.Join(", ", cells.Order(StringComparer.Ordinal)) is { Length: > 0 } list ? list : null;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
