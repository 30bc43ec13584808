using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// Phi 1, 1.5 and 2 (Gunasekar et al. 2023): attention and MLP in parallel from one norm, rotary positions on a part of each head, biases everywhere. Names and
/// switches are those of transformers' PhiForCausalLM.
/// </summary>
internal sealed class Phi : LanguageModel
{
    private sealed record Config(
        int Layers, int Width, int Heads, int KeyValueHeads, int MlpWidth, int Vocabulary, double Eps, bool Tied, bool QueryKeyNorm, RopeFrequencies Rope,
        Func<Tensor, Tensor> Activation);

    private readonly Config _config;
    private readonly Rope _rope;

    private Phi(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) =>
        (_config, _rope) = (config, new Rope(config.Rope, config.Width / config.Heads));

    public override Tensor Unembedding => Set[_config.Tied ? "model.embed_tokens.weight" : "lm_head.weight"];

    public override Tensor FinalNormGain => Set["model.final_layernorm.weight"];

    private protected override Tensor Embed(Pass pass) => Pass.Lookup(Set["model.embed_tokens.weight"], pass.Ids); // [B, T, d]

    private protected override Tensor Block(int l, Tensor x, Pass pass)
    {
        var w = Set.At($"model.layers.{l}.");
        var h = pass.At(HookPoint.Ln1Out, l, w.LayerNorm("input_layernorm", x, _config.Eps));
        var q = Attention.Heads(w.Linear("self_attn.q_proj", h), _config.Heads); // [B, T, H, dh]
        var k = Attention.Heads(w.Linear("self_attn.k_proj", h), _config.KeyValueHeads); // [B, T, H_kv, dh]
        var v = Attention.Heads(w.Linear("self_attn.v_proj", h), _config.KeyValueHeads);
        if (_config.QueryKeyNorm)
            (q, k) = (w.LayerNorm("self_attn.q_layernorm", q, _config.Eps), w.LayerNorm("self_attn.k_layernorm", k, _config.Eps));
        var z = Attention.Run(_rope.Apply(q), _rope.Apply(k), v, pass.Visible(causal: true), pass, l); // [B, T, d]
        var a = pass.At(HookPoint.AttnOut, l, w.Linear("self_attn.dense", z));
        var act = pass.At(HookPoint.MlpAct, l, _config.Activation(w.Linear("mlp.fc1", h))); // [B, T, d_mlp]
        return x.Plus(a).PlusInPlace(pass.At(HookPoint.MlpOut, l, w.Linear("mlp.fc2", act)));
    }

    private protected override Tensor Finish(Tensor x, Pass pass) => pass.At(HookPoint.FinalNorm, -1, Set.At("model.").LayerNorm("final_layernorm", x, _config.Eps));

    private protected override Tensor Head(Tensor x, Pass pass) => pass.At(HookPoint.Logits, -1, nn.functional.linear(x, Unembedding, Set["lm_head.bias"]));

    public override void Dispose()
    {
        _rope.Dispose();
        base.Dispose();
    }

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var width = json.Size(null, "hidden_size");
        var heads = json.Size(32, "num_attention_heads");
        if (width % heads != 0)
            throw json.Invalid("num_attention_heads", $"hidden_size {width} is not divisible by {heads} heads");
        var keyValueHeads = json.Size(heads, "num_key_value_heads");
        if (heads % keyValueHeads != 0)
            throw json.Invalid("num_key_value_heads", $"{heads} heads cannot share {keyValueHeads} key-value heads evenly");
        var headDim = width / heads;
        if (json.Size(headDim, "head_dim") != headDim)
            throw json.Unsupported("head_dim", $"only hidden_size / num_attention_heads = {headDim} is supported for this model family");
        var c = new Config(
            json.LayerCount("num_hidden_layers"), width, heads, keyValueHeads, json.Size(8192, "intermediate_size"), json.Size(null, "vocab_size"),
            json.Eps("layer_norm_eps", 1e-5), json.Flag("tie_word_embeddings", false), json.Flag("qk_layernorm", false),
            RopeFrequencies.Read(json, headDim, partial: 0.5), Activation.Read(json, "hidden_act", "gelu_new"));

        var tensors = new TensorList();
        tensors.Table("model.embed_tokens", c.Vocabulary, width);
        for (var l = 0; l < c.Layers; l++)
        {
            var block = tensors.Block(l, $"model.layers.{l}.");
            block.LayerNorm("input_layernorm", width);
            block.Linear("self_attn.q_proj", width, width);
            block.Linear("self_attn.k_proj", width, keyValueHeads * headDim);
            block.Linear("self_attn.v_proj", width, keyValueHeads * headDim);
            if (c.QueryKeyNorm)
            {
                block.LayerNorm("self_attn.q_layernorm", headDim);
                block.LayerNorm("self_attn.k_layernorm", headDim);
            }
            block.Linear("self_attn.dense", width, width);
            block.Linear("mlp.fc1", width, c.MlpWidth);
            block.Linear("mlp.fc2", c.MlpWidth, width);
        }
        tensors.LayerNorm("model.final_layernorm", width);
        if (!c.Tied)
            tensors.Table("lm_head", c.Vocabulary, width);
        tensors.Add("lm_head.bias", Init.Zeros, c.Vocabulary);
        return new ModelPlan(tensors, "model.", (description, parameters) => new Phi(c, description, parameters))
        {
            Ties = c.Tied ? [("lm_head.weight", "model.embed_tokens.weight")] : [],
            ParallelBlocks = true,
        };
    }
}
