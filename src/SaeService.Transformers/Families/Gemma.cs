using SaeService.Checkpoints;
using SaeService.Transformers.Parts;

namespace SaeService.Transformers.Families;

/// <summary>Gemma 1 (Gemma Team 2024): Llama with scaled, tied embeddings, gains of 1 + weight and a GELU gate.</summary>
internal static class Gemma
{
    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var config = Llama.Read(json, new() { Heads = 16, KeyValueHeads = 16, HeadDim = 256, MlpWidth = 24576, Tied = true }, activation: "gelu_pytorch_tanh");
        // transformers read hidden_activation up to 4.47 and reads hidden_act since.
        if (json.Text("hidden_activation") is { } other && Activation.Canonical(other) != Activation.Canonical(json.Text("hidden_act") ?? "gelu_pytorch_tanh"))
            throw json.Unsupported("hidden_activation", $"'{other}' contradicts hidden_act: which of the two counts depends on transformers' version");
        var bias = json.Flag("attention_bias", false);
        return Llama.Plan(config with { IsGemma = true, QueryKeyValueBias = bias, OutputBias = bias });
    }
}
