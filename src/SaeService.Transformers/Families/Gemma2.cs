using SaeService.Checkpoints;

namespace SaeService.Transformers.Families;

/// <summary>Gemma 2 (Gemma Team 2024): Gemma with norms on both sides of attention and MLP, capped scores and logits, and every other layer sliding.</summary>
internal static class Gemma2
{
    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var config = Llama.Read(json, new() { Heads = 8, KeyValueHeads = 4, HeadDim = 256, MlpWidth = 9216, Tied = true }, "hidden_activation", "gelu_pytorch_tanh");
        // Written by older converters; transformers reads hidden_activation only.
        json.Value("hidden_act");
        var bias = json.Flag("attention_bias", false);
        return Llama.Plan(config with
        {
            IsGemma = true,
            NormAfter = true,
            QueryKeyValueBias = bias,
            OutputBias = bias,
            Windows = LayerTypes.Windows(json, config.Layers, json.OptionalSize("sliding_window", 4096), l => l % 2 == 0),
            ScoreScale = 1 / Math.Sqrt(Positive(json.Number("query_pre_attn_scalar", 256), "query_pre_attn_scalar")!.Value),
            ScoreCap = Positive(json.OptionalNumber("attn_logit_softcapping", 50), "attn_logit_softcapping"),
            LogitCap = Positive(json.OptionalNumber("final_logit_softcapping", 30), "final_logit_softcapping"),
        });

        double? Positive(double? value, string key) => value is null or > 0 ? value : throw json.Invalid(key, "must be positive");
    }
}
