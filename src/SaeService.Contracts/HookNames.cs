using System.Globalization;

namespace SaeService.Contracts;

/// <summary>A layer of a request as others name its place in the model: layer 0 is the embedding, layer l the named point of block l - 1.</summary>
public static class HookNames
{
    /// <summary>As TransformerLens, and so SAELens and Neuronpedia, names it: <c>blocks.2.hook_resid_post</c>.</summary>
    public static string TransformerLens(string hook, int layer) =>
        layer == 0 ? "hook_embed" : string.Create(CultureInfo.InvariantCulture, $"blocks.{layer - 1}.hook_{hook}");
}
