using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>One forward pass: its inputs, its hook, and the attention masks that its blocks share.</summary>
internal sealed class Pass : IDisposable
{
    private readonly Hook? _hook;
    private readonly Dictionary<(bool Causal, int? Window), AttentionMask> _masks = [];
    private bool? _padded, _paddedLeft;

    /// <param name="ids">[B, T] on the model's device.</param>
    /// <param name="mask">[B, T], 1 at real tokens; null where all are real.</param>
    /// <param name="tokenTypes">[B, T] or null.</param>
    /// <param name="hook">May be null.</param>
    /// <param name="pattern">Whether attention probabilities are asked for, which forgoes the fused attention kernel.</param>
    /// <param name="dtype">What is computed in.</param>
    public Pass(Tensor ids, Tensor? mask, Tensor? tokenTypes, Hook? hook, bool pattern, ScalarType dtype)
    {
        (Ids, Mask, TokenTypes, Pattern, DType) = (ids, mask?.to(ids.device), tokenTypes?.to(ids.device), pattern, dtype);
        _hook = hook;
    }

    public Tensor Ids { get; }

    public Tensor? Mask { get; }

    public Tensor? TokenTypes { get; }

    public bool Pattern { get; }

    public ScalarType DType { get; }

    public long Length => Ids.shape[1];

    /// <summary>[T] 0 .. T-1.</summary>
    public Tensor Positions => arange(Length, ScalarType.Int64, Ids.device);

    /// <summary>Rows of a table by id, each times <paramref name="ids"/>' shape: [B, T] or [T] to [.., d].</summary>
    public static Tensor Lookup(Tensor table, Tensor ids) => table.index_select(0, ids.flatten()).view([.. ids.shape, table.shape[1]]);

    /// <summary>The value to go on with at this point.</summary>
    public Tensor At(HookPoint point, int block, Tensor value)
    {
        var replacement = _hook?.Invoke(point, block, value);
        if (replacement is null || ReferenceEquals(replacement, value))
            return value;
        if (!replacement.shape.AsSpan().SequenceEqual(value.shape))
            throw new ArgumentException($"the hook replaced {point} of block {block}, [{string.Join(", ", value.shape)}], by [{string.Join(", ", replacement.shape)}]");
        // A handle of our own: the model frees what it is done with, and the replacement is the caller's. A value that went through here is never
        // overwritten either, for the same reason.
        return replacement.dtype == value.dtype ? replacement.alias() : replacement.to(value.dtype);
    }

    /// <summary>Which keys a query sees: not padding; if causal, none after it; of those, the last <paramref name="window"/> (itself included).</summary>
    public AttentionMask Visible(bool causal, int? window = null)
    {
        if (window >= Length)
            window = null;
        if (!_masks.TryGetValue((causal, window), out var mask))
        {
            // In a causal model right padding lies in every real token's future, so that only left padding must be hidden.
            var padded = causal ? PaddedLeft : Padded;
            mask = new AttentionMask(Ids, padded ? Mask : null, causal, window, DType);
            _masks.Add((causal, window), mask);
        }
        return mask;
    }

    private bool Padded => _padded ??= Mask is not null && Any(Mask.eq(Scalars.Of(0L)));

    // Some padding has a real token to its right.
    private bool PaddedLeft => _paddedLeft ??= Padded && Length > 1 && Any(Mask!.narrow(1, 0, Length - 1).eq(Scalars.Of(0L)).logical_and(Mask.narrow(1, 1, Length - 1).ne(Scalars.Of(0L))));

    private static bool Any(Tensor condition)
    {
        using var any = condition.any().cpu();
        return any.item<bool>();
    }

    public void Dispose()
    {
        foreach (var mask in _masks.Values)
            mask.Dispose();
    }
}
