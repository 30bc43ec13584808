using SaeService.Checkpoints;

namespace SaeService.Transformers.Families;

/// <summary>Mistral 7B (Jiang et al. 2023): Llama with grouped-query attention and a sliding window in every layer.</summary>
internal static class Mistral
{
    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var config = Llama.Read(json, new() { KeyValueHeads = 8, MlpWidth = 14336 });
        Array.Fill(config.Windows, json.OptionalSize("sliding_window", 4096));
        return Llama.Plan(config);
    }
}
