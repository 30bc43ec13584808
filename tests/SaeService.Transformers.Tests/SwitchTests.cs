using System.Text.Json.Nodes;
using SaeService.Checkpoints;
using SaeService.TestSupport;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace SaeService.Transformers.Tests;

/// <summary>
/// Switches that no fixture sets, by weights that make up for them, so that the fixture's values must come out again; or by the formula, from the values around.
/// </summary>
public sealed class SwitchTests
{
    private static void AssertEqual(Variant variant, params string[] except)
    {
        using (variant)
            Assert.All(variant.Errors().Where(e => !except.Contains(e.Tensor)), e => Assert.True(e.Passes(2e-6), $"{e}"));
    }

    /// <summary>c_attn is [32, 96] and [96]: the first 32 columns are queries.</summary>
    private static Variant ScaledQueries(Func<int, double> by) => new Variant("gpt2-default")
        .Edit("attn.c_attn.weight", (l, i, v) => i % 96 < 32 ? (float)(v * by(l)) : v)
        .Edit("attn.c_attn.bias", (l, i, v) => i < 32 ? (float)(v * by(l)) : v);

    [Fact]
    public void Gpt2_scales_scores_as_it_is_told()
    {
        AssertEqual(ScaledQueries(l => l + 1).With("scale_attn_by_inverse_layer_idx", true));
        AssertEqual(ScaledQueries(_ => 1 / Math.Sqrt(8)).With("scale_attn_weights", false));
        AssertEqual(ScaledQueries(l => (l + 1) / Math.Sqrt(8)).With("scale_attn_weights", false).With("scale_attn_by_inverse_layer_idx", true).With("reorder_and_upcast_attn", true));
    }

    [Fact]
    public void Gpt2_reads_other_widths_and_an_untied_head()
    {
        AssertEqual(new Variant("gpt2-default").With("n_inner", 128).With("tie_word_embeddings", false).Copy("lm_head.weight", "transformer.wte.weight"));
        using var wrong = new Variant("gpt2-default").With("n_inner", 64);
        Assert.Equal("transformer.h.0.mlp.c_fc.weight", Assert.Throws<CheckpointException>(wrong.Load).Key);
    }

    [Fact]
    public void Llama_has_biases_where_it_is_told()
    {
        var variant = new Variant("llama-default").With("attention_bias", true).With("mlp_bias", true).With("pretraining_tp", 2);
        foreach (var name in variant.Tensors.Keys.Where(n => n.Contains("proj.weight", StringComparison.Ordinal)).ToArray())
            variant.Add(name.Replace("weight", "bias", StringComparison.Ordinal), [variant.Tensors[name].Shape[0]], _ => 0);
        AssertEqual(variant);
        using var missing = new Variant("llama-default").With("attention_bias", true);
        Assert.Equal("model.layers.0.self_attn.q_proj.bias", Assert.Throws<CheckpointException>(missing.Load).Key);
    }

    /// <summary>Families of Llama's graph with each other's switches: Mistral's window as Qwen 2's, Llama as a Mistral without window.</summary>
    [Fact]
    public void Sliding_windows_are_those_of_Mistral()
    {
        Variant AsQwen2()
        {
            var variant = new Variant("mistral-default").With("model_type", "qwen2").With("use_sliding_window", true).With("max_window_layers", 0);
            foreach (var name in variant.Tensors.Keys.Where(n => n.EndsWith("q_proj.weight", StringComparison.Ordinal) || n.EndsWith("k_proj.weight", StringComparison.Ordinal)
                || n.EndsWith("v_proj.weight", StringComparison.Ordinal)).ToArray())
                variant.Add(name.Replace("weight", "bias", StringComparison.Ordinal), [variant.Tensors[name].Shape[0]], _ => 0);
            return variant;
        }
        AssertEqual(AsQwen2());
        AssertEqual(AsQwen2().With("layer_types", new JsonArray("sliding_attention", "sliding_attention", "sliding_attention")).With("max_window_layers", 28));
        AssertEqual(new Variant("llama-default").With("model_type", "mistral").With("sliding_window", null).Without("attention_bias", "mlp_bias", "pretraining_tp"));

        // From max_window_layers on: layer 0 sees everything, the others five keys.
        using var mixed = AsQwen2().With("max_window_layers", 1);
        using var model = mixed.Load();
        var (ids, mask) = mixed.Inputs();
        var got = Recording.Of(model, ids, mask);
        var length = ids.GetLength(1);
        for (var l = 0; l < 3; l++)
        {
            var pattern = got[HookPoint.AttnPattern, l]; // [B, H, T, T]
            for (var i = 0; i < pattern.Length; i++)
            {
                var (query, key) = (i / length % length, i % length);
                Assert.Equal(key <= query && (l == 0 || key > query - 5), pattern[i] > 0);
            }
        }
        using var off = AsQwen2().With("layer_types", new JsonArray("full_attention", "full_attention", "sliding_attention")).With("use_sliding_window", false);
        Assert.Equal("sliding_window", Assert.Throws<CheckpointException>(off.Load).Key);
    }

    /// <summary>Heads of one key and value each, made equal, are grouped heads.</summary>
    [Fact]
    public void Phi_groups_heads()
    {
        // Rows 16 .. 47 of the projections to rows 0 .. 15: all three heads alike.
        using var alike = new Variant("phi-default");
        foreach (var part in new[] { "k_proj", "v_proj" })
            foreach (var name in alike.Tensors.Keys.Where(n => n.Contains(part, StringComparison.Ordinal)).ToArray())
            {
                var (shape, values) = alike.Tensors[name];
                alike.Tensors[name] = (shape, [.. values.Select((_, i) => values[i % (values.Length / 3)])]);
            }
        using var grouped = new Variant("phi-default").With("num_key_value_heads", 1);
        foreach (var name in grouped.Tensors.Keys.Where(n => n.Contains("k_proj", StringComparison.Ordinal) || n.Contains("v_proj", StringComparison.Ordinal)).ToArray())
            grouped.Tensors[name] = ([grouped.Tensors[name].Shape[0] / 3, .. grouped.Tensors[name].Shape[1..]], grouped.Tensors[name].Values[..(grouped.Tensors[name].Values.Length / 3)]);
        AssertSame(alike, grouped, HookPoint.Logits);
    }

    /// <summary>Without rotation, the pattern is softmax of normed queries times normed keys.</summary>
    [Fact]
    public void Phi_norms_queries_and_keys()
    {
        using var variant = new Variant("phi-default").With("qk_layernorm", true).With("partial_rotary_factor", 0.0);
        for (var l = 0; l < 3; l++)
            foreach (var part in new[] { "q", "k" })
                variant.Add($"model.layers.{l}.self_attn.{part}_layernorm.weight", [16], i => 1 + 0.1f * i).Add($"model.layers.{l}.self_attn.{part}_layernorm.bias", [16], i => 0.05f * i);
        using var model = variant.Load();
        var (ids, _) = variant.Inputs();
        var got = Recording.Of(model, ids);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var w = model.Parameters.ToDictionary(p => p.Name, p => p.Value);
        int batch = ids.GetLength(0), length = ids.GetLength(1);
        Tensor Normed(string part) => nn.functional.layer_norm(
            nn.functional.linear(tensor(got[HookPoint.Ln1Out, 1], [batch, length, 48]), w[$"model.layers.1.self_attn.{part}_proj.weight"], w[$"model.layers.1.self_attn.{part}_proj.bias"])
                .view(batch, length, 3, 16), [16], w[$"model.layers.1.self_attn.{part}_layernorm.weight"], w[$"model.layers.1.self_attn.{part}_layernorm.bias"], 1e-5).transpose(1, 2);
        var scores = einsum("bhid,bhjd->bhij", Normed("q"), Normed("k")) / 4;
        var expected = scores.masked_fill(ones(length, length, ScalarType.Bool).triu(1), double.NegativeInfinity).softmax(-1);
        AssertClose(expected.data<float>().ToArray(), got[HookPoint.AttnPattern, 1], 1e-5);
    }

    [Fact]
    public void Sequential_blocks_add_in_turn()
    {
        using var variant = new Variant("gpt_neox-default").With("use_parallel_residual", false);
        using var model = variant.Load();
        var (ids, _) = variant.Inputs();
        var got = Recording.Of(model, ids);
        for (var l = 0; l < 3; l++)
        {
            AssertClose(Sum(got[HookPoint.ResidPre, l], got[HookPoint.AttnOut, l]), got[HookPoint.ResidMid, l], 1e-6);
            AssertClose(Sum(got[HookPoint.ResidMid, l], got[HookPoint.MlpOut, l]), got[HookPoint.ResidPost, l], 1e-6);
            AssertNormOf(model, $"gpt_neox.layers.{l}.post_attention_layernorm", got[HookPoint.ResidMid, l], got[HookPoint.Ln2Out, l]);
        }
        using var parallel = new Variant("gpt_neox-default").Load();
        Assert.DoesNotContain(Recording.Of(parallel, ids).Values.Keys, k => k.Point == HookPoint.ResidMid);
    }

    [Fact]
    public void Neox_without_biases_and_tied()
    {
        using var zero = new Variant("gpt_neox-default").Edit("query_key_value.bias", (_, _, _) => 0).Edit("attention.dense.bias", (_, _, _) => 0).Copy("embed_out.weight", "gpt_neox.embed_in.weight");
        using var without = new Variant("gpt_neox-default").With("attention_bias", false).With("tie_word_embeddings", true);
        foreach (var name in without.Tensors.Keys.Where(n => n.EndsWith("query_key_value.bias", StringComparison.Ordinal) || n.EndsWith("attention.dense.bias", StringComparison.Ordinal)
            || n == "embed_out.weight").ToArray())
            without.Tensors.Remove(name);
        AssertSame(zero, without, HookPoint.Logits);
    }

    /// <summary>Embeddings of width 64, of which a projection keeps the first 32: the fixture's values come out again.</summary>
    [Fact]
    public void Opt_projects_narrow_embeddings()
    {
        var variant = new Variant("opt-default").With("word_embed_proj_dim", 64);
        var embedding = variant.Tensors["model.decoder.embed_tokens.weight"].Values;
        variant.Add("model.decoder.embed_tokens.weight", [131, 64], i => i % 64 < 32 ? embedding[i / 64 * 32 + i % 64] : 0);
        variant.Add("model.decoder.project_in.weight", [32, 64], i => i / 64 == i % 64 ? 1 : 0);
        variant.Add("model.decoder.project_out.weight", [64, 32], i => i / 32 == i % 32 ? 1 : 0);
        using (var model = variant.Load())
        {
            using var scope = NewDisposeScope();
            Assert.Equal([131, 32], model.Unembedding.shape);
            AssertClose(embedding, model.Unembedding.data<float>().ToArray(), 0);
        }
        using var expected = SafetensorsFile.Open(SharedData.Require("fixtures/transformers/opt-default/expected.safetensors"));
        // The last of hidden_states is what the head reads, which has another width now.
        var errors = variant.Errors();
        variant.Dispose();
        Assert.Equal(("hidden_states", 3), (Assert.Single(errors, e => !e.Passes(2e-6)).Tensor, Assert.Single(errors, e => !e.Passes(2e-6)).Layer));
    }

    [Fact]
    public void Opt_350m_norms_after_the_sums()
    {
        using var variant = new Variant("opt-default").With("do_layer_norm_before", false);
        variant.Tensors.Remove("model.decoder.final_layer_norm.weight");
        variant.Tensors.Remove("model.decoder.final_layer_norm.bias");
        using var model = variant.Load();
        Assert.Null(model.FinalNormGain);
        var (ids, mask) = variant.Inputs();
        var got = Recording.Of(model, ids, mask);
        Assert.DoesNotContain(got.Values.Keys, k => k.Point == HookPoint.FinalNorm);
        for (var l = 0; l < 3; l++)
        {
            AssertClose(Sum(got[HookPoint.ResidPre, l], got[HookPoint.AttnOut, l]), got[HookPoint.Ln1In, l], 1e-6);
            AssertNormOf(model, $"model.decoder.layers.{l}.self_attn_layer_norm", got[HookPoint.Ln1In, l], got[HookPoint.Ln1Out, l]);
            Assert.Equal(got[HookPoint.Ln1Out, l], got[HookPoint.ResidMid, l]);
            AssertClose(Sum(got[HookPoint.ResidMid, l], got[HookPoint.MlpOut, l]), got[HookPoint.Ln2In, l], 1e-6);
            AssertNormOf(model, $"model.decoder.layers.{l}.final_layer_norm", got[HookPoint.Ln2In, l], got[HookPoint.Ln2Out, l]);
            Assert.Equal(got[HookPoint.Ln2Out, l], got[HookPoint.ResidPost, l]);
        }
    }

    [Fact]
    public void Opt_without_biases_norm_weights_or_last_norm()
    {
        static bool IsBias(string name) => name.EndsWith("proj.bias", StringComparison.Ordinal) || name.Contains(".fc", StringComparison.Ordinal) && name.EndsWith("bias", StringComparison.Ordinal);
        using var plain = new Variant("opt-default").Edit("layer_norm.weight", (_, _, _) => 1).Edit("layer_norm.bias", (_, _, _) => 0).Edit("proj.bias", (_, _, _) => 0).Edit("fc1.bias", (_, _, _) => 0)
            .Edit("fc2.bias", (_, _, _) => 0);
        using var without = new Variant("opt-default").With("enable_bias", false).With("layer_norm_elementwise_affine", false);
        foreach (var name in without.Tensors.Keys.Where(n => IsBias(n) || n.Contains("layer_norm.", StringComparison.Ordinal)).ToArray())
            without.Tensors.Remove(name);
        AssertSame(plain, without, HookPoint.Logits);

        var removed = new Variant("opt-default").With("_remove_final_layer_norm", true);
        removed.Tensors.Remove("model.decoder.final_layer_norm.weight");
        removed.Tensors.Remove("model.decoder.final_layer_norm.bias");
        AssertEqual(removed, "final_norm", "logits", "hidden_states");
    }

    [Fact]
    public void Gemma2_caps_are_off_when_null()
    {
        using var off = new Variant("gemma2-default").With("attn_logit_softcapping", null).With("final_logit_softcapping", null);
        using var far = new Variant("gemma2-default").With("attn_logit_softcapping", 1e6).With("final_logit_softcapping", 1e6);
        AssertSame(off, far, HookPoint.Logits, 1e-4);
        // Twice the queries, four times the scalar.
        AssertEqual(new Variant("gemma2-default").Edit("q_proj.weight", (_, _, v) => 2 * v).With("query_pre_attn_scalar", 96));
    }

    [Fact]
    public void Gemma_refuses_two_activations()
    {
        using var variant = new Variant("gemma-default").With("hidden_activation", "gelu");
        Assert.Equal("hidden_activation", Assert.Throws<CheckpointException>(variant.Load).Key);
    }

    [Theory]
    [InlineData("position_embedding_type", "relative_key")]
    [InlineData("is_decoder", true)]
    [InlineData("add_cross_attention", true)]
    public void Bert_refuses_other_kinds_by_name(string key, object value)
    {
        using var variant = new Variant("bert-default").With(key, JsonValue.Create(value));
        var e = Assert.Throws<CheckpointException>(variant.Load);
        Assert.Equal((key, CheckpointFault.Unsupported), (e.Key, e.Fault));
    }

    /// <summary>BertForPreTraining: the pooler and the next-sentence head, from the first token of the last stream.</summary>
    [Fact]
    public void Bert_has_the_heads_that_are_stored()
    {
        using var variant = new Variant("bert-default").Add("bert.pooler.dense.weight", [32, 32], i => MathF.Sin(i)).Add("bert.pooler.dense.bias", [32], i => 0.1f * i)
            .Add("cls.seq_relationship.weight", [2, 32], i => MathF.Cos(i)).Add("cls.seq_relationship.bias", [2], i => i);
        using var model = variant.Load();
        var (ids, mask) = variant.Inputs();
        var got = Recording.Of(model, ids, mask);
        var (last, pooled, relation) = (got[HookPoint.ResidPost, 2], got[HookPoint.PoolerOutput], got[HookPoint.SeqRelationship]);
        for (var b = 0; b < 3; b++)
        {
            var first = last.AsSpan(b * 12 * 32, 32).ToArray();
            var expected = Enumerable.Range(0, 32).Select(o => MathF.Tanh(first.Select((v, i) => v * MathF.Sin(o * 32 + i)).Sum() + 0.1f * o)).ToArray();
            AssertClose(expected, pooled[(b * 32)..(b * 32 + 32)], 1e-5);
            AssertClose([.. Enumerable.Range(0, 2).Select(o => expected.Select((v, i) => v * MathF.Cos(o * 32 + i)).Sum() + o)], relation[(b * 2)..(b * 2 + 2)], 1e-5);
        }
        Assert.Contains(got.Values.Keys, k => k.Point == HookPoint.Logits);
    }

    private static void AssertSame(Variant a, Variant b, HookPoint point, double tolerance = 1e-5)
    {
        var (ids, mask) = a.Inputs();
        using LanguageModel first = a.Load(), second = b.Load();
        foreach (var pattern in new[] { true, false })
            AssertClose(Recording.Of(first, ids, mask, pattern)[point], Recording.Of(second, ids, mask, pattern)[point], tolerance);
    }

    private static float[] Sum(float[] a, float[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static void AssertNormOf(LanguageModel model, string norm, float[] input, float[] output)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var w = model.Parameters.ToDictionary(p => p.Name, p => p.Value);
        var width = w[$"{norm}.weight"].shape[0];
        var expected = nn.functional.layer_norm(tensor(input, [input.Length / width, width]), [width], w[$"{norm}.weight"], w[$"{norm}.bias"], 1e-5);
        AssertClose(expected.data<float>().ToArray(), output, 1e-5);
    }

    private static void AssertClose(float[] expected, float[] got, double tolerance)
    {
        Assert.Equal(expected.Length, got.Length);
        var scale = expected.Max(v => Math.Abs(v));
        Assert.All(expected.Zip(got), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= tolerance * scale, $"{pair.Second} not {pair.First}"));
    }
}
