using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// Labels every feature of a dictionary for every task (method 1b): the label is the one of highest F1 on train documents; everything
/// reported of it, and every gate, is measured on held-out documents.
/// </summary>
public static class FeatureLabeller
{
    /// <param name="codes">Rows in the order of <paramref name="words"/>.</param>
    /// <param name="threads">At most so many at once; -1: as many as there are cores. The result does not depend on it.</param>
    /// <param name="scratch">Where what grows with the words lies meanwhile; default: in memory.</param>
    /// <exception cref="ArgumentException">Codes and words differ in number, or no document is held out or none is train.</exception>
    public static FeatureLabelling Run(SparseCodes codes, LabelledWords words, LabelRules rules, int threads = -1, ScratchSpace? scratch = null)
    {
        if (codes.Rows != words.Count)
            throw new ArgumentException($"{codes.Rows} rows of codes for {words.Count} words");
        var heldOut = new HeldOutDocuments(words);
        if (heldOut.Ids.Length == 0 || heldOut.Ids.Length == words.PartOfDocument.Length)
            throw new ArgumentException($"of {words.PartOfDocument.Length} documents {heldOut.Ids.Length} are held out: features need documents of both kinds");
        using var inner = (scratch ?? ScratchSpace.Heap).Inner();
        var byFeature = FeatureMajorCodes.From(codes, inner);
        var places = new WordPlaces(words, rules.Seed, inner);
        var bootstrap = new DocumentBootstrap(heldOut.Ids.Length, rules.BootstrapSamples, rules.Seed);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };

        var tasks = new List<TaskLabelling>();
        var measured = new List<(TaskLabels, FeatureMeasures?[])>();
        foreach (var labels in words.Tasks)
        {
            using var ofTask = inner.Inner();
            var run = new TaskRun(byFeature, words, places, heldOut, labels, rules, bootstrap, parallel, ofTask);
            tasks.Add(run.Compact());
            measured.Add((labels, run.Measures));
        }
        var alive = 0;
        for (var feature = 0; feature < byFeature.Features; feature++)
            alive += byFeature.Start[feature + 1] > byFeature.Start[feature] ? 1 : 0;
        var compact = new LayerLabelling { Width = codes.Width, Alive = alive, L0 = (double)codes.NonZeros / Math.Max(1, codes.Rows), HeldOutDocuments = heldOut.Ids, Tasks = tasks };
        return new FeatureLabelling(compact, measured, rules);
    }
}

/// <summary>The labels of a dictionary: in brief for the conclusion, and feature by feature for the table.</summary>
public sealed class FeatureLabelling
{
    private readonly IReadOnlyList<(TaskLabels Labels, FeatureMeasures?[] Measures)> _tasks;
    private readonly LabelRules _rules;

    internal FeatureLabelling(LayerLabelling layer, IReadOnlyList<(TaskLabels, FeatureMeasures?[])> tasks, LabelRules rules)
    {
        Layer = layer;
        _tasks = tasks;
        _rules = rules;
    }

    public LayerLabelling Layer { get; }

    /// <summary>
    /// Every feature for every task, by feature, then by task. Left out: a feature with no label of a task to it on train documents (silent
    /// there, or firing on excluded labels only).
    /// </summary>
    public IEnumerable<FeatureSummary> Features()
    {
        for (var feature = 0; feature < Layer.Width; feature++)
            foreach (var (labels, measures) in _tasks)
                if (measures[feature] is { } of)
                    yield return of.Summary(labels, _rules);
    }
}
