using SaeService.Contracts;
using SaeService.Interpretation;
using SaeService.Interpretation.Information;

namespace SaeService.Pipeline;

/// <summary>All that is measured of a layer's information about one task after another: the linear probe with its controls, and what the mode adds.</summary>
/// <param name="words">Those of the job.</param>
/// <param name="follows">Whether word w + 1 is the next word of the text that the model read.</param>
/// <param name="lambdas">The penalty of each task and variant; where <paramref name="choose"/>, it is chosen here and noted.</param>
internal sealed class TaskProbes(LabelledWords words, Func<int, bool> follows, int layer, int dimension, GatherVectors gather, InformationRules rules, string mode,
    bool nextWord, Dictionary<string, double> lambdas, bool choose, CancellationToken cancel)
{
    // Clusters know no task: one clustering for all, made when first asked for.
    private readonly Lazy<ClusterMeasure> _clusters = new(() => new ClusterMeasure(words, dimension, gather, rules, cancel));

    public ProbeWords Choose(TaskLabels task) => ProbeWords.Choose(words, task, rules.MaxTrainWords, rules.Seed, rules.Scratch);

    public ClusterInformation? WordForms() => _clusters.Value.WordForms();

    /// <param name="chosen">From <see cref="Choose"/>.</param>
    /// <param name="report">Share of the task that is done, and what comes next.</param>
    public TaskInformation Measure(TaskLabels task, ProbeWords chosen, Action<double, string> report)
    {
        var slow = JobModes.SlowEstimators(mode);
        report(0, task.Task);
        var given = task.Task == "dep" ? words.Tasks.FirstOrDefault(t => t.Task == "pos") : null;
        var information = Linear(task.Task, task, chosen, given);
        if (TaskVariants.WithoutO(task, rules.Scratch) is { } entities)
        {
            report(slow ? 0.15 : 0.5, $"{task.Task} without O");
            information = information with { WithoutO = Variant($"{task.Task}/without_o", entities) };
        }
        if (nextWord)
        {
            report(slow ? 0.2 : 0.6, $"{task.Task} of the next word");
            information = information with { NextWord = Variant($"{task.Task}/next_word", TaskVariants.NextWord(task, words, follows, rules.Scratch)) };
        }
        var published = information.Layer with { WithoutO = Published(information.WithoutO) };
        if (JobModes.RanksDimensions(mode))
        {
            report(slow ? 0.3 : 0.8, $"{task.Task}, dimension by dimension");
            published = published with { Dimensions = DimensionRanking.Measure(task, chosen, dimension, gather, rules, cancel) };
        }
        if (slow)
        {
            report(0.35, $"{task.Task} by clusters and online code");
            published = published with
            {
                Clusters = _clusters.Value.Labels(task),
                OnlineCode = OnlineCodeLength.Measure(words, task, chosen, dimension, gather, lambdas[task.Task], rules, cancel),
            };
            report(0.65, $"{task.Task} by a hidden layer");
            published = published with { Mlp = MlpInformation.Measure(words, task, chosen, dimension, gather, rules, cancel) };
        }
        return information with { Layer = published };
    }

    private TaskInformation Linear(string name, TaskLabels task, ProbeWords chosen, TaskLabels? given)
    {
        if (choose)
            lambdas[name] = VInformation.ChooseLambda(words, task, chosen, dimension, gather, rules, cancel).Lambda;
        return VInformation.Measure(words, task, chosen, layer, dimension, gather, lambdas[name], rules, given, cancel);
    }

    /// <summary>Null where too few words carry what is asked of, which depends on the data alone: the task then goes without, at every layer.</summary>
    private TaskInformation? Variant(string name, TaskLabels task)
    {
        try
        {
            return choose || lambdas.ContainsKey(name) ? Linear(name, task, Choose(task), null) : null;
        }
        catch (UnmeasurableTaskException)
        {
            return null;
        }
    }

    private static WithoutO? Published(TaskInformation? entities) => entities is null ? null : new()
    {
        EntropyBits = entities.EntropyBits,
        IvBits = entities.Layer.IvBits,
        Normalised = entities.Layer.Normalised,
        TypeInformationBits = entities.TypeInformationBits,
        ControlBits = entities.Layer.ControlBits,
        ShuffledBits = entities.Layer.ShuffledBits,
        Accuracy = entities.Layer.Accuracy,
        MacroF1 = entities.Layer.MacroF1,
    };
}
