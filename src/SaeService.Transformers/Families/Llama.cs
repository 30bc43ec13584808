using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace SaeService.Transformers.Families;

/// <summary>
/// Llama 1 to 3 (Touvron et al. 2023): pre-norm blocks with RMSNorm, rotary positions, grouped-query attention and a gated MLP. Names and switches are
/// those of transformers' LlamaForCausalLM.
/// </summary>
internal sealed class Llama : LanguageModel
{
    private sealed record Config(
        int Layers, int Width, int Heads, int KeyValueHeads, int HeadDim, int MlpWidth, int Vocabulary, int ContextLength,
        double Eps, bool Tied, bool AttentionBias, bool MlpBias, double[] Frequencies, Func<Tensor, Tensor> Activation);

    private sealed record Linear(Tensor Weight, Tensor? Bias)
    {
        public Tensor Of(Tensor x) => linear(x, Weight, Bias); // [.., in] to [.., out]
    }

    private sealed record Block(Tensor Norm1, Linear Q, Linear K, Linear V, Linear O, Tensor Norm2, Linear Gate, Linear Up, Linear Down);

    private readonly Config _config;
    private readonly Tensor _embedding; // [V, d]
    private readonly Block[] _blocks;
    private readonly Tensor _finalNorm; // [d]
    private readonly Rope _rope;

    public override Tensor Unembedding { get; } // [V, d]

    public override Tensor FinalNormGain => _finalNorm;

    private Llama(Config config, ModelDescription description, ParameterSet parameters, Device device) : base(description, parameters, device)
    {
        _config = config;
        _embedding = parameters["model.embed_tokens.weight"];
        _blocks = [.. Enumerable.Range(0, config.Layers).Select(BlockOf)];
        _finalNorm = parameters["model.norm.weight"];
        Unembedding = config.Tied ? _embedding : parameters["lm_head.weight"];
        _rope = Rope.Of(config.Frequencies, device);

        Block BlockOf(int l)
        {
            var name = $"model.layers.{l}.";
            Linear Attn(string matrix) => new(parameters[$"{name}self_attn.{matrix}.weight"], config.AttentionBias ? parameters[$"{name}self_attn.{matrix}.bias"] : null);
            Linear Mlp(string matrix) => new(parameters[$"{name}mlp.{matrix}.weight"], config.MlpBias ? parameters[$"{name}mlp.{matrix}.bias"] : null);
            return new Block(
                parameters[$"{name}input_layernorm.weight"], Attn("q_proj"), Attn("k_proj"), Attn("v_proj"), Attn("o_proj"),
                parameters[$"{name}post_attention_layernorm.weight"], Mlp("gate_proj"), Mlp("up_proj"), Mlp("down_proj"));
        }
    }

    protected override Tensor? Run(Tensor ids, Tensor? mask, Tap tap, bool logits, int? stopAfterBlock)
    {
        var causal = new CausalMask(ids, mask, additive: tap.Pattern);
        var x = tap.At(HookPoint.Embed, -1, _embedding.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], -1)); // [B, T, d]
        for (var l = 0; l <= (stopAfterBlock ?? _blocks.Length - 1); l++)
        {
            using var scope = NewDisposeScope();
            var before = x;
            x = RunBlock(l, x, causal, tap).MoveToOuterDisposeScope();
            before.Dispose();
        }
        if (stopAfterBlock is not null)
            return null;
        x = tap.At(HookPoint.FinalNorm, -1, Norms.Rms(x, _finalNorm, _config.Eps));
        return logits ? tap.At(HookPoint.Logits, -1, linear(x, Unembedding)) : null;
    }

    private Tensor RunBlock(int l, Tensor x, CausalMask causal, Tap tap)
    {
        var block = _blocks[l];
        x = tap.At(HookPoint.ResidPre, l, x); // [B, T, d]
        var h = tap.At(HookPoint.Ln1Out, l, Norms.Rms(x, block.Norm1, _config.Eps));
        var q = _rope.Apply(Attention.SplitHeads(block.Q.Of(h), _config.Heads)); // [B, H, T, dh]
        var k = _rope.Apply(Attention.SplitHeads(block.K.Of(h), _config.KeyValueHeads)); // [B, H_kv, T, dh]
        var v = Attention.SplitHeads(block.V.Of(h), _config.KeyValueHeads);
        var z = Attention.Causal(q, k, v, causal, tap, l); // [B, T, H * dh]
        x = tap.At(HookPoint.ResidMid, l, x + tap.At(HookPoint.AttnOut, l, block.O.Of(z)));
        h = tap.At(HookPoint.Ln2Out, l, Norms.Rms(x, block.Norm2, _config.Eps));
        var act = tap.At(HookPoint.MlpAct, l, _config.Activation(block.Gate.Of(h)) * block.Up.Of(h)); // [B, T, d_mlp]
        return tap.At(HookPoint.ResidPost, l, x + tap.At(HookPoint.MlpOut, l, block.Down.Of(act)));
    }

    public override void Dispose()
    {
        _rope.Dispose();
        base.Dispose();
    }

    public static ModelPlan Plan(ModelConfig json)
    {
        var config = Read(json);
        return new ModelPlan(
            Tensors(config),
            name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (config.Tied && name == "lm_head.weight"),
            "model.",
            (description, parameters, device) => new Llama(config, description, parameters, device));
    }

    private static Config Read(ModelConfig json)
    {
        var width = json.Size(null, "hidden_size");
        var heads = json.Size(null, "num_attention_heads");
        var keyValueHeads = json.Size(heads, "num_key_value_heads");
        if (heads % keyValueHeads != 0)
            throw json.Invalid("num_key_value_heads", $"{heads} heads cannot share {keyValueHeads} key-value heads evenly");
        var headDim = json.Size(width / heads, "head_dim");
        if (width % heads != 0 && json.Value("head_dim") is null)
            throw json.Invalid("num_attention_heads", $"hidden_size {width} is not divisible by {heads} heads");
        var context = json.Size(2048, "max_position_embeddings");
        var eps = json.Number("rms_norm_eps", 1e-6);
        if (eps <= 0)
            throw json.Invalid("rms_norm_eps", "must be positive");
        return new Config(
            json.LayerCount("num_hidden_layers"), width, heads, keyValueHeads, headDim, json.Size(null, "intermediate_size"), json.Size(null, "vocab_size"), context,
            eps, json.Flag("tie_word_embeddings", false), json.Flag("attention_bias", false), json.Flag("mlp_bias", false),
            Rope.Frequencies(json, headDim, context), Activation.Read(json, "hidden_act", "silu"));
    }

    private static List<TensorSpec> Tensors(Config c)
    {
        var specs = new List<TensorSpec> { new("model.embed_tokens.weight", [c.Vocabulary, c.Width], Init.Normal) };
        int queries = c.Heads * c.HeadDim, keys = c.KeyValueHeads * c.HeadDim;
        for (var l = 0; l < c.Layers; l++)
        {
            var name = $"model.layers.{l}.";
            specs.Add(new($"{name}input_layernorm.weight", [c.Width], Init.Ones));
            Add($"{name}self_attn.q_proj", queries, c.Width, c.AttentionBias);
            Add($"{name}self_attn.k_proj", keys, c.Width, c.AttentionBias);
            Add($"{name}self_attn.v_proj", keys, c.Width, c.AttentionBias);
            Add($"{name}self_attn.o_proj", c.Width, queries, c.AttentionBias);
            specs.Add(new($"{name}post_attention_layernorm.weight", [c.Width], Init.Ones));
            Add($"{name}mlp.gate_proj", c.MlpWidth, c.Width, c.MlpBias);
            Add($"{name}mlp.up_proj", c.MlpWidth, c.Width, c.MlpBias);
            Add($"{name}mlp.down_proj", c.Width, c.MlpWidth, c.MlpBias);
        }
        specs.Add(new("model.norm.weight", [c.Width], Init.Ones));
        if (!c.Tied)
            specs.Add(new("lm_head.weight", [c.Vocabulary, c.Width], Init.Normal));
        return specs;

        void Add(string matrix, int outputs, int inputs, bool bias)
        {
            specs.Add(new($"{matrix}.weight", [outputs, inputs], Init.Normal));
            if (bias)
                specs.Add(new($"{matrix}.bias", [outputs], Init.Zeros));
        }
    }
}
