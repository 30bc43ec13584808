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
    // Type of each family, and the context of a config that does not name it, by transformers' configuration classes.
    private static readonly FrozenDictionary<string, (string Type, int Context)> Families = new Dictionary<string, (string, int)>(StringComparer.Ordinal)
    {
        ["bert"] = ("masked", 512),
        ["camembert"] = ("masked", 512),
        ["distilbert"] = ("masked", 512),
        ["gemma"] = ("causal", 8192),
        ["gemma2"] = ("causal", 8192),
        ["gpt2"] = ("causal", 1024),
        ["gpt_neo"] = ("causal", 2048),
        ["gpt_neox"] = ("causal", 2048),
        ["llama"] = ("causal", 2048),
        ["mistral"] = ("causal", 131072),
        ["opt"] = ("causal", 2048),
        ["phi"] = ("causal", 2048),
        ["qwen2"] = ("causal", 32768),
        ["qwen3"] = ("causal", 32768),
        ["roberta"] = ("masked", 512),
        ["xlm-roberta"] = ("masked", 512),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Families with a forward pass in SaeService.Transformers. A test holds the two lists equal.</summary>
    public static IReadOnlySet<string> SupportedFamilies { get; } = Families.Keys.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Reads the sizes under any of the names that the families use for them.</summary>
    /// <exception cref="CheckpointException">Unsupported for a family that is not known, Invalid for a size that is missing or no size.</exception>
    public static ModelDescription Of(ModelConfig config, long parameters)
    {
        var family = config.Family;
        if (!Families.TryGetValue(family, out var facts))
            throw config.Unsupported("model_type", $"'{StrictJson.Shown(config.Value("model_type")!.Value).Trim('"')}' is not a supported family ({string.Join(", ", Families.Keys.Order())})");
        var context = Positions(config);
        // RoBERTa counts positions from pad_token_id + 1, so that many rows of its table are never a position.
        if (family is "roberta" or "camembert" or "xlm-roberta")
            context -= 1 + PadToken(config);
        context = Extended(config, context);
        if (context <= 0)
            throw config.Invalid("max_position_embeddings", "leaves no position for a token");
        return new ModelDescription(
            family,
            facts.Type,
            config.LayerCount("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
            config.Size(null, "hidden_size", "n_embd", "dim", "d_model"),
            config.Size(null, "vocab_size"),
            context,
            parameters);
    }

    /// <summary>Rows of the table of positions, or the trained context where positions are rotations.</summary>
    public static int Positions(ModelConfig config) => config.Size(Families[config.Family].Context, "max_position_embeddings", "n_positions");

    // Rotations slowed by a factor, always or once a text is longer than the trained context, reach that much farther; the other kinds of scaling
    // name the extended context as max_position_embeddings.
    private static int Extended(ModelConfig config, int context)
    {
        var scaling = config.Nested("rope_parameters") ?? config.Nested("rope_scaling");
        return scaling is not null && (scaling.Text("rope_type") ?? scaling.Text("type")) is "linear" or "dynamic" && scaling.Number("factor", 1) is > 1 and var factor
            ? (int)Math.Min(context * factor, int.MaxValue)
            : context;
    }

    /// <summary>pad_token_id of a RoBERTa, from which its positions are counted.</summary>
    public static int PadToken(ModelConfig config) => config.Value("pad_token_id") switch
    {
        null => 1,
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out var id) && id >= 0 => id,
        { } value => throw config.Invalid("pad_token_id", $"must be a token id, not {StrictJson.Shown(value)}"),
    };
}
