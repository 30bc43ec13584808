using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <param name="CrossEntropy">Of the next token, nats, summed over the predictions that count.</param>
/// <param name="Kl">KL(reference ‖ variant) of the next token's distribution, nats, summed likewise.</param>
public readonly record struct VariantLoss(double CrossEntropy, double Kl)
{
    public static VariantLoss operator +(VariantLoss a, VariantLoss b) => new(a.CrossEntropy + b.CrossEntropy, a.Kl + b.Kl);
}

/// <param name="Predictions">How many count.</param>
/// <param name="Variants">By variant.</param>
public sealed record SplicedLosses(long Predictions, IReadOnlyList<VariantLoss> Variants)
{
    public static SplicedLosses operator +(SplicedLosses a, SplicedLosses b) =>
        new(a.Predictions + b.Predictions, [.. a.Variants.Zip(b.Variants, (x, y) => x + y)]);
}

/// <summary>
/// What the rest of a model makes of other values at one place: the next-token loss of several variants of the values there, the first of which is the
/// reference. Only what lies behind the place is run, for all variants side by side, so that a block's weights are read once; logits are made a few tokens at a
/// time. Sums are float64.
/// </summary>
public sealed class SplicedPass
{
    private readonly LanguageModel _model;
    private readonly long _logitsAtOnce;
    private readonly (HookPoint Point, int Block) _place;
    private readonly int _variants;

    /// <param name="model">A causal model with a head. Stays the caller's.</param>
    /// <param name="place">Embed, ResidPre, ResidMid, AttnOut, MlpOut or ResidPost, and its block; -1 for Embed.</param>
    /// <param name="variants">How many variants are compared, the reference included.</param>
    /// <param name="logitsAtOnce">Most logits that a batch holds at once, of all variants together; 32 MiB of float32.</param>
    /// <exception cref="ArgumentException">Another place, or a model that predicts no next token.</exception>
    public SplicedPass(LanguageModel model, (HookPoint Point, int Block) place, int variants, long logitsAtOnce = 8L << 20)
    {
        if (place.Point is not (HookPoint.Embed or HookPoint.ResidPre or HookPoint.ResidMid or HookPoint.AttnOut or HookPoint.MlpOut or HookPoint.ResidPost))
            throw new ArgumentException($"nothing is spliced in at {place.Point}", nameof(place));
        if (!Predicts(model))
            throw new ArgumentException("the model predicts no next token", nameof(model));
        (_model, _place, _variants, _logitsAtOnce) = (model, place, variants, logitsAtOnce);
    }

    /// <summary>Whether a model has a next-token loss: encoders predict masked tokens, and some checkpoints have no head.</summary>
    public static bool Predicts(LanguageModel model) => model.Description.Type == "causal" && model.HasHead;

    /// <summary>Runs one batch; several at once through <see cref="Passes"/>.</summary>
    /// <param name="sequences">Token ids, special tokens included.</param>
    /// <param name="variants">By variant and sequence: the values at the place, [T of the sequence, d].</param>
    /// <param name="counted">By sequence, [T]: whether the prediction made at this token, of the one after it, counts. The last token's never does.</param>
    public SplicedLosses Run(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<IReadOnlyList<float[]>> variants, IReadOnlyList<bool[]> counted)
    {
        if (variants.Count != _variants)
            throw new ArgumentException($"{variants.Count} variants, not {_variants}", nameof(variants));
        var (b, t, d, v) = (sequences.Count, sequences.Max(s => s.Length), _model.Description.DModel, variants.Count);
        var ids = new long[b * t];
        List<long> at = [], targets = [];
        for (var i = 0; i < b; i++)
        {
            var tokens = sequences[i].Span;
            for (var j = 0; j < t; j++)
                // Padding is to the right, where no real token of a causal model looks.
                ids[i * t + j] = j < tokens.Length ? tokens[j] : tokens[0];
            for (var j = 0; j + 1 < tokens.Length; j++)
                if (counted[i][j])
                {
                    at.Add(i * t + j);
                    targets.Add(tokens[j + 1]);
                }
        }
        if (at.Count == 0)
            return new(0, new VariantLoss[v]);

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var values = zeros([v * b, t, d], ScalarType.Float32); // [V * B, T, d]
        var flat = MemoryMarshal.Cast<byte, float>(values.bytes);
        for (var which = 0; which < v; which++)
            for (var i = 0; i < b; i++)
                variants[which][i].AsSpan(0, sequences[i].Length * d).CopyTo(flat[((which * b + i) * t * d)..]);
        values = values.to(_model.DType, _model.Device);
        var read = Read(tensor(ids, b, t), values, v); // [V * B, T, ..]
        var rows = read.view(v, b * t, -1).index_select(1, tensor(at.ToArray(), ScalarType.Int64, _model.Device)); // [V, n, ..]
        return new(at.Count, Sum(rows, tensor(targets.ToArray(), ScalarType.Int64, _model.Device)));
    }

    /// <summary>What the head reads of every variant.</summary>
    private Tensor Read(Tensor ids, Tensor values, int variants)
    {
        var (point, block) = _place;
        var all = ids.repeat(variants, 1); // [V * B, T]
        switch (point)
        {
            case HookPoint.Embed:
                return _model.ForwardFrom(values, 0, all, null, null);
            case HookPoint.ResidPre:
                return _model.ForwardFrom(values, block, all, null, null);
            case HookPoint.ResidPost:
                return _model.ForwardFrom(values, block + 1, all, null, null);
        }
        // Inside a block: the stream that enters it is the model's own.
        Tensor? entering = null;
        _model.Forward(ids, null, (p, l, x) =>
        {
            if ((p, l) == (block == 0 ? (HookPoint.Embed, -1) : (HookPoint.ResidPost, block - 1)))
                entering = x.clone().DetachFromDisposeScope();
            return null;
        }, logits: false, stopAfterBlock: block - 1);
        using var stream = entering!;
        return _model.ForwardFrom(stream.repeat(variants, 1, 1), block, all, null, (p, l, _) => (p, l) == _place ? values : null);
    }

    /// <param name="rows">[V, n, ..]</param>
    /// <param name="targets">[n]</param>
    private VariantLoss[] Sum(Tensor rows, Tensor targets)
    {
        var losses = new VariantLoss[_variants];
        var v = (int)rows.shape[0];
        var step = Math.Max(1, _logitsAtOnce / (v * (long)_model.Description.VocabularySize));
        for (long from = 0; from < targets.shape[0]; from += step)
        {
            using var scope = NewDisposeScope();
            var n = Math.Min(step, targets.shape[0] - from);
            var log = nn.functional.log_softmax(_model.Logits(rows.narrow(1, from, n)).to(ScalarType.Float32), -1); // [V, n, vocabulary]
            var target = targets.narrow(0, from, n).view(1, n, 1).expand(v, n, 1);
            var entropies = Doubles(log.gather(2, target).sum([1, 2], type: ScalarType.Float64).neg()); // [V]
            var reference = log[0];
            var p = reference.exp();
            for (var which = 0; which < v; which++)
            {
                using var inner = NewDisposeScope();
                var kl = which == 0 ? 0 : (p * (reference - log[which])).sum(ScalarType.Float64).cpu().item<double>();
                losses[which] += new VariantLoss(entropies[which], kl);
            }
        }
        return losses;
    }

    private static double[] Doubles(Tensor values) => MemoryMarshal.Cast<byte, double>(values.cpu().contiguous().bytes).ToArray();
}
