using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// Llama 1 to 3 (Touvron et al. 2023): pre-norm blocks with RMSNorm, rotary positions, grouped-query attention and a gated MLP. Mistral, Qwen and Gemma are
/// the same graph under other switches; each family's file reads its config into them. Names and switches are those of transformers' LlamaForCausalLM.
/// </summary>
internal sealed class Llama : LanguageModel
{
    internal sealed record Config
    {
        public required int Layers { get; init; }

        public required int Width { get; init; }

        public required int Heads { get; init; }

        public required int KeyValueHeads { get; init; }

        public required int HeadDim { get; init; }

        public required int MlpWidth { get; init; }

        public required int Vocabulary { get; init; }

        public required double Eps { get; init; }

        public required bool Tied { get; init; }

        public required RopeFrequencies Rope { get; init; }

        public required Func<Tensor, Tensor> Activation { get; init; }

        public bool QueryKeyValueBias { get; init; }

        public bool OutputBias { get; init; }

        public bool MlpBias { get; init; }

        /// <summary>Qwen 3: queries and keys are normed, each head by itself, before they are turned.</summary>
        public bool QueryKeyNorm { get; init; }

        /// <summary>How many keys a query sees, itself included, by layer; null is all.</summary>
        public required int?[] Windows { get; init; }

        /// <summary>Gemma: norms multiply by 1 + weight, and embeddings by the root of the width.</summary>
        public bool IsGemma { get; init; }

        /// <summary>Gemma 2: attention and MLP have a norm after them, too, before they are added to the stream.</summary>
        public bool NormAfter { get; init; }

        public double? ScoreScale { get; init; }

        public double? ScoreCap { get; init; }

        public double? LogitCap { get; init; }
    }

    private readonly Config _config;
    private readonly Rope _rope;

    private Llama(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) =>
        (_config, _rope) = (config, new Rope(config.Rope, config.HeadDim));

    public override Tensor Unembedding => Set[_config.Tied ? "model.embed_tokens.weight" : "lm_head.weight"];

    public override Tensor FinalNormGain => _config.IsGemma ? Set["model.norm.weight"] + 1 : Set["model.norm.weight"];

    private protected override Tensor Embed(Pass pass)
    {
        var x = Pass.Lookup(Set["model.embed_tokens.weight"], pass.Ids); // [B, T, d]
        // Gemma's factor is rounded to the type of the embeddings.
        return _config.IsGemma ? x * tensor(Math.Sqrt(_config.Width)).to(x.dtype, x.device) : x;
    }

    private protected override Tensor Block(int l, Tensor x, Pass pass)
    {
        var w = Set.At($"model.layers.{l}.");
        var h = pass.At(HookPoint.Ln1Out, l, Norm(w["input_layernorm.weight"], x));
        var q = Attention.Heads(w.Linear("self_attn.q_proj", h), _config.Heads); // [B, T, H, dh]
        var k = Attention.Heads(w.Linear("self_attn.k_proj", h), _config.KeyValueHeads); // [B, T, H_kv, dh]
        var v = Attention.Heads(w.Linear("self_attn.v_proj", h), _config.KeyValueHeads);
        if (_config.QueryKeyNorm)
            (q, k) = (Norm(w["self_attn.q_norm.weight"], q), Norm(w["self_attn.k_norm.weight"], k));
        var z = Attention.Run(_rope.Apply(q), _rope.Apply(k), v, pass.Visible(causal: true, _config.Windows[l]), pass, l, _config.ScoreScale, _config.ScoreCap); // [B, T, H * dh]
        var a = pass.At(HookPoint.AttnOut, l, w.Linear("self_attn.o_proj", z));
        if (_config.NormAfter)
            a = pass.At(HookPoint.AttnOutPostNorm, l, Norm(w["post_attention_layernorm.weight"], a));
        x = pass.At(HookPoint.ResidMid, l, x.Plus(a));
        h = pass.At(HookPoint.Ln2Out, l, Norm(w[_config.NormAfter ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight"], x));
        var gate = _config.Activation(w.Linear("mlp.gate_proj", h)); // [B, T, d_mlp]
        var up = w.Linear("mlp.up_proj", h);
        // In place saves the widest value of the block; in training the gate is still needed.
        var act = pass.At(HookPoint.MlpAct, l, gate.requires_grad ? gate * up : gate.mul_(up));
        var m = pass.At(HookPoint.MlpOut, l, w.Linear("mlp.down_proj", act));
        if (_config.NormAfter)
            m = pass.At(HookPoint.MlpOutPostNorm, l, Norm(w["post_feedforward_layernorm.weight"], m));
        return x.Plus(m);
    }

    private protected override Tensor Finish(Tensor x, Pass pass) => pass.At(HookPoint.FinalNorm, -1, Norm(Set["model.norm.weight"], x));

    private protected override Tensor Head(Tensor x, Pass pass)
    {
        var logits = nn.functional.linear(x, Unembedding);
        if (_config.LogitCap is { } cap)
            logits = logits.div_(Scalars.Of(cap)).tanh_().mul(Scalars.Of(cap));
        return pass.At(HookPoint.Logits, -1, logits);
    }

    private Tensor Norm(Tensor gain, Tensor x) => Norms.Rms(x, gain, _config.Eps, _config.IsGemma);

    public override void Dispose()
    {
        _rope.Dispose();
        base.Dispose();
    }

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var bias = json.Flag("attention_bias", false);
        // Slices the products of training in parallel; the sums are the same.
        json.Size(1, "pretraining_tp");
        return Plan(Read(json, new()) with { QueryKeyValueBias = bias, OutputBias = bias, MlpBias = json.Flag("mlp_bias", false) });
    }

    /// <summary>What a family's configuration class puts where config.json has no such key.</summary>
    internal sealed record Defaults
    {
        public int Heads { get; init; } = 32;

        /// <summary>Null: as many as heads, which is also what a null in config.json means.</summary>
        public int? KeyValueHeads { get; init; }

        /// <summary>Null: width over heads.</summary>
        public int? HeadDim { get; init; }

        public int MlpWidth { get; init; } = 11008;

        public bool Tied { get; init; }
    }

    /// <summary>The keys that all families of this graph share.</summary>
    internal static Config Read(ModelConfig json, Defaults defaults, string activationKey = "hidden_act", string activation = "silu")
    {
        var width = json.Size(null, "hidden_size");
        var heads = json.Size(defaults.Heads, "num_attention_heads");
        var keyValueHeads = json.OptionalSize("num_key_value_heads", defaults.KeyValueHeads) ?? heads;
        if (heads % keyValueHeads != 0)
            throw json.Invalid("num_key_value_heads", $"{heads} heads cannot share {keyValueHeads} key-value heads evenly");
        var headDim = json.OptionalSize("head_dim", defaults.HeadDim);
        if (headDim is null && width % heads != 0)
            throw json.Invalid("num_attention_heads", $"hidden_size {width} is not divisible by {heads} heads");
        var layers = json.LayerCount("num_hidden_layers");
        return new Config
        {
            Layers = layers,
            Width = width,
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadDim = headDim ?? width / heads,
            MlpWidth = json.Size(defaults.MlpWidth, "intermediate_size"),
            Vocabulary = json.Size(null, "vocab_size"),
            Eps = json.Eps("rms_norm_eps", 1e-6),
            Tied = json.Flag("tie_word_embeddings", defaults.Tied),
            Rope = RopeFrequencies.Read(json, headDim ?? width / heads),
            Activation = Activation.Read(json, activationKey, activation),
            Windows = new int?[layers],
        };
    }

    internal static ModelPlan Plan(Config c)
    {
        var tensors = new TensorList();
        tensors.Table("model.embed_tokens", c.Vocabulary, c.Width);
        int queries = c.Heads * c.HeadDim, keys = c.KeyValueHeads * c.HeadDim;
        for (var l = 0; l < c.Layers; l++)
        {
            var block = tensors.Block(l, $"model.layers.{l}.");
            block.RmsNorm("input_layernorm", c.Width, c.IsGemma);
            block.Linear("self_attn.q_proj", c.Width, queries, c.QueryKeyValueBias);
            block.Linear("self_attn.k_proj", c.Width, keys, c.QueryKeyValueBias);
            block.Linear("self_attn.v_proj", c.Width, keys, c.QueryKeyValueBias);
            if (c.QueryKeyNorm)
            {
                block.RmsNorm("self_attn.q_norm", c.HeadDim);
                block.RmsNorm("self_attn.k_norm", c.HeadDim);
            }
            block.Linear("self_attn.o_proj", queries, c.Width, c.OutputBias);
            block.RmsNorm("post_attention_layernorm", c.Width, c.IsGemma);
            if (c.NormAfter)
                block.RmsNorm("pre_feedforward_layernorm", c.Width, c.IsGemma);
            block.Linear("mlp.gate_proj", c.Width, c.MlpWidth, c.MlpBias);
            block.Linear("mlp.up_proj", c.Width, c.MlpWidth, c.MlpBias);
            block.Linear("mlp.down_proj", c.MlpWidth, c.Width, c.MlpBias);
            if (c.NormAfter)
                block.RmsNorm("post_feedforward_layernorm", c.Width, c.IsGemma);
        }
        tensors.RmsNorm("model.norm", c.Width, c.IsGemma);
        if (!c.Tied)
            tensors.Linear("lm_head", c.Width, c.Vocabulary, bias: false);
        return new ModelPlan(tensors, "model.", (description, parameters) => new Llama(c, description, parameters))
        {
            Ties = c.Tied ? [("lm_head.weight", "model.embed_tokens.weight")] : [],
        };
    }
}
