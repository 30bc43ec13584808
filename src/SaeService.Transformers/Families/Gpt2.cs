using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// GPT-2 (Radford et al. 2019): pre-norm blocks with LayerNorm, learned positions, and matrices stored [in, out]. Names and switches are those of
/// transformers' GPT2LMHeadModel.
/// </summary>
internal sealed class Gpt2 : LanguageModel
{
    private sealed record Config(
        int Layers, int Width, int Heads, int MlpWidth, int Vocabulary, int Positions, double Eps, bool Tied, bool ScaleByHead, bool ScaleByLayer,
        Func<Tensor, Tensor> Activation);

    private readonly Config _config;

    private Gpt2(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) => _config = config;

    public override Tensor Unembedding => Set[_config.Tied ? "transformer.wte.weight" : "lm_head.weight"];

    public override Tensor FinalNormGain => Set["transformer.ln_f.weight"];

    // Token types are looked up among the tokens.
    public override int TokenTypes => _config.Vocabulary;

    private protected override Tensor Embed(Pass pass)
    {
        var w = Set.At("transformer.");
        var x = Pass.Lookup(w["wte.weight"], pass.Ids) + Pass.Lookup(w["wpe.weight"], pass.Positions); // [B, T, d]
        return pass.TokenTypes is null ? x : x + Pass.Lookup(w["wte.weight"], pass.TokenTypes);
    }

    private protected override Tensor Block(int l, Tensor x, Pass pass)
    {
        var w = Set.At($"transformer.h.{l}.");
        var h = pass.At(HookPoint.Ln1Out, l, w.LayerNorm("ln_1", x, _config.Eps));
        var qkv = w.Conv1D("attn.c_attn", h).chunk(3, -1); // 3 of [B, T, d]
        var z = Attention.Run(Heads(qkv[0]), Heads(qkv[1]), Heads(qkv[2]), pass.Visible(causal: true), pass, l, Scale(l));
        x = pass.At(HookPoint.ResidMid, l, x + pass.At(HookPoint.AttnOut, l, w.Conv1D("attn.c_proj", z)));
        h = pass.At(HookPoint.Ln2Out, l, w.LayerNorm("ln_2", x, _config.Eps));
        var act = pass.At(HookPoint.MlpAct, l, _config.Activation(w.Conv1D("mlp.c_fc", h))); // [B, T, d_mlp]
        return x + pass.At(HookPoint.MlpOut, l, w.Conv1D("mlp.c_proj", act));

        Tensor Heads(Tensor part) => Attention.Heads(part, _config.Heads);
    }

    private double Scale(int l) => (_config.ScaleByHead ? 1 / Math.Sqrt(_config.Width / _config.Heads) : 1) / (_config.ScaleByLayer ? l + 1 : 1);

    private protected override Tensor Finish(Tensor x, Pass pass) => pass.At(HookPoint.FinalNorm, -1, Set.At("transformer.").LayerNorm("ln_f", x, _config.Eps));

    private protected override Tensor Head(Tensor x, Pass pass) => pass.At(HookPoint.Logits, -1, nn.functional.linear(x, Unembedding));

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var width = json.Size(null, "n_embd", "hidden_size");
        var heads = json.Size(12, "n_head", "num_attention_heads");
        if (width % heads != 0)
            throw json.Invalid("n_head", $"n_embd {width} is not divisible by {heads} heads");
        // The order of the products before the softmax, which is in float32 here anyway.
        json.Flag("reorder_and_upcast_attn", false);
        var c = new Config(
            json.LayerCount("n_layer", "num_hidden_layers"), width, heads, json.OptionalSize("n_inner", null) ?? 4 * width, json.Size(null, "vocab_size"),
            ModelDescription.Positions(json), json.Eps("layer_norm_epsilon", 1e-5), json.Flag("tie_word_embeddings", true), json.Flag("scale_attn_weights", true),
            json.Flag("scale_attn_by_inverse_layer_idx", false), Activation.Read(json, "activation_function", "gelu_new"));

        var tensors = new TensorList();
        tensors.Table("transformer.wte", c.Vocabulary, width);
        tensors.Table("transformer.wpe", c.Positions, width);
        // What is added to the stream starts smaller, so that the stream does not grow with depth.
        var residual = 1 / Math.Sqrt(2.0 * Math.Max(1, c.Layers));
        for (var l = 0; l < c.Layers; l++)
        {
            var block = tensors.Block(l, $"transformer.h.{l}.");
            block.LayerNorm("ln_1", width);
            block.Conv1D("attn.c_attn", width, 3 * width);
            block.Conv1D("attn.c_proj", width, width, residual);
            block.LayerNorm("ln_2", width);
            block.Conv1D("mlp.c_fc", width, c.MlpWidth);
            block.Conv1D("mlp.c_proj", c.MlpWidth, width, residual);
        }
        tensors.LayerNorm("transformer.ln_f", width);
        if (!c.Tied)
            tensors.Linear("lm_head", width, c.Vocabulary, bias: false);
        return new ModelPlan(tensors, "transformer.", (description, parameters) => new Gpt2(c, description, parameters))
        {
            Ties = c.Tied ? [("lm_head.weight", "transformer.wte.weight")] : [],
        };
    }
}
