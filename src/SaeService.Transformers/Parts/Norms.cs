using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

internal static class Norms
{
    /// <summary>x / sqrt(mean(x^2) + eps) * gain over the last dimension (Zhang and Sennrich 2019).</summary>
    /// <param name="x">[.., d]</param>
    /// <param name="gain">[d]</param>
    /// <param name="eps">Inside the root.</param>
    public static Tensor Rms(Tensor x, Tensor gain, double eps) => x * (x.pow(2).mean([-1], keepdim: true) + eps).rsqrt() * gain;
}
