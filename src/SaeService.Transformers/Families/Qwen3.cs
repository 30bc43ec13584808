using SaeService.Checkpoints;

namespace SaeService.Transformers.Families;

/// <summary>Qwen 3, the dense ones (Yang et al. 2025): Llama whose queries and keys are normed head by head before they are turned.</summary>
internal static class Qwen3
{
    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var config = Llama.Read(json, Qwen2.Defaults with { HeadDim = 128 });
        var bias = json.Flag("attention_bias", false);
        return Llama.Plan(config with { QueryKeyNorm = true, QueryKeyValueBias = bias, OutputBias = bias, Windows = Qwen2.Windows(json, config.Layers) });
    }
}
