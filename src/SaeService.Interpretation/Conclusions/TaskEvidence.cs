using SaeService.Contracts;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Conclusions;

/// <summary>One task over all layers, labels lined up.</summary>
internal sealed class TaskEvidence
{
    private readonly Dictionary<string, LabelScores> _scores = [];
    private readonly DocumentBootstrap _ofTest;
    private readonly InformationGates[] _gates;

    public TaskEvidence(string task, Evidence evidence, DocumentBootstrap documents)
    {
        Task = task;
        Information = [.. evidence.Layers.Select(l => l.Information.Single(i => i.Task == task))];
        Alive = [.. evidence.Layers.Select(l => l.Autoencoder.Alive)];
        Depth = evidence.Layers.Count;
        var autoencoder = evidence.Layers.Select(l => ByLabel(l.Autoencoder, task)).ToArray();
        var random = evidence.Layers.Select(l => l.Random.Select(r => ByLabel(r, task)).ToArray()).ToArray();
        var untrained = evidence.Layers.Select(l => l.Untrained.Select(u => ByLabel(u.Labelling, task)).ToArray()).ToArray();
        var tokenTypes = ByLabel(evidence.TokenTypes, task);
        Labels = [.. evidence.TokenTypes.Tasks.Single(t => t.Task == task).Labels.Select(l => l.Label)];
        var scores = new LabelScores[Labels.Count];
        Parallel.For(0, Labels.Count, n =>
        {
            var label = Labels[n];
            var ofRandom = random.Select(l => l.Select(seed => seed[label]).ToArray()).ToArray();
            var ofUntrained = untrained.Select(l => l.Select(model => model[label]).ToArray()).ToArray();
            scores[n] = new LabelScores([.. autoencoder.Select(l => l[label])], ofRandom, tokenTypes[label], ofUntrained, documents);
        });
        for (var n = 0; n < scores.Length; n++)
            _scores[Labels[n]] = scores[n];

        _ofTest = new DocumentBootstrap(Information[0].Documents.Length, evidence.Rules.BootstrapSamples, evidence.Rules.Seed);
        ByDepth = InformationByDepth.OfTask(Information, _ofTest);
        if (Array.TrueForAll(Information, i => i.NextWord is not null))
            NextWordByDepth = InformationByDepth.OfTask([.. Information.Select(i => i.NextWord!)], _ofTest);
        _gates = [.. Information.Select(i => new InformationGates(i, _ofTest))];
    }

    public string Task { get; }
    public int Depth { get; }

    /// <summary>Labels that a feature may have, in the order of the task's names.</summary>
    public IReadOnlyList<string> Labels { get; }
    public TaskInformation[] Information { get; } // [layers]
    public int[] Alive { get; }                   // [layers]
    public LabelScores Scores(string label) => _scores[label];

    /// <summary>The task's information over the layers.</summary>
    public InformationByDepth ByDepth { get; }

    /// <summary>The same about the next word; null where it was not measured at every layer.</summary>
    public InformationByDepth? NextWordByDepth { get; }

    /// <summary>A label's information over the layers.</summary>
    public InformationByDepth DepthsOf(string label) => InformationByDepth.OfLabel(Information, label, _ofTest);
    public InformationGates Gates(int position) => _gates[position];

    /// <summary>Of a layer, the label's own information; null where it has no scored words.</summary>
    public LabelInformation? InformationOf(string label, int position) => Information[position].Layer.PerLabel.FirstOrDefault(l => l.Label == label);

    private static Dictionary<string, LabelUnion> ByLabel(LayerLabelling labelling, string task) =>
        labelling.Tasks.Single(t => t.Task == task).Labels.ToDictionary(l => l.Label);
}
