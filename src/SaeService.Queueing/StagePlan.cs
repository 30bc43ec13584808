using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// An analysis as a graph of stages:
/// <code>
/// prepare -> capture -> train(l) -> encode(l) -> label(l) -> control(l) -+
///                    -> inform(reference) -> inform(other l) -----------+-> conclude
/// </code>
/// </summary>
public static class StagePlan
{
    // Shares of the whole job's work, from timings of small models on a CPU; those of a layer's stages are divided among the layers.
    private static readonly Dictionary<StageKind, double> s_weights = new()
    {
        [StageKind.Prepare] = 0.05,
        [StageKind.Capture] = 0.10,
        [StageKind.Train] = 0.40,
        [StageKind.Encode] = 0.04,
        [StageKind.Label] = 0.04,
        [StageKind.Inform] = 0.27,
        [StageKind.Control] = 0.08,
        [StageKind.Conclude] = 0.02,
    };

    /// <summary>The layer whose probes choose the regularisation that all layers share (method 1d): the middle one of those asked for.</summary>
    public static int ReferenceLayer(IReadOnlyList<int> layers) => layers[layers.Count / 2];

    /// <summary>The stages of a job in the order of the data; prepare is ready, all others wait.</summary>
    /// <param name="layers">In ascending order, each once, at least one.</param>
    public static List<StageRow> Create(Guid jobId, IReadOnlyList<int> layers)
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
        foreach (var layer in layers)
        {
            var train = Add(StageKind.Train, layer, capture);
            var encode = Add(StageKind.Encode, layer, train);
            var label = Add(StageKind.Label, layer, encode);
            last.Add(label);
            last.Add(Add(StageKind.Control, layer, label));
            if (layer != reference.Layer)
                last.Add(Add(StageKind.Inform, layer, capture, reference));
        }
        Add(StageKind.Conclude, null, [.. last]);

        stages = [.. stages.OrderBy(x => x.Kind).ThenBy(x => x.Layer)];
        for (var i = 0; i < stages.Count; i++)
            stages[i].Ordinal = i;
        return stages;
    }
}
