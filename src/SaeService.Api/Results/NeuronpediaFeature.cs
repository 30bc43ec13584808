using System.Text.Json;
using System.Text.Json.Serialization;
using SaeService.Contracts;

namespace SaeService.Api.Results;

/// <summary>A feature under the member names of Neuronpedia's <c>GET /api/feature/{modelId}/{layer}/{index}</c>. Only what was measured is there.</summary>
public sealed record NeuronpediaFeature
{
    public required string ModelId { get; init; }
    public required string Layer { get; init; }
    public required string Index { get; init; }

    [JsonPropertyName("maxActApprox")]
    public required double MaxActApprox { get; init; }

    [JsonPropertyName("frac_nonzero")]
    public required double FracNonzero { get; init; }

    [JsonPropertyName("pos_str")]
    public required IReadOnlyList<string> PosStr { get; init; }

    [JsonPropertyName("pos_values")]
    public required IReadOnlyList<double> PosValues { get; init; }

    [JsonPropertyName("neg_str")]
    public required IReadOnlyList<string> NegStr { get; init; }

    [JsonPropertyName("neg_values")]
    public required IReadOnlyList<double> NegValues { get; init; }

    /// <summary>Middles of the bins.</summary>
    [JsonPropertyName("freq_hist_data_bar_values")]
    public required IReadOnlyList<double> FreqHistDataBarValues { get; init; }

    [JsonPropertyName("freq_hist_data_bar_heights")]
    public required IReadOnlyList<int> FreqHistDataBarHeights { get; init; }
    public required IReadOnlyList<NeuronpediaActivation> Activations { get; init; }
    public required IReadOnlyList<NeuronpediaExplanation> Explanations { get; init; }

    /// <summary>Neuronpedia's own style: camelCase, but for the names given above.</summary>
    public static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = Wire.Json.Encoder };

    public static NeuronpediaFeature From(FeatureDetail feature, string model) => new()
    {
        ModelId = model,
        Layer = $"{feature.Layer}-sae",
        Index = feature.Index.ToString(System.Globalization.CultureInfo.InvariantCulture),
        MaxActApprox = feature.MaxActivation,
        FracNonzero = feature.Density,
        PosStr = [.. feature.Promoted.Select(t => t.Token)],
        PosValues = [.. feature.Promoted.Select(t => t.Value)],
        NegStr = [.. feature.Suppressed.Select(t => t.Token)],
        NegValues = [.. feature.Suppressed.Select(t => t.Value)],
        FreqHistDataBarValues = [.. feature.Histogram.Edges.Zip(feature.Histogram.Edges.Skip(1), (low, high) => (low + high) / 2)],
        FreqHistDataBarHeights = feature.Histogram.Counts,
        Activations = [.. feature.TopContexts.Select((c, i) => new NeuronpediaActivation(
            c.Words, c.Activations, c.Activations.Count == 0 ? 0 : c.Activations.Max(), c.Position, c.Activations.Count == 0 ? 0 : c.Activations.Min(), i))],
        Explanations = [.. feature.Tasks.Where(t => t.Consistent).Select(t => new NeuronpediaExplanation($"{t.Task}: {t.DominantLabel}", "label", "gold annotation"))],
    };
}

public sealed record NeuronpediaActivation(IReadOnlyList<string> Tokens, IReadOnlyList<double> Values, double MaxValue, int MaxValueTokenIndex, double MinValue, int DataIndex);

public sealed record NeuronpediaExplanation(string Description, string TypeName, string ExplanationModelName);
