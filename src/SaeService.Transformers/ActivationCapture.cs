using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace SaeService.Transformers;

/// <summary>
/// The vectors of any number of hook points from one forward pass over many sequences, which ends behind the deepest of them. Sequences of like
/// length go together, so that little is computed on padding; memory is bounded by the tokens of a batch, not by the text.
/// </summary>
/// <param name="model">Stays the caller's.</param>
/// <param name="places">Points of shape [B, T, ..] and their blocks; -1 for those outside the blocks.</param>
public sealed class ActivationCapture(LanguageModel model, IReadOnlyCollection<(HookPoint Point, int Block)> places)
{
    /// <param name="place">One of the places asked for.</param>
    /// <param name="sequence">Index in the list given.</param>
    /// <param name="rows">[T of the sequence, width of the point], float32; valid during the call.</param>
    public delegate void Sink((HookPoint Point, int Block) place, int sequence, ReadOnlySpan<float> rows);

    private readonly HashSet<(HookPoint Point, int Block)> _places = [.. places];

    /// <summary>Sequences in the order in which they make good batches: the longest first.</summary>
    public static int[] Order(IReadOnlyList<int> lengths) => [.. Enumerable.Range(0, lengths.Count).OrderByDescending(i => lengths[i]).ThenBy(i => i)];

    /// <summary>The sequences of <paramref name="order"/> in batches, each of as many as fit so many tokens, padding counted; of at least one.</summary>
    public static IReadOnlyList<int[]> Batches(IReadOnlyList<int> lengths, ReadOnlySpan<int> order, int maxTokens)
    {
        var batches = new List<int[]>();
        for (var from = 0; from < order.Length; from += batches[^1].Length)
            batches.Add(order.Slice(from, Math.Min(order.Length - from, Math.Max(1, maxTokens / lengths[order[from]]))).ToArray());
        return batches;
    }

    /// <summary>Runs one batch; several at once through <see cref="Passes"/>.</summary>
    /// <param name="sequences">Token ids, special tokens included; none empty.</param>
    /// <param name="sink">Called for every place and sequence, in the order of the forward pass.</param>
    public void Run(IReadOnlyList<ReadOnlyMemory<int>> sequences, Sink sink)
    {
        var (b, t) = (sequences.Count, sequences.Max(s => s.Length));
        var ids = new long[b * t];
        var real = new long[b * t];
        for (var i = 0; i < b; i++)
        {
            var tokens = sequences[i].Span;
            for (var j = 0; j < t; j++)
                // Padding repeats a token of the sequence: what stands there is computed and thrown away.
                (ids[i * t + j], real[i * t + j]) = j < tokens.Length ? (tokens[j], 1) : (tokens[0], 0);
        }

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var mask = sequences.Any(s => s.Length < t) ? tensor(real, b, t) : null;
        model.Forward(tensor(ids, b, t), mask, (point, block, value) =>
        {
            if (_places.Contains((point, block)))
                Keep((point, block), value);
            return null;
        }, logits: _places.Any(p => p.Point == HookPoint.Logits), stopAfterBlock: Deepest());

        void Keep((HookPoint, int) place, Tensor value)
        {
            using var copy = value.to(ScalarType.Float32).cpu().contiguous(); // [B, T, d]
            var rows = MemoryMarshal.Cast<byte, float>(copy.bytes);
            var d = (int)copy.shape[2];
            for (var i = 0; i < b; i++)
                sink(place, i, rows.Slice(i * t * d, sequences[i].Length * d));
        }
    }

    // Null where something behind the last block is asked for.
    private int? Deepest() => _places.Any(p => p.Point is HookPoint.FinalNorm or HookPoint.Logits) ? null : _places.Max(p => p.Block);
}
