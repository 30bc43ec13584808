using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

internal static class Norms
{
    /// <summary>x / sqrt(mean(x^2) + eps) * gain over the last dimension (Zhang and Sennrich 2019); in float32 where x is a half type.</summary>
    /// <param name="x">[.., d]</param>
    /// <param name="gain">[d]</param>
    /// <param name="eps">Inside the root.</param>
    /// <param name="unitOffset">Gemma: the gain is 1 + gain, and is applied before the result is rounded to a half type.</param>
    public static Tensor Rms(Tensor x, Tensor gain, double eps, bool unitOffset = false)
    {
        var half = Attention.IsHalf(x.dtype);
        var wide = half ? x.to(ScalarType.Float32) : x;
        var y = wide * wide.square().mean([-1], keepdim: true).add(Scalars.Of(eps)).rsqrt();
        if (unitOffset)
            return y.mul_(gain.to(wide.dtype).add(Scalars.Of(1L))).to(x.dtype);
        return half ? y.to(x.dtype) * gain : y.mul_(gain);
    }
}
