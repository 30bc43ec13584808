using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// The named places of a forward pass, in the order in which they are computed. Shapes: B sequences, T tokens, d width, H heads, dh width of a head,
/// V vocabulary.
/// </summary>
public enum HookPoint
{
    /// <summary>[B, T, d]: what enters the first block. Block is -1.</summary>
    Embed,

    /// <summary>[B, T, d]: the stream that enters the block.</summary>
    ResidPre,

    /// <summary>[B, T, d]: output of the block's first norm, its gain included.</summary>
    Ln1Out,

    /// <summary>[B, H, T, T]: attention probabilities, a row a query. Offered only where Forward is asked for them.</summary>
    AttnPattern,

    /// <summary>[B, T, H * dh]: the heads' outputs side by side, before the output projection.</summary>
    AttnZ,

    /// <summary>[B, T, d]: what attention adds to the stream.</summary>
    AttnOut,

    /// <summary>[B, T, d]: the stream between attention and MLP.</summary>
    ResidMid,

    /// <summary>[B, T, d]: output of the block's second norm, its gain included.</summary>
    Ln2Out,

    /// <summary>[B, T, d_mlp]: input of the MLP's last matrix; gated MLPs: act(gate) * up.</summary>
    MlpAct,

    /// <summary>[B, T, d]: what the MLP adds to the stream.</summary>
    MlpOut,

    /// <summary>[B, T, d]: the stream that leaves the block.</summary>
    ResidPost,

    /// <summary>[B, T, d]: output of the norm after the last block. Block is -1.</summary>
    FinalNorm,

    /// <summary>[B, T, V]: Block is -1.</summary>
    Logits,
}

/// <summary>Sees, and may replace, a value of the forward pass.</summary>
/// <param name="point">Where.</param>
/// <param name="block">0 .. L-1; -1 for the points outside the blocks.</param>
/// <param name="value">The value, float32, which belongs to the model and is freed soon after: keep it by <c>clone()</c> or by what is computed from it.</param>
/// <returns>A tensor of the same shape to go on with, which stays the caller's; or null to leave the value as it is.</returns>
public delegate Tensor? Hook(HookPoint point, int block, Tensor value);

/// <summary>The hook of one forward pass, as the families call it.</summary>
/// <param name="hook">May be null.</param>
/// <param name="pattern">Whether attention probabilities are asked for, which forgoes the fused attention kernel.</param>
public readonly struct Tap(Hook? hook, bool pattern)
{
    public bool Pattern => pattern;

    /// <summary>The value to go on with at this point.</summary>
    public Tensor At(HookPoint point, int block, Tensor value)
    {
        var replacement = hook?.Invoke(point, block, value);
        if (replacement is null || ReferenceEquals(replacement, value))
            return value;
        if (!replacement.shape.AsSpan().SequenceEqual(value.shape))
            throw new ArgumentException($"the hook replaced {point} of block {block}, [{string.Join(", ", value.shape)}], by [{string.Join(", ", replacement.shape)}]");
        // A handle of our own: the model frees what it is done with, and the replacement is the caller's.
        return replacement.alias();
    }
}
