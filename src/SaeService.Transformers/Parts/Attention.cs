using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

/// <summary>Which keys a query sees: those at or before it that are not padding.</summary>
internal sealed class CausalMask
{
    // A large finite number: a row whose keys are all masked becomes uniform, not NaN, which would spread through the value sums.
    private const float Hidden = float.MinValue;

    /// <param name="ids">[B, T]</param>
    /// <param name="mask">[B, T], 1 at real tokens; null where all are real.</param>
    /// <param name="additive">Whether <see cref="Additive"/> is needed even where nothing but the future is hidden.</param>
    public CausalMask(Tensor ids, Tensor? mask, bool additive)
    {
        var padding = mask?.to(ids.device).eq(0); // [B, T]
        if (padding is not null && !padding.any().cpu().item<bool>())
            padding = null;
        if (padding is null && !additive)
            return;
        var length = ids.shape[1];
        var hidden = ones([length, length], ScalarType.Bool, ids.device).triu(1).unsqueeze(0).unsqueeze(0);
        if (padding is not null)
            hidden = hidden.logical_or(padding.unsqueeze(1).unsqueeze(1));
        IsPlainCausal = padding is null;
        Additive = zeros(hidden.shape, ScalarType.Float32, ids.device).masked_fill(hidden, Hidden);
    }

    /// <summary>Nothing is hidden but the future: fused kernels know that case.</summary>
    public bool IsPlainCausal { get; } = true;

    /// <summary>[1 or B, 1, T, T]: 0 where the key is seen, a large negative number where not. Null where it is not needed.</summary>
    public Tensor? Additive { get; }
}

internal static class Attention
{
    /// <summary>softmax(q k^T / sqrt(dh) + mask) v, with each key and value head shared by H / H_kv query heads.</summary>
    /// <param name="q">[B, H, T, dh]</param>
    /// <param name="k">[B, H_kv, T, dh]</param>
    /// <param name="v">[B, H_kv, T, dh]</param>
    /// <param name="mask">Who sees whom.</param>
    /// <param name="tap">Sees AttnPattern, if asked for, and AttnZ.</param>
    /// <param name="block">For the hook.</param>
    /// <returns>[B, T, H * dh]</returns>
    public static Tensor Causal(Tensor q, Tensor k, Tensor v, CausalMask mask, Tap tap, int block)
    {
        var (batch, heads, length, headDim) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        if (k.shape[1] != heads)
            (k, v) = (k.repeat_interleave(heads / k.shape[1], 1), v.repeat_interleave(heads / v.shape[1], 1)); // [B, H, T, dh]
        Tensor z; // [B, H, T, dh]
        if (tap.Pattern)
        {
            var scores = bmm((q * (1 / Math.Sqrt(headDim))).flatten(0, 1), k.flatten(0, 1).transpose(1, 2)); // [B*H, T, T]
            var pattern = (scores.view(batch, heads, length, length) + mask.Additive!).softmax(-1);
            pattern = tap.At(HookPoint.AttnPattern, block, pattern);
            z = bmm(pattern.flatten(0, 1), v.flatten(0, 1)).view(batch, heads, length, headDim);
        }
        else
            z = mask.IsPlainCausal
                ? nn.functional.scaled_dot_product_attention(q, k, v, is_casual: true)
                : nn.functional.scaled_dot_product_attention(q, k, v, mask.Additive);
        return tap.At(HookPoint.AttnZ, block, z.transpose(1, 2).reshape(batch, length, heads * headDim));
    }

    /// <summary>[B, T, H * dh] to [B, H, T, dh].</summary>
    public static Tensor SplitHeads(Tensor x, int heads) => x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2);
}
