using SaeService.Checkpoints;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace SaeService.Transformers.Parts;

/// <summary>Activation functions by the names that config files give them: all of transformers' ACT2FN but those with parameters of their own.</summary>
internal static class Activation
{
    public static Func<Tensor, Tensor> Read(ModelConfig config, string key, string fallback) =>
        Of(config.Text(key) ?? fallback) ?? throw config.Unsupported(key, $"activation function '{config.Text(key)}' is not supported");

    /// <summary>One name for all spellings of a function.</summary>
    public static string Canonical(string name) => name switch
    {
        "gelu_python" => "gelu",
        "gelu_pytorch_tanh" or "gelu_python_tanh" or "gelu_accurate" or "gelu_fast" => "gelu_new",
        "swish" => "silu",
        _ => name,
    };

    /// <summary>The function, or null where there is none of that name.</summary>
    public static Func<Tensor, Tensor>? Of(string name) => Canonical(name) switch
    {
        "gelu" => x => functional.gelu(x, Overwrites(x)),
        "gelu_10" => x => functional.gelu(x).clamp(Scalars.Of(-10.0), Scalars.Of(10.0)),
        "gelu_new" => GeluTanh,
        "hardswish" => x => functional.hardswish(x),
        // Ma et al. 2022 (Mega), equation 27: a Gaussian's distribution function.
        "laplace" => x => x.sub(Scalars.Of(0.707107)).div(Scalars.Of(0.282095 * Math.Sqrt(2))).erf().add(Scalars.Of(1L)).mul(Scalars.Of(0.5)),
        "leaky_relu" => x => functional.leaky_relu(x, 0.01),
        "linear" => x => x,
        "mish" => x => functional.mish(x),
        "quick_gelu" => x => x * x.mul(Scalars.Of(1.702)).sigmoid(),
        "relu" => x => functional.relu(x, Overwrites(x)),
        "relu2" => x => functional.relu(x).square(),
        "relu6" => x => functional.relu6(x),
        "sigmoid" => x => x.sigmoid(),
        "silu" => x => functional.silu(x, Overwrites(x)),
        "sqrtsoftplus" => x => x.softplus(1, 20).sqrt(),
        "tanh" => x => x.tanh(),
        _ => null,
    };

    // Hendrycks and Gimpel 2016, the tanh form.
    private static Tensor GeluTanh(Tensor x) => functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh, Overwrites(x));

    // The argument is a matrix product that nobody else has seen, and the widest value of a block. In training it is still needed.
    private static bool Overwrites(Tensor x) => !x.requires_grad;
}
