using System.Text.Json.Nodes;
using SaeService.Checkpoints;
using Xunit;

namespace SaeService.Transformers.Tests;

/// <summary>Names, duplicates and buffers as checkpoints on the hub have them, and configs in the spellings of old and new transformers: the same values.</summary>
public sealed class NamesTests
{
    private static void AssertEqual(Variant variant, params string[] except)
    {
        using (variant)
        {
            var errors = variant.Errors();
            Assert.NotEmpty(errors);
            Assert.All(errors.Where(e => !except.Contains(e.Tensor)), e => Assert.True(e.Passes(1e-6), $"{e}"));
        }
    }

    private static string WithoutPrefix(string name, string prefix) => name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name;

    [Fact]
    public void Gpt2_as_on_the_hub()
    {
        var variant = new Variant("gpt2-default").Copy("lm_head.weight", "transformer.wte.weight").Rename(n => WithoutPrefix(n, "transformer."));
        variant.Buffers.Add(Variant.Buffer<byte>("h.0.attn.bias", DType.U8, [1, 1, 2, 2], 1, 0, 1, 1));
        variant.Buffers.Add(Variant.Buffer<float>("h.0.attn.masked_bias", DType.F32, [], -1e4f));
        AssertEqual(variant.With("hidden_size", 32).With("num_attention_heads", 4).With("num_hidden_layers", 3).Without("n_embd", "n_head", "n_layer", "n_inner", "tie_word_embeddings"));
    }

    [Fact]
    public void Gpt_neo_and_neox_with_their_buffers()
    {
        var neo = new Variant("gpt_neo-default").Copy("lm_head.weight", "transformer.wte.weight").Without("attention_layers");
        neo.Buffers.Add(Variant.Buffer<bool>("transformer.h.1.attn.attention.bias", DType.BOOL, [1, 1, 1, 1], true));
        neo.Buffers.Add(Variant.Buffer<float>("transformer.h.1.attn.attention.masked_bias", DType.F32, [], -1e9f));
        AssertEqual(neo);
        AssertEqual(new Variant("gpt_neo-default").Without("attention_types", "window_size").With("window_size", 5));
        var neox = new Variant("gpt_neox-default").Without("partial_rotary_factor", "rope_theta", "rope_scaling");
        neox.Buffers.Add(Variant.Buffer<float>("gpt_neox.layers.0.attention.rotary_emb.inv_freq", DType.F32, [2], 1, 0.01f));
        neox.Buffers.Add(Variant.Buffer<byte>("gpt_neox.layers.0.attention.bias", DType.U8, [1, 1, 1, 1], 1));
        AssertEqual(neox);
    }

    [Fact]
    public void Rotary_positions_in_every_spelling()
    {
        string[] old = ["rotary_pct", "rotary_emb_base", "partial_rotary_factor", "rope_theta", "rope_scaling"];
        AssertEqual(new Variant("gpt_neox-default").Without(old));
        AssertEqual(new Variant("gpt_neox-default").Without(old).With("rope_parameters", JsonNode.Parse("""{"rope_theta":10000,"partial_rotary_factor":0.25,"rope_type":"default"}""")));
        AssertEqual(new Variant("phi-default").Without(old).With("rope_parameters", JsonNode.Parse("""{"rope_theta":10000.0,"partial_rotary_factor":0.5,"rope_type":"default"}""")));
        AssertEqual(new Variant("phi-default").Without(old));
        AssertEqual(new Variant("qwen2-default").Without("rope_theta", "rope_scaling").With("rope_parameters", JsonNode.Parse("""{"rope_theta":1000000.0,"rope_type":"default"}""")));
        // Up to the trained context the dynamic kind is the plain one.
        AssertEqual(new Variant("llama-default").With("rope_scaling", JsonNode.Parse("""{"type":"dynamic","factor":4.0}""")));
        using var contradiction = new Variant("gpt_neox-default").With("rotary_pct", 0.5);
        Assert.Equal(CheckpointFault.Invalid, Assert.Throws<CheckpointException>(contradiction.Load).Fault);
    }

    [Fact]
    public void A_config_may_leave_out_what_is_the_default()
    {
        AssertEqual(new Variant("llama-default").Without(
            "head_dim", "rope_theta", "rope_scaling", "hidden_act", "attention_bias", "mlp_bias", "tie_word_embeddings", "pretraining_tp", "attention_dropout", "max_position_embeddings"));
        AssertEqual(new Variant("gpt2-default").Without("activation_function", "layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"));
        AssertEqual(new Variant("gpt_neox-default").Without("hidden_act", "layer_norm_eps", "use_parallel_residual", "attention_bias", "tie_word_embeddings"));
        AssertEqual(new Variant("gemma-default").Without("hidden_act", "hidden_activation", "rms_norm_eps", "rope_theta", "attention_bias"));
        AssertEqual(new Variant("gemma2-default").Without("hidden_activation", "rms_norm_eps", "rope_theta", "attention_bias"));
        AssertEqual(new Variant("phi-default").Without("hidden_act", "layer_norm_eps", "num_key_value_heads", "qk_layernorm", "tie_word_embeddings"));
        AssertEqual(new Variant("opt-default").Without(
            "activation_function", "do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine", "word_embed_proj_dim", "_remove_final_layer_norm"));
        AssertEqual(new Variant("bert-default").Without("hidden_act", "layer_norm_eps", "type_vocab_size", "position_embedding_type"));
        AssertEqual(new Variant("distilbert-default").Without("activation", "sinusoidal_pos_embds"));
        AssertEqual(new Variant("roberta-default").Without("hidden_act", "pad_token_id", "position_embedding_type"));
        AssertEqual(new Variant("qwen2-default").Without("use_sliding_window", "sliding_window", "max_window_layers", "rms_norm_eps", "hidden_act"));
        AssertEqual(new Variant("qwen3-default").With("layer_types", new JsonArray("full_attention", "full_attention", "full_attention")).With("sliding_window", null));
        AssertEqual(new Variant("gemma2-default").With("layer_types", new JsonArray("sliding_attention", "full_attention", "sliding_attention", "full_attention")).With("use_bidirectional_attention", false));
    }

    [Fact]
    public void Bert_as_converted_from_TensorFlow()
    {
        var variant = new Variant("bert-default").Copy("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight").Copy("cls.predictions.decoder.bias", "cls.predictions.bias")
            .Rename(n => n.Replace("LayerNorm.weight", "LayerNorm.gamma", StringComparison.Ordinal).Replace("LayerNorm.bias", "LayerNorm.beta", StringComparison.Ordinal));
        variant.Buffers.Add(Variant.Buffer<long>("bert.embeddings.position_ids", DType.I64, [1, 2], 0, 1));
        AssertEqual(variant);
    }

    [Theory]
    [InlineData("bert-default", "bert.", "cls.")]
    [InlineData("distilbert-default", "distilbert.", "vocab_")]
    [InlineData("roberta-default", "roberta.", "lm_head.")]
    public void An_encoder_without_head_has_all_but_logits(string fixture, string prefix, string head)
    {
        using var variant = new Variant(fixture);
        foreach (var name in variant.Tensors.Keys.Where(n => n.StartsWith(head, StringComparison.Ordinal)).ToArray())
            variant.Tensors.Remove(name);
        variant.Rename(n => WithoutPrefix(n, prefix));
        using (var model = variant.Load())
            Assert.False(model.HasHead);
        var errors = variant.Errors();
        Assert.Equal("the model offers no such value", Assert.Single(errors, e => !e.Passes(1e-6)).NotCompared);
        Assert.Equal("logits", Assert.Single(errors, e => !e.Passes(1e-6)).Tensor);
    }

    [Fact]
    public void Heads_of_encoders_in_their_other_names()
    {
        AssertEqual(new Variant("roberta-default").Copy("lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight").Copy("lm_head.decoder.bias", "lm_head.bias"));
        AssertEqual(new Variant("roberta-default").Rename(n => n == "lm_head.bias" ? "lm_head.decoder.bias" : n).With("model_type", "xlm-roberta"));
        AssertEqual(new Variant("roberta-default").With("tie_word_embeddings", false).Copy("lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight").With("model_type", "camembert"));
        AssertEqual(new Variant("distilbert-default").Copy("vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"));
        AssertEqual(new Variant("bert-default").Add("classifier.weight", [2, 32], _ => 1).Add("classifier.bias", [2], _ => 1));
    }

    [Fact]
    public void Opt_as_its_bare_model()
    {
        AssertEqual(new Variant("opt-default").Rename(n => WithoutPrefix(n, "model.")));
        AssertEqual(new Variant("opt-default").Copy("lm_head.weight", "model.decoder.embed_tokens.weight").With("tie_word_embeddings", false));
    }

    [Fact]
    public void A_tied_matrix_may_be_stored_under_either_name_but_not_as_two_different_ones()
    {
        AssertEqual(new Variant("qwen2-default").Rename(n => n == "model.embed_tokens.weight" ? "lm_head.weight" : n));
        using var different = new Variant("qwen2-default").Add("lm_head.weight", [131, 32], i => i);
        var e = Assert.Throws<CheckpointException>(different.Load);
        Assert.Equal(("lm_head.weight", CheckpointFault.Invalid), (e.Key, e.Fault));
        using var unused = new Variant("qwen2-default").Add("model.layers.0.mlp.extra.weight", [1], _ => 0);
        Assert.Contains("no such tensor", Assert.Throws<CheckpointException>(unused.Load).Message, StringComparison.Ordinal);
    }
}
