using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>
/// A model's config.json. <see cref="RefuseUnread"/> refuses every switch that changes what a model computes and that its family did not ask for.
/// </summary>
public sealed class ModelConfig(JsonElement root, string file) : StrictJson(root, file)
{
    // Switches of some family or other, with the value at which they change nothing. Keys that no forward pass knows are inert and not listed.
    private static readonly Dictionary<string, string?> Switches = new(StringComparer.Ordinal)
    {
        ["add_cross_attention"] = "false",
        ["alibi"] = "false",
        ["attention_bias"] = "false",
        ["attention_in_multiplier"] = "1",
        ["attention_layers"] = null,
        ["attention_multiplier"] = null,
        ["attention_types"] = null,
        ["attn_logit_softcapping"] = null,
        ["clip_qkv"] = null,
        ["cross_attention_hidden_size"] = null,
        ["do_layer_norm_before"] = "true",
        ["embedding_multiplier"] = "1",
        ["final_logit_softcapping"] = null,
        ["head_dim"] = null,
        ["hidden_act"] = null,
        ["hidden_activation"] = null,
        ["is_encoder_decoder"] = "false",
        ["layer_types"] = null,
        ["logit_scale"] = "1",
        ["logits_scaling"] = "1",
        ["lm_head_multiplier"] = "1",
        ["mlp_bias"] = "false",
        ["moe_intermediate_size"] = null,
        ["num_experts"] = null,
        ["num_local_experts"] = null,
        ["partial_rotary_factor"] = "1",
        ["position_embedding_type"] = "absolute",
        ["qk_layernorm"] = "false",
        ["quantization_config"] = null,
        ["query_pre_attn_scalar"] = null,
        ["residual_multiplier"] = "1",
        ["rope_interleaved"] = "false",
        ["rope_parameters"] = null,
        ["rope_scaling"] = null,
        ["rotary_emb_base"] = null,
        ["rotary_pct"] = "1",
        ["scale_attn_by_inverse_layer_idx"] = "false",
        ["scale_attn_weights"] = "true",
        ["scale_embedding"] = "false",
        ["sliding_window"] = null,
        ["sliding_window_pattern"] = null,
        ["use_bias"] = null,
        ["use_bidirectional_attention"] = "false",
        ["use_parallel_residual"] = null,
        ["use_qk_norm"] = "false",
        ["use_sliding_window"] = "false",
    };

    /// <summary>model_type, the family's name.</summary>
    public string Family => RequiredText("model_type");

    public static ModelConfig Read(string path) => new(CheckpointJson.Read(path, 16_000_000), path);

    /// <summary>Number of blocks, which lists are made of before any file can contradict it.</summary>
    public int LayerCount(params ReadOnlySpan<string> keys) =>
        Size(null, keys) is <= 1000 and var layers ? layers : throw Invalid(keys[0], "is more than 1000 layers");

    /// <summary>The positive number that a norm adds under its root.</summary>
    public double Eps(string key, double fallback) => Number(key, fallback) is > 0 and var eps ? eps : throw Invalid(key, "must be positive");

    /// <summary>Called by a family when it has read all it honours.</summary>
    /// <exception cref="CheckpointException">Unsupported, naming the switch.</exception>
    public void RefuseUnread()
    {
        foreach (var property in Unread)
            if (Switches.TryGetValue(property.Name, out var neutral) && !IsNeutral(property.Value, neutral))
                throw Unsupported(property.Name, $"= {Shown(property.Value)} is not supported for this model family");
    }

    private static bool IsNeutral(JsonElement value, string? neutral) => neutral is not null && value.ValueKind switch
    {
        JsonValueKind.String => value.GetString() == neutral,
        JsonValueKind.True => neutral == "true",
        JsonValueKind.False => neutral == "false",
        JsonValueKind.Number => neutral == "1" && value.GetDouble() == 1,
        _ => false,
    };
}
