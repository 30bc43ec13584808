using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// GPT-NeoX (Black et al. 2022) and Pythia: attention and MLP in parallel from a norm each, rotary positions on a part of each head, and queries, keys and
/// values of a head side by side in one matrix. Names and switches are those of transformers' GPTNeoXForCausalLM.
/// </summary>
internal sealed class GptNeoX : LanguageModel
{
    private sealed record Config(
        int Layers, int Width, int Heads, int MlpWidth, int Vocabulary, double Eps, bool Tied, bool Parallel, bool AttentionBias, RopeFrequencies Rope,
        Func<Tensor, Tensor> Activation);

    private readonly Config _config;
    private readonly Rope _rope;

    private GptNeoX(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) =>
        (_config, _rope) = (config, new Rope(config.Rope, config.Width / config.Heads));

    public override Tensor Unembedding => Set[_config.Tied ? "gpt_neox.embed_in.weight" : "embed_out.weight"];

    public override Tensor FinalNormGain => Set["gpt_neox.final_layer_norm.weight"];

    private protected override Tensor Embed(Pass pass) => Pass.Lookup(Set["gpt_neox.embed_in.weight"], pass.Ids); // [B, T, d]

    private protected override Tensor Block(int l, Tensor x, Pass pass)
    {
        var w = Set.At($"gpt_neox.layers.{l}.");
        var h = pass.At(HookPoint.Ln1Out, l, w.LayerNorm("input_layernorm", x, _config.Eps));
        var qkv = Attention.Heads(w.Linear("attention.query_key_value", h), _config.Heads).chunk(3, -1); // 3 of [B, T, H, dh]
        var z = Attention.Run(_rope.Apply(qkv[0]), _rope.Apply(qkv[1]), qkv[2], pass.Visible(causal: true), pass, l); // [B, T, d]
        var a = pass.At(HookPoint.AttnOut, l, w.Linear("attention.dense", z));
        var read = x;
        if (!_config.Parallel)
            read = x = pass.At(HookPoint.ResidMid, l, x.Plus(a));
        h = pass.At(HookPoint.Ln2Out, l, w.LayerNorm("post_attention_layernorm", read, _config.Eps));
        var act = pass.At(HookPoint.MlpAct, l, _config.Activation(w.Linear("mlp.dense_h_to_4h", h))); // [B, T, d_mlp]
        var m = pass.At(HookPoint.MlpOut, l, w.Linear("mlp.dense_4h_to_h", act));
        return _config.Parallel ? x.Plus(a).PlusInPlace(m) : x.Plus(m);
    }

    private protected override Tensor Finish(Tensor x, Pass pass) =>
        pass.At(HookPoint.FinalNorm, -1, Set.At("gpt_neox.").LayerNorm("final_layer_norm", x, _config.Eps));

    private protected override Tensor Head(Tensor x, Pass pass) => pass.At(HookPoint.Logits, -1, nn.functional.linear(x, Unembedding));

    public override void Dispose()
    {
        _rope.Dispose();
        base.Dispose();
    }

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var width = json.Size(null, "hidden_size");
        var heads = json.Size(64, "num_attention_heads");
        if (width % heads != 0)
            throw json.Invalid("num_attention_heads", $"hidden_size {width} is not divisible by {heads} heads");
        var c = new Config(
            json.LayerCount("num_hidden_layers"), width, heads, json.Size(24576, "intermediate_size"), json.Size(null, "vocab_size"), json.Eps("layer_norm_eps", 1e-5),
            json.Flag("tie_word_embeddings", false), json.Flag("use_parallel_residual", true), json.Flag("attention_bias", true),
            RopeFrequencies.Read(json, width / heads, partial: 0.25), Activation.Read(json, "hidden_act", "gelu"));

        var tensors = new TensorList();
        tensors.Table("gpt_neox.embed_in", c.Vocabulary, width);
        for (var l = 0; l < c.Layers; l++)
        {
            var block = tensors.Block(l, $"gpt_neox.layers.{l}.");
            block.LayerNorm("input_layernorm", width);
            block.Linear("attention.query_key_value", width, 3 * width, c.AttentionBias);
            block.Linear("attention.dense", width, width, c.AttentionBias);
            block.LayerNorm("post_attention_layernorm", width);
            block.Linear("mlp.dense_h_to_4h", width, c.MlpWidth);
            block.Linear("mlp.dense_4h_to_h", c.MlpWidth, width);
        }
        tensors.LayerNorm("gpt_neox.final_layer_norm", width);
        if (!c.Tied)
            tensors.Linear("embed_out", width, c.Vocabulary, bias: false);
        return new ModelPlan(tensors, "gpt_neox.", (description, parameters) => new GptNeoX(c, description, parameters))
        {
            Ties = c.Tied ? [("embed_out.weight", "gpt_neox.embed_in.weight")] : [],
            ParallelBlocks = c.Parallel,
        };
    }
}
