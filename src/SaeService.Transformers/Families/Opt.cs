using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// OPT (Zhang et al. 2022): learned positions counted over real tokens, ReLU; blocks with norms before or, in the 350 M model, after attention and MLP. Names
/// and switches are those of transformers' OPTForCausalLM.
/// </summary>
internal sealed class Opt : LanguageModel
{
    // The first rows of the table of positions are for padding.
    private const int Offset = 2;

    // Not in the config.
    private const double Eps = 1e-5;

    private sealed record Config(
        int Layers, int Width, int EmbeddingWidth, int Heads, int MlpWidth, int Vocabulary, int Positions, bool Tied, bool NormFirst, bool FinalNorm, bool Bias,
        bool NormWeights, Func<Tensor, Tensor> Activation)
    {
        public bool Projects => EmbeddingWidth != Width;
    }

    private readonly Config _config;

    private Opt(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) => _config = config;

    public override Tensor Unembedding => _config.Projects ? HeadMatrix.mm(Decoder["project_out.weight"]) : HeadMatrix;

    public override Tensor? FinalNormGain => Decoder.Find("final_layer_norm.weight");

    private Weights Decoder => Set.At("model.decoder.");

    private Tensor HeadMatrix => Set[_config.Tied ? "model.decoder.embed_tokens.weight" : "lm_head.weight"]; // [V, d_embed]

    private protected override Tensor Embed(Pass pass)
    {
        var x = Pass.Lookup(Decoder["embed_tokens.weight"], pass.Ids); // [B, T, d_embed]
        if (_config.Projects)
            x = Decoder.Linear("project_in", x); // [B, T, d]
        var positions = pass.Positions;
        if (pass.Mask is { } mask)
        {
            var real = mask.to(ScalarType.Int64);
            positions = real.cumsum(1) * real - 1; // [B, T], -1 at padding
        }
        return x + Pass.Lookup(Decoder["embed_positions.weight"], positions + Offset);
    }

    private protected override Tensor Block(int l, Tensor x, Pass pass)
    {
        var w = Set.At($"model.decoder.layers.{l}.");
        var h = _config.NormFirst ? pass.At(HookPoint.Ln1Out, l, w.LayerNorm("self_attn_layer_norm", x, Eps)) : x;
        var z = Attention.Run(Heads("q_proj"), Heads("k_proj"), Heads("v_proj"), pass.Visible(causal: true), pass, l); // [B, T, d]
        x += pass.At(HookPoint.AttnOut, l, w.Linear("self_attn.out_proj", z));
        if (!_config.NormFirst)
            x = pass.At(HookPoint.Ln1Out, l, w.LayerNorm("self_attn_layer_norm", pass.At(HookPoint.Ln1In, l, x), Eps));
        x = pass.At(HookPoint.ResidMid, l, x);
        var h2 = _config.NormFirst ? pass.At(HookPoint.Ln2Out, l, w.LayerNorm("final_layer_norm", x, Eps)) : x;
        var act = pass.At(HookPoint.MlpAct, l, _config.Activation(w.Linear("fc1", h2))); // [B, T, d_mlp]
        x += pass.At(HookPoint.MlpOut, l, w.Linear("fc2", act));
        return _config.NormFirst ? x : pass.At(HookPoint.Ln2Out, l, w.LayerNorm("final_layer_norm", pass.At(HookPoint.Ln2In, l, x), Eps));

        Tensor Heads(string matrix) => Attention.Heads(w.Linear($"self_attn.{matrix}", h), _config.Heads);
    }

    private protected override Tensor Finish(Tensor x, Pass pass)
    {
        if (_config.FinalNorm)
            x = pass.At(HookPoint.FinalNorm, -1, Decoder.LayerNorm("final_layer_norm", x, Eps));
        return _config.Projects ? pass.At(HookPoint.ProjectOut, -1, Decoder.Linear("project_out", x)) : x;
    }

    private protected override Tensor Head(Tensor x, Pass pass) => pass.At(HookPoint.Logits, -1, nn.functional.linear(x, HeadMatrix));

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var width = json.Size(null, "hidden_size");
        var heads = json.Size(12, "num_attention_heads");
        if (width % heads != 0)
            throw json.Invalid("num_attention_heads", $"hidden_size {width} is not divisible by {heads} heads");
        var normFirst = json.Flag("do_layer_norm_before", true);
        var c = new Config(
            json.LayerCount("num_hidden_layers"), width, json.Size(width, "word_embed_proj_dim"), heads, json.Size(3072, "ffn_dim"), json.Size(null, "vocab_size"),
            ModelDescription.Positions(json), json.Flag("tie_word_embeddings", true), normFirst, normFirst && !json.Flag("_remove_final_layer_norm", false),
            json.Flag("enable_bias", true), json.Flag("layer_norm_elementwise_affine", true), Activation.Read(json, "activation_function", "relu"));

        var tensors = new TensorList();
        var decoder = tensors.Outside("model.decoder.");
        decoder.Table("embed_tokens", c.Vocabulary, c.EmbeddingWidth);
        if (c.Projects)
            decoder.Linear("project_in", c.EmbeddingWidth, width, bias: false);
        decoder.Table("embed_positions", c.Positions + Offset, width);
        for (var l = 0; l < c.Layers; l++)
        {
            var block = tensors.Block(l, $"model.decoder.layers.{l}.");
            foreach (var matrix in new[] { "q_proj", "k_proj", "v_proj", "out_proj" })
                block.Linear($"self_attn.{matrix}", width, width, c.Bias);
            if (c.NormWeights)
                block.LayerNorm("self_attn_layer_norm", width);
            block.Linear("fc1", width, c.MlpWidth, c.Bias);
            block.Linear("fc2", c.MlpWidth, width, c.Bias);
            if (c.NormWeights)
                block.LayerNorm("final_layer_norm", width);
        }
        if (c.FinalNorm && c.NormWeights)
            decoder.LayerNorm("final_layer_norm", width);
        if (c.Projects)
            decoder.Linear("project_out", width, c.EmbeddingWidth, bias: false);
        if (!c.Tied)
            tensors.Linear("lm_head", c.EmbeddingWidth, c.Vocabulary, bias: false);
        return new ModelPlan(tensors, "model.", (description, parameters) => new Opt(c, description, parameters))
        {
            Ties = c.Tied ? [("lm_head.weight", "model.decoder.embed_tokens.weight")] : [],
        };
    }
}
