using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Truth;

/// <summary>Three ways to be taken in (method 8.5 and 8.6, and section 0), each set as it would be met and taken through a whole study.</summary>
public static class Traps
{
    public static IEnumerable<TruthCheck> Checks(StudyRules rules, int seed = 1, CancellationToken cancel = default) =>
        Majority(rules, seed, cancel).Concat(TokenDetector(rules, seed, cancel)).Concat(Alias(rules, seed, cancel));

    /// <summary>
    /// A label that nine words in ten carry, and features that fire at random: precision 0.9, and no function. The label is allowed here, so that
    /// nothing but the statistics can refuse it.
    /// </summary>
    public static IEnumerable<TruthCheck> Majority(StudyRules rules, int seed = 1, CancellationToken cancel = default)
    {
        var language = Language(seed);
        var words = language.Words with { Tasks = [language.Task("ner") with { Excluded = new HashSet<int>() }] };
        var random = PlantedFeatures.Of(language, 20).Where(f => f.Kind is null).ToArray();
        var study = StudyOf(language, words, random, rules, cancel);
        var features = study.Labellings[0].Features().Where(f => f.DominantLabel == "O" && f.Support > 0).ToArray();
        yield return TruthCheck.AtLeast("majority trap: mean consistency of features that fire at random", features.Average(f => f.Consistency), 0.85);
        yield return TruthCheck.AtMost("majority trap: their mean kappa", Math.Abs(features.Average(f => f.Kappa)), 0.1);
        yield return TruthCheck.Exactly("majority trap: those that pass as consistent", study.Labellings[0].Features().Count(f => f.Consistent), 0);
        yield return TruthCheck.Exactly("majority trap: cells established", Established(study).Count(), 0);
    }

    /// <summary>Features that fire on one form each: perfectly consistent for its part of speech, and lexical.</summary>
    public static IEnumerable<TruthCheck> TokenDetector(StudyRules rules, int seed = 1, CancellationToken cancel = default)
    {
        var language = Language(seed);
        var forms = PlantedFeatures.Of(language, 0).Where(f => f.Kind == FeatureKind.Lexical).ToArray();
        var study = StudyOf(language, language.Words, forms, rules, cancel);
        var pos = study.Labellings[0].Features().Where(f => f.Task == "pos").ToArray();
        yield return TruthCheck.AtLeast("token-detector trap: least consistency", pos.Min(f => f.Consistency), 0.99);
        yield return TruthCheck.Exactly("token-detector trap: those called lexical", pos.Count(f => f.Kind == FeatureKind.Lexical), forms.Length);
        yield return TruthCheck.AtMost("token-detector trap: greatest |context gain|", pos.Max(f => Math.Abs(f.ContextGain)), 0.02);
        yield return TruthCheck.Exactly("token-detector trap: cells established", Established(study).Count(), 0);
    }

    /// <summary>One finding under two names: a second task whose label lies on nearly the words of the first's.</summary>
    public static IEnumerable<TruthCheck> Alias(StudyRules rules, int seed = 1, CancellationToken cancel = default)
    {
        var language = Language(seed);
        var dep = language.Task("dep");
        int subject = Array.IndexOf(dep.Names, "nsubj"), other = Array.IndexOf(dep.Names, "obj");
        // "agent" is nsubj but for every twentieth, "patient" is half of obj: Jaccard 0.95 and 0.5.
        var roles = Enumerable.Range(0, dep.Of.Length).Select(word =>
        {
            var chance = new CounterRandom(seed, word).NextDouble();
            return dep.Of[word] == subject && chance < 0.95 ? 1 : dep.Of[word] == other && chance < 0.5 ? 2 : 0;
        }).ToArray();
        var words = language.Words with { Tasks = [dep, new TaskLabels("role", ["none", "agent", "patient"], roles, new HashSet<int> { 0 })] };
        var study = StudyOf(language, words, [.. PlantedFeatures.Of(language, 0).Where(f => f.Kind == FeatureKind.Contextual)], rules, cancel);
        var both = Established(study).Where(f => f is { Task: "dep", Label: "nsubj" } or { Task: "role", Label: "agent" }).ToArray();
        yield return TruthCheck.Exactly("alias trap: both names established", both.Length, 2);
        yield return TruthCheck.Exactly("alias trap: each names the other",
            both.Count(f => f.Aliases is [var alias] && alias == (f.Task == "dep" ? "role:agent" : "dep:nsubj")), 2);
        yield return TruthCheck.Exactly("alias trap: labels named that share half their words",
            study.Document.Tasks.Sum(t => t.Profiles.Count(p => p.Label is "obj" or "patient" && p.Aliases.Count > 0)), 0);
        var plain = study.Document.Layers[0].Summary.Plain;
        yield return TruthCheck.Exactly("alias trap: times the summary tells it",
            (plain.Contains("dep:nsubj", StringComparison.Ordinal) ? 1 : 0) + (plain.Contains("role:agent", StringComparison.Ordinal) ? 1 : 0), 1) with
        { Note = plain };
    }

    private static PlantedLanguage Language(int seed) => new(new PlantedSettings(60, 10 * PlantedSettings.SentenceWords, seed));

    /// <summary>Layer 2, where everything is planted.</summary>
    private static Study StudyOf(PlantedLanguage language, LabelledWords words, PlantedFeature[] features, StudyRules rules, CancellationToken cancel) =>
        Study.Run(words, [new StudyLayer(2, PlantedFeatures.Codes(language, features, 2), language.Vectors(2))], PlantedLanguage.Dimension, rules, cancel);

    private static IEnumerable<Functionality> Established(Study study) =>
        study.Document.Layers.SelectMany(l => l.Functionalities).Where(f => f.Status == CellStatus.Established);
}
