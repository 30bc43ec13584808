using SaeService.Checkpoints;
using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

/// <summary>Activation functions by the names that config files give them.</summary>
internal static class Activation
{
    public static Func<Tensor, Tensor> Read(ModelConfig config, string key, string fallback) => (config.Text(key) ?? fallback) switch
    {
        "silu" or "swish" => x => nn.functional.silu(x),
        "relu" => x => nn.functional.relu(x),
        "gelu" => x => nn.functional.gelu(x),
        "gelu_new" or "gelu_pytorch_tanh" => GeluTanh,
        var name => throw config.Unsupported(key, $"activation function '{name}' is not supported"),
    };

    // Hendrycks and Gimpel 2016, the tanh form.
    private static Tensor GeluTanh(Tensor x) => 0.5 * x * (1 + (Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x.pow(3))).tanh());
}
