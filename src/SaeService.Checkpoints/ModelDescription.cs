using System.Collections.Frozen;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>What can be said of a model without computing: from config.json and the weight files' headers.</summary>
/// <param name="Family">model_type of config.json.</param>
/// <param name="Type"><c>causal</c> (a decoder) or <c>masked</c> (an encoder).</param>
/// <param name="Layers">Number of blocks.</param>
/// <param name="DModel">Width of the residual stream.</param>
/// <param name="VocabularySize">Rows of the embedding.</param>
/// <param name="ContextLength">Longest sequence in tokens.</param>
/// <param name="Parameters">Floating-point elements in the weight files.</param>
public sealed record ModelDescription(string Family, string Type, int Layers, int DModel, int VocabularySize, int ContextLength, long Parameters)
{
    /// <summary>Families with a forward pass in SaeService.Transformers. A test holds the two lists equal.</summary>
    public static IReadOnlySet<string> SupportedFamilies { get; } = FrozenSet.Create(StringComparer.Ordinal, "llama");

    private static readonly FrozenSet<string> Masked = FrozenSet.Create(StringComparer.Ordinal, "bert", "distilbert", "roberta");

    /// <summary>Reads the sizes under any of the names that the families use for them.</summary>
    public static ModelDescription Of(ModelConfig config, long parameters)
    {
        var family = config.Family;
        var positions = config.Size(family == "llama" ? 2048 : null, "max_position_embeddings", "n_positions", "n_ctx");
        // RoBERTa counts positions from pad_token_id + 1, so that many rows of its table are never a position.
        var unused = family == "roberta" ? 1 + (config.Value("pad_token_id") is { ValueKind: JsonValueKind.Number } pad && pad.TryGetInt32(out var id) ? id : 1) : 0;
        return new ModelDescription(
            family,
            Masked.Contains(family) ? "masked" : "causal",
            config.LayerCount("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
            config.Size(null, "hidden_size", "n_embd", "dim", "d_model"),
            config.Size(null, "vocab_size"),
            positions - unused,
            parameters);
    }
}
