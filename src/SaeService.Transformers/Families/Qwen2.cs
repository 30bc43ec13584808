using SaeService.Checkpoints;

namespace SaeService.Transformers.Families;

/// <summary>Qwen 2 and 2.5 (Yang et al. 2024): Llama with biases on queries, keys and values, and if so switched sliding windows in the upper layers.</summary>
internal static class Qwen2
{
    internal static Llama.Defaults Defaults { get; } = new() { KeyValueHeads = 32, MlpWidth = 22016 };

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var config = Llama.Read(json, Defaults);
        return Llama.Plan(config with { QueryKeyValueBias = true, Windows = Windows(json, config.Layers) });
    }

    /// <summary>sliding_window counts only if use_sliding_window is set; then layer_types says in which layers, or max_window_layers from which on.</summary>
    internal static int?[] Windows(ModelConfig json, int layers)
    {
        var given = json.OptionalSize("sliding_window", 4096);
        var window = json.Flag("use_sliding_window", false) ? given : null;
        var first = json.Value("max_window_layers") is { ValueKind: System.Text.Json.JsonValueKind.Number } value && value.TryGetInt32(out var number) ? number : 28;
        return LayerTypes.Windows(json, layers, window, l => window is not null && l >= first);
    }
}
