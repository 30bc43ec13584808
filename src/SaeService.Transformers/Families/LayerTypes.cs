using SaeService.Checkpoints;

namespace SaeService.Transformers.Families;

/// <summary>Which layers slide: layer_types of config.json, or a family's own rule where it is absent.</summary>
internal static class LayerTypes
{
    /// <param name="json">The config.</param>
    /// <param name="layers">Number of blocks.</param>
    /// <param name="window">Keys that a query sees in sliding layers, itself included.</param>
    /// <param name="slides">The family's rule.</param>
    /// <returns>The window of each layer, null where all is seen.</returns>
    public static int?[] Windows(ModelConfig json, int layers, int? window, Func<int, bool> slides)
    {
        var types = json.Texts("layer_types");
        if (types is not null && types.Count != layers)
            throw json.Invalid("layer_types", $"names {types.Count} layers of {layers}");
        return [.. Enumerable.Range(0, layers).Select(Window)];

        int? Window(int l)
        {
            var sliding = types?[l] switch
            {
                null => slides(l),
                "full_attention" => false,
                "sliding_attention" => true,
                var other => throw json.Unsupported("layer_types", $"'{other}' is not supported"),
            };
            return !sliding ? null : window ?? throw json.Invalid("sliding_window", $"is off, but layer {l} slides");
        }
    }
}
