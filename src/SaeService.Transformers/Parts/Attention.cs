using static TorchSharp.torch;

namespace SaeService.Transformers.Parts;

/// <summary>Who sees whom in attention; outlives the dispose scopes of the blocks that share it.</summary>
internal sealed class AttentionMask : IDisposable
{
    private readonly Tensor _hidden; // [1 or B, 1, 1 or T, T]
    private readonly ScalarType _dtype;
    private Tensor? _additive;

    /// <param name="ids">[B, T]</param>
    /// <param name="mask">[B, T], 0 at padding; null where there is none to hide.</param>
    /// <param name="causal">Whether the future is hidden.</param>
    /// <param name="window">How many keys a query sees, itself included; null for all.</param>
    /// <param name="dtype">Of the scores.</param>
    public AttentionMask(Tensor ids, Tensor? mask, bool causal, int? window, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var length = ids.shape[1];
        var hidden = zeros([1, 1, causal ? length : 1, length], ScalarType.Bool, ids.device);
        if (causal)
            hidden = ones([1, 1, length, length], ScalarType.Bool, ids.device).triu(1);
        if (window is { } w)
            hidden = hidden.logical_or(ones([1, 1, length, length], ScalarType.Bool, ids.device).tril(-w));
        if (mask is not null)
            hidden = hidden.logical_or(mask.eq(Scalars.Of(0L)).unsqueeze(1).unsqueeze(1));
        _hidden = hidden.DetachFromDisposeScope();
        _dtype = dtype;
        IsPlainCausal = causal && window is null && mask is null;
        HidesNothing = !causal && mask is null;
    }

    /// <summary>Nothing is hidden but the future: fused kernels know that case.</summary>
    public bool IsPlainCausal { get; }

    public bool HidesNothing { get; }

    /// <summary>
    /// [1 or B, 1, 1 or T, T]: 0 where the key is seen; where not, a large negative number that stays finite when a score is added: a row whose keys are all
    /// hidden becomes uniform, not NaN, which would spread through the value sums.
    /// </summary>
    public Tensor Additive
    {
        get
        {
            if (_additive is null)
            {
                using var scope = NewDisposeScope();
                _additive = zeros(_hidden.shape, _dtype, _hidden.device).masked_fill(_hidden, Scalars.Of(finfo(_dtype).min / 2)).DetachFromDisposeScope();
            }
            return _additive;
        }
    }

    public void Dispose()
    {
        _hidden.Dispose();
        _additive?.Dispose();
    }
}

internal static class Attention
{
    /// <summary>[B, T, H * dh] to [B, T, H, dh].</summary>
    public static Tensor Heads(Tensor x, int heads) => x.view(x.shape[0], x.shape[1], heads, -1);

    /// <summary>softmax(cap(q k^T * scale) + mask) v, with each key and value head shared by H / H_kv query heads.</summary>
    /// <param name="q">[B, T, H, dh]</param>
    /// <param name="k">[B, T, H_kv, dh]</param>
    /// <param name="v">[B, T, H_kv, dh]</param>
    /// <param name="mask">Who sees whom.</param>
    /// <param name="pass">Sees AttnPattern, if asked for, and AttnZ.</param>
    /// <param name="block">For the hook.</param>
    /// <param name="scale">1 / sqrt(dh) where null.</param>
    /// <param name="cap">Where given, scores are squeezed into (-cap, cap) by cap * tanh(score / cap).</param>
    /// <returns>[B, T, H * dh]</returns>
    public static Tensor Run(Tensor q, Tensor k, Tensor v, AttentionMask mask, Pass pass, int block, double? scale = null, double? cap = null)
    {
        var (batch, length, heads, headDim) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        (k, v) = (Shared(k, heads), Shared(v, heads));
        (q, k, v) = (q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)); // [B, H, T, dh]
        var natural = 1 / Math.Sqrt(headDim);
        Tensor z; // [B, H, T, dh]
        if (pass.Pattern)
        {
            var pattern = pass.At(HookPoint.AttnPattern, block, Probabilities(q, k, mask.HidesNothing ? null : mask.Additive, scale ?? natural, cap));
            z = bmm(pattern.reshape(-1, length, length), v.reshape(-1, length, headDim)).view(batch, heads, length, headDim);
        }
        else if (cap is not null)
        {
            // The fused kernel knows no cap. A sequence at a time: its scores stay in the cache.
            z = cat([.. Enumerable.Range(0, (int)batch).Select(One)]);
        }
        else
        {
            // The kernel scales by 1 / sqrt(dh) itself.
            if (scale is { } other && Math.Abs(other - natural) > 1e-12 * natural)
                q = q.mul(Scalars.Of(other / natural));
            z = nn.functional.scaled_dot_product_attention(q, k, v, mask.IsPlainCausal || mask.HidesNothing ? null : mask.Additive, is_casual: mask.IsPlainCausal);
        }
        return pass.At(HookPoint.AttnZ, block, z.transpose(1, 2).reshape(batch, length, heads * headDim));

        Tensor One(int b)
        {
            using var scope = NewDisposeScope();
            var additive = mask.Additive.shape[0] == 1 ? mask.Additive : mask.Additive.narrow(0, b, 1);
            var pattern = Probabilities(q.narrow(0, b, 1), k.narrow(0, b, 1), additive, scale ?? natural, cap);
            return bmm(pattern[0], v[b]).unsqueeze(0).MoveToOuterDisposeScope(); // [1, H, T, dh]
        }
    }

    /// <summary>softmax(cap(q k^T * scale) + mask): [B, H, T, T]</summary>
    private static Tensor Probabilities(Tensor q, Tensor k, Tensor? mask, double scale, double? cap)
    {
        var (batch, heads, length, headDim) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        var scores = bmm(q.mul(Scalars.Of(scale / (cap ?? 1))).reshape(-1, length, headDim), k.reshape(-1, length, headDim).transpose(1, 2)).view(batch, heads, length, length);
        if (cap is { } limit)
            scores = scores.requires_grad ? scores.tanh().mul(Scalars.Of(limit)) : scores.tanh_().mul_(Scalars.Of(limit));
        if (mask is not null)
            scores = scores.PlusInPlace(mask);
        // Sums of probabilities need the range of float32.
        return scores.softmax(-1, IsHalf(scores.dtype) ? ScalarType.Float32 : null).to(scores.dtype);
    }

    public static bool IsHalf(ScalarType dtype) => dtype is ScalarType.BFloat16 or ScalarType.Float16;

    // [B, T, H_kv, dh] to [B, T, H, dh]: query heads h * H / H_kv and following read key head h.
    private static Tensor Shared(Tensor x, long heads) => x.shape[2] == heads
        ? x
        : x.unsqueeze(3).expand(x.shape[0], x.shape[1], x.shape[2], heads / x.shape[2], x.shape[3]).reshape(x.shape[0], x.shape[1], heads, x.shape[3]);
}
