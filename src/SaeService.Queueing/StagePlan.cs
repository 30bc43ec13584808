using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// An analysis as a graph of stages:
/// <code>
/// prepare -> capture -> train(l) -> encode(l) -> label(l) -> control(l) ------+
///                                             -> dictionaries(l) ------------+
///                    -> inform(reference) -> inform(other l) ----------------+-> conclude
///         -> untrained_capture, capture -> untrained(l) ---------------------+
///         -> permuted_capture, capture -> permuted(l) -----------------------+
/// </code>
/// Dictionaries and untrained models are of the modes that have them. An untrained model's layers wait for the trained one's
/// capture too, whose norms decide which words are measured.
/// </summary>
public static class StagePlan
{
    // Shares of the work, that of a job of the standard mode being 1, from timings of small models on a CPU; those of a layer's stages are divided among the layers.
    private static readonly Dictionary<StageKind, double> s_weights = new()
    {
        [StageKind.Prepare] = 0.05,
        [StageKind.Capture] = 0.10,
        [StageKind.Train] = 0.40,
        [StageKind.Encode] = 0.04,
        [StageKind.Label] = 0.04,
        [StageKind.Inform] = 0.27,
        [StageKind.Control] = 0.08,
        [StageKind.Dictionaries] = 0.60,
        [StageKind.UntrainedCapture] = 0.10,
        [StageKind.Untrained] = 0.75,
        [StageKind.PermutedCapture] = 0.10,
        [StageKind.Permuted] = 0.75,
        [StageKind.Conclude] = 0.02,
    };

    /// <summary>The layer whose probes choose the regularisation that all layers share (method 1d): the middle one of those asked for.</summary>
    public static int ReferenceLayer(IReadOnlyList<int> layers) => layers[layers.Count / 2];

    /// <summary>Whether a job has one stage of the kind, not one a layer.</summary>
    public static bool IsWhole(StageKind kind) =>
        kind is StageKind.Prepare or StageKind.Capture or StageKind.UntrainedCapture or StageKind.PermutedCapture or StageKind.Conclude;

    /// <summary>The stages of a job in the order of the data; prepare is ready, all others wait.</summary>
    /// <param name="layers">In ascending order, each once, at least one.</param>
    /// <param name="pretrained">Whether the autoencoders are trained elsewhere: those of an untrained model then have their sizes, and wait for them.</param>
    public static List<StageRow> Create(Guid jobId, IReadOnlyList<int> layers, string mode = "standard", string hook = "resid_post", bool pretrained = false)
    {
        if (layers.Count == 0)
            throw new ArgumentException("a job has at least one layer", nameof(layers));
        var stages = new List<StageRow>();
        StageRow Add(StageKind kind, int? layer, params StageRow[] dependsOn)
        {
            var stage = new StageRow
            {
                Id = Guid.CreateVersion7(),
                JobId = jobId,
                Kind = kind,
                Layer = layer,
                Status = dependsOn.Length == 0 ? StageStatus.Ready : StageStatus.Waiting,
                DependsOn = [.. dependsOn.Select(x => x.Id)],
                Weight = s_weights[kind] / (layer is null ? 1 : layers.Count),
            };
            stages.Add(stage);
            return stage;
        }

        var prepare = Add(StageKind.Prepare, null);
        var capture = Add(StageKind.Capture, null, prepare);
        var reference = Add(StageKind.Inform, ReferenceLayer(layers), capture);
        var last = new List<StageRow> { reference };
        var trained = new Dictionary<int, StageRow>();
        foreach (var layer in layers)
        {
            var train = Add(StageKind.Train, layer, capture);
            trained[layer] = train;
            var encode = Add(StageKind.Encode, layer, train);
            var label = Add(StageKind.Label, layer, encode);
            if (JobModes.Comparisons(mode))
                last.Add(Add(StageKind.Dictionaries, layer, encode));
            last.Add(label);
            last.Add(Add(StageKind.Control, layer, label));
            if (layer != reference.Layer)
                last.Add(Add(StageKind.Inform, layer, capture, reference));
        }
        if (JobModes.Untrained(mode))
            AddUntrained(StageKind.UntrainedCapture, StageKind.Untrained, layers);
        if (layers.Where(layer => JobModes.Permuted(mode, hook, layer)).ToArray() is { Length: > 0 } permuted)
            AddUntrained(StageKind.PermutedCapture, StageKind.Permuted, permuted);
        Add(StageKind.Conclude, null, [.. last]);
        var whole = stages.Sum(x => x.Weight);
        foreach (var stage in stages)
            stage.Weight /= whole;

        stages = [.. stages.OrderBy(x => x.Kind).ThenBy(x => x.Layer)];
        for (var i = 0; i < stages.Count; i++)
            stages[i].Ordinal = i;
        return stages;

        void AddUntrained(StageKind capturing, StageKind analysing, IReadOnlyList<int> of)
        {
            var untrained = Add(capturing, null, prepare);
            foreach (var layer in of)
                last.Add(pretrained ? Add(analysing, layer, untrained, capture, trained[layer]) : Add(analysing, layer, untrained, capture));
        }
    }
}
