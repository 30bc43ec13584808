using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// GPT-Neo (Black et al. 2021): GPT-2 with layers that see everything or a window by turns, scores that are not scaled, and matrices stored [out, in].
/// Names and switches are those of transformers' GPTNeoForCausalLM.
/// </summary>
internal sealed class GptNeo : LanguageModel
{
    private sealed record Config(
        int Width, int Heads, int MlpWidth, int Vocabulary, int Positions, double Eps, bool Tied, int?[] Windows, Func<Tensor, Tensor> Activation);

    private readonly Config _config;

    private GptNeo(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) => _config = config;

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
        var z = Attention.Run(Heads("q_proj"), Heads("k_proj"), Heads("v_proj"), pass.Visible(causal: true, _config.Windows[l]), pass, l, scale: 1); // [B, T, d]
        x = pass.At(HookPoint.ResidMid, l, x + pass.At(HookPoint.AttnOut, l, w.Linear("attn.attention.out_proj", z)));
        var h2 = pass.At(HookPoint.Ln2Out, l, w.LayerNorm("ln_2", x, _config.Eps));
        var act = pass.At(HookPoint.MlpAct, l, _config.Activation(w.Linear("mlp.c_fc", h2))); // [B, T, d_mlp]
        return x + pass.At(HookPoint.MlpOut, l, w.Linear("mlp.c_proj", act));

        Tensor Heads(string matrix) => Attention.Heads(w.Linear($"attn.attention.{matrix}", h), _config.Heads);
    }

    private protected override Tensor Finish(Tensor x, Pass pass) => pass.At(HookPoint.FinalNorm, -1, Set.At("transformer.").LayerNorm("ln_f", x, _config.Eps));

    private protected override Tensor Head(Tensor x, Pass pass) => pass.At(HookPoint.Logits, -1, nn.functional.linear(x, Unembedding));

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var width = json.Size(null, "hidden_size");
        var heads = json.Size(16, "num_heads", "num_attention_heads");
        if (width % heads != 0)
            throw json.Invalid("num_heads", $"hidden_size {width} is not divisible by {heads} heads");
        var c = new Config(
            width, heads, json.OptionalSize("intermediate_size", null) ?? 4 * width, json.Size(null, "vocab_size"), ModelDescription.Positions(json),
            json.Eps("layer_norm_epsilon", 1e-5), json.Flag("tie_word_embeddings", true), Windows(json), Activation.Read(json, "activation_function", "gelu_new"));

        var tensors = new TensorList();
        tensors.Table("transformer.wte", c.Vocabulary, width);
        tensors.Table("transformer.wpe", c.Positions, width);
        for (var l = 0; l < c.Windows.Length; l++)
        {
            var block = tensors.Block(l, $"transformer.h.{l}.");
            block.LayerNorm("ln_1", width);
            block.Linear("attn.attention.q_proj", width, width, bias: false);
            block.Linear("attn.attention.k_proj", width, width, bias: false);
            block.Linear("attn.attention.v_proj", width, width, bias: false);
            block.Linear("attn.attention.out_proj", width, width);
            block.LayerNorm("ln_2", width);
            block.Linear("mlp.c_fc", width, c.MlpWidth);
            block.Linear("mlp.c_proj", c.MlpWidth, width);
        }
        tensors.LayerNorm("transformer.ln_f", width);
        if (!c.Tied)
            tensors.Linear("lm_head", width, c.Vocabulary, bias: false);
        return new ModelPlan(tensors, "transformer.", (description, parameters) => new GptNeo(c, description, parameters))
        {
            Ties = c.Tied ? [("lm_head.weight", "transformer.wte.weight")] : [],
        };
    }

    /// <summary>attention_types is a list of patterns and how often each is repeated, attention_layers the same written out.</summary>
    private static int?[] Windows(ModelConfig json)
    {
        var layers = json.LayerCount("num_layers", "num_hidden_layers");
        var window = json.Size(256, "window_size");
        var given = json.Texts("attention_layers");
        var kinds = json.Value("attention_types") is null && given is not null ? given : Expanded(json, layers);
        if (kinds.Count != layers)
            throw json.Invalid("attention_types", $"describes {(kinds.Count > layers ? "more layers than" : $"{kinds.Count} layers of")} {layers}");
        if (given is not null && !given.SequenceEqual(kinds))
            throw json.Invalid("attention_layers", "contradicts attention_types");
        return [.. kinds.Select(kind => kind switch
        {
            "global" => (int?)null,
            "local" => window,
            _ => throw json.Unsupported("attention_types", $"'{kind}' is not supported"),
        })];
    }

    private static List<string> Expanded(ModelConfig json, int layers)
    {
        var kinds = new List<string>();
        if (json.Value("attention_types") is not { } types)
        {
            for (var i = 0; i < 24; i++)
                kinds.Add(i % 2 == 0 ? "global" : "local");
            return kinds;
        }
        var wrong = json.Invalid("attention_types", $"must be a list of [[kinds], times], not {StrictJson.Shown(types)}");
        if (types.ValueKind != System.Text.Json.JsonValueKind.Array)
            throw wrong;
        foreach (var item in types.EnumerateArray())
        {
            if (item.ValueKind != System.Text.Json.JsonValueKind.Array || item.GetArrayLength() != 2
                || item[0].ValueKind != System.Text.Json.JsonValueKind.Array || item[0].EnumerateArray().Any(kind => kind.ValueKind != System.Text.Json.JsonValueKind.String)
                || item[1].ValueKind != System.Text.Json.JsonValueKind.Number || !item[1].TryGetInt32(out var times))
                throw wrong;
            // No longer than one too many, whatever the counts say.
            for (var i = 0; i < times && kinds.Count <= layers && item[0].GetArrayLength() > 0; i++)
                kinds.AddRange(item[0].EnumerateArray().Select(kind => kind.GetString()!));
        }
        return kinds;
    }
}
