using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using SaeService.Contracts;

namespace SaeService.Api.Results;

/// <summary>
/// A feature under the member names of Neuronpedia's <c>GET /api/feature/{modelId}/{layer}/{index}</c>, all of them. What was not measured is an empty array or null.
/// Tokens are the words of the data set.
/// </summary>
public sealed record NeuronpediaFeature
{
    /// <summary>How many <see cref="TopkCosSimIndices"/> there are.</summary>
    public const int Neighbours = 10;

    public required string ModelId { get; init; }
    public required string Layer { get; init; }
    public required string Index { get; init; }
    public required string SourceSetName { get; init; }
    public string? CreatorId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required double MaxActApprox { get; init; }
    public bool HasVector { get; init; }
    public IReadOnlyList<double> Vector { get; init; } = [];
    public string? VectorLabel { get; init; }
    public double? VectorDefaultSteerStrength { get; init; }

    /// <summary>As TransformerLens names it.</summary>
    public required string HookName { get; init; }

    /// <summary>Features of the same layer by the cosine of decoder directions.</summary>
    public required IReadOnlyList<int> TopkCosSimIndices { get; init; }
    public required IReadOnlyList<double> TopkCosSimValues { get; init; }

    [JsonPropertyName("neuron_alignment_indices")]
    public IReadOnlyList<int> NeuronAlignmentIndices { get; init; } = [];

    [JsonPropertyName("neuron_alignment_values")]
    public IReadOnlyList<double> NeuronAlignmentValues { get; init; } = [];

    [JsonPropertyName("neuron_alignment_l1")]
    public IReadOnlyList<double> NeuronAlignmentL1 { get; init; } = [];

    [JsonPropertyName("correlated_neurons_indices")]
    public IReadOnlyList<int> CorrelatedNeuronsIndices { get; init; } = [];

    [JsonPropertyName("correlated_neurons_pearson")]
    public IReadOnlyList<double> CorrelatedNeuronsPearson { get; init; } = [];

    [JsonPropertyName("correlated_neurons_l1")]
    public IReadOnlyList<double> CorrelatedNeuronsL1 { get; init; } = [];

    [JsonPropertyName("correlated_features_indices")]
    public IReadOnlyList<int> CorrelatedFeaturesIndices { get; init; } = [];

    [JsonPropertyName("correlated_features_pearson")]
    public IReadOnlyList<double> CorrelatedFeaturesPearson { get; init; } = [];

    [JsonPropertyName("correlated_features_l1")]
    public IReadOnlyList<double> CorrelatedFeaturesL1 { get; init; } = [];

    [JsonPropertyName("neg_str")]
    public required IReadOnlyList<string> NegStr { get; init; }

    [JsonPropertyName("neg_values")]
    public required IReadOnlyList<double> NegValues { get; init; }

    [JsonPropertyName("pos_str")]
    public required IReadOnlyList<string> PosStr { get; init; }

    [JsonPropertyName("pos_values")]
    public required IReadOnlyList<double> PosValues { get; init; }

    /// <summary>Of words.</summary>
    [JsonPropertyName("frac_nonzero")]
    public required double FracNonzero { get; init; }

    [JsonPropertyName("freq_hist_data_bar_heights")]
    public required IReadOnlyList<int> FreqHistDataBarHeights { get; init; }

    /// <summary>Middles of the bins.</summary>
    [JsonPropertyName("freq_hist_data_bar_values")]
    public required IReadOnlyList<double> FreqHistDataBarValues { get; init; }

    [JsonPropertyName("logits_hist_data_bar_heights")]
    public IReadOnlyList<double> LogitsHistDataBarHeights { get; init; } = [];

    [JsonPropertyName("logits_hist_data_bar_values")]
    public IReadOnlyList<double> LogitsHistDataBarValues { get; init; } = [];

    [JsonPropertyName("decoder_weights_dist")]
    public IReadOnlyList<double> DecoderWeightsDist { get; init; } = [];

    [JsonPropertyName("umap_x")]
    public double? UmapX { get; init; }

    [JsonPropertyName("umap_y")]
    public double? UmapY { get; init; }

    [JsonPropertyName("umap_cluster")]
    public int? UmapCluster { get; init; }

    /// <summary>log10 of <see cref="FracNonzero"/>; null where it never fires.</summary>
    [JsonPropertyName("umap_log_feature_sparsity")]
    public required double? UmapLogFeatureSparsity { get; init; }
    public required IReadOnlyList<NeuronpediaActivation> Activations { get; init; }
    public required IReadOnlyList<NeuronpediaExplanation> Explanations { get; init; }
    public IReadOnlyList<string> Comments { get; init; } = [];
    public IReadOnlyList<string> Lists { get; init; } = [];

    /// <summary>Neuronpedia's own style: camelCase, but for the names given above.</summary>
    public static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = Wire.Json.Encoder };

    /// <summary>What a layer's features are called there, as <c>9-res-jb</c> is.</summary>
    public static string SourceOf(int layer) => string.Create(CultureInfo.InvariantCulture, $"{layer}-{SourceSet}");

    private const string SourceSet = "sae";

    public static NeuronpediaFeature From(FeatureDetail feature, string model, string dataset, string hookName, DateTimeOffset created, IReadOnlyList<(int Latent, double Cosine)> neighbours) => new()
    {
        ModelId = model,
        Layer = SourceOf(feature.Layer),
        Index = feature.Index.ToString(CultureInfo.InvariantCulture),
        SourceSetName = SourceSet,
        CreatedAt = created,
        MaxActApprox = feature.MaxActivation,
        HookName = hookName,
        TopkCosSimIndices = [.. neighbours.Select(n => n.Latent)],
        TopkCosSimValues = [.. neighbours.Select(n => Math.Round(n.Cosine, 6))],
        FracNonzero = feature.Density,
        UmapLogFeatureSparsity = feature.Density > 0 ? Math.Log10(feature.Density) : null,
        PosStr = [.. feature.Promoted.Select(t => t.Token)],
        PosValues = [.. feature.Promoted.Select(t => t.Value)],
        NegStr = [.. feature.Suppressed.Select(t => t.Token)],
        NegValues = [.. feature.Suppressed.Select(t => t.Value)],
        FreqHistDataBarValues = [.. feature.Histogram.Edges.Zip(feature.Histogram.Edges.Skip(1), (low, high) => (low + high) / 2)],
        FreqHistDataBarHeights = feature.Histogram.Counts,
        Activations = [.. NeuronpediaBins.Of(feature.TopContexts, feature.Intervals, feature.MaxActivation)
            .Select((a, n) => NeuronpediaActivation.From(a, $"{feature.Layer}-{feature.Index}-{n}", dataset))],
        Explanations = [.. feature.Tasks.Where(t => t.Consistent).Select(t => new NeuronpediaExplanation($"{feature.Layer}-{feature.Index}-{t.Task}",
            NeuronpediaExplanation.Text(t.Task, t.DominantLabel), NeuronpediaExplanation.Method, NeuronpediaExplanation.Model, Scores(t.Detection)))],
    };

    private static List<NeuronpediaScore> Scores(DetectionScore? detection)
    {
        var scores = new List<NeuronpediaScore>();
        if (detection is not null)
            scores.Add(new(detection.Accuracy, "detection"));
        if (detection?.Fuzzing is { } fuzzing)
            scores.Add(new(fuzzing, "fuzzing"));
        return scores;
    }
}

/// <summary>A context with the group it stands for.</summary>
public readonly record struct BinnedContext(ActivatingContext Context, double BinMin, double BinMax, double BinContains);

/// <summary>How Neuronpedia groups activations: the strongest have -1, the maximum and -1, others their interval and the share of activations in it.</summary>
public static class NeuronpediaBins
{
    public static IEnumerable<BinnedContext> Of(IReadOnlyList<ActivatingContext> top, IReadOnlyList<ActivationInterval> intervals, double max) =>
        top.Select(c => new BinnedContext(c, -1, max, -1)).Concat(intervals.SelectMany(i => i.Contexts.Select(c => new BinnedContext(c, i.Low, i.High, i.Share))));
}

/// <param name="DataIndex">Name of the sentence.</param>
/// <param name="DataSource">The data set.</param>
/// <param name="QualifyingTokenIndex">The word for which the context was chosen.</param>
public sealed record NeuronpediaActivation(string Id, IReadOnlyList<string> Tokens, IReadOnlyList<double> Values, double MaxValue, int MaxValueTokenIndex, double MinValue,
    string DataIndex, string DataSource, double BinMin, double BinMax, double BinContains, int QualifyingTokenIndex)
{
    public IReadOnlyList<double> DfaValues { get; init; } = [];
    public int? DfaTargetIndex { get; init; }
    public double? DfaMaxValue { get; init; }
    public IReadOnlyList<double> LossValues { get; init; } = [];
    public string? LogitContributions { get; init; }

    public static NeuronpediaActivation From(BinnedContext a, string id, string dataset)
    {
        var values = a.Context.Activations;
        var strongest = Enumerable.Range(0, values.Count).MaxBy(i => values[i]);
        return new(id, a.Context.Words, values, values.Count == 0 ? 0 : values[strongest], strongest, values.Count == 0 ? 0 : values.Min(), a.Context.Sentence, dataset,
            a.BinMin, a.BinMax, a.BinContains, a.Context.Position);
    }
}

/// <param name="Description">Task and label that it is highly consistent for.</param>
public sealed record NeuronpediaExplanation(string Id, string Description, string TypeName, string ExplanationModelName, IReadOnlyList<NeuronpediaScore> Scores)
{
    internal const string Method = "label", Model = "gold annotation";

    internal static string Text(string task, string label) => $"{task}: {label}";
}

/// <param name="ExplanationScoreTypeName"><c>detection</c> or <c>fuzzing</c>: of the label itself, no language model is asked.</param>
public sealed record NeuronpediaScore(double Value, string ExplanationScoreTypeName);
