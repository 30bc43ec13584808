using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>
/// Exact top-k of ReLU(W x + b), of each token or of a whole batch. Pre-activations are written for some tokens at a time, into one buffer. Of equal values at
/// the edge, which are kept is libtorch's choice.
/// </summary>
/// <param name="scratch">[at least L]: for [some tokens, L] pre-activations at a time.</param>
internal sealed class TorchEncoder(Tensor scratch)
{
    private const float FloorShare = 0.95f;
    private float _floor;   // a little below the least value that the batch before kept; decides the speed, not the result

    /// <summary>The k largest of each token.</summary>
    /// <param name="x">[B, d], centred.</param>
    /// <param name="w">[L, d]</param>
    /// <param name="b">[L]</param>
    /// <returns>B k entries, of which those that are not positive have the value 0.</returns>
    public Chosen TopK(Tensor x, Tensor w, Tensor b, int k)
    {
        var rows = x.shape[0];
        var latent = empty(rows, k, ScalarType.Int64, x.device);
        var value = empty(rows, k, ScalarType.Float32, x.device);
        foreach (var (first, count) in Chunks(rows, w.shape[0]))
        {
            using var scope = NewDisposeScope();
            var (values, indices) = PreActivations(x.narrow(0, first, count), w, b).topk(k, 1, sorted: false);    // [some, k]
            value.narrow(0, first, count).copy_(values);
            latent.narrow(0, first, count).copy_(indices);
        }
        var row = arange(rows, ScalarType.Int64, x.device).unsqueeze(1).expand(rows, k);
        return new(row.reshape(-1), latent.view(-1), value.relu_().view(-1));
    }

    /// <summary>The <paramref name="wanted"/> largest of all tokens together, or as many as are positive.</summary>
    /// <returns>The entries, and the least value kept: 0 where fewer are positive than were wanted.</returns>
    public (Chosen Entries, float Least) BatchTopK(Tensor x, Tensor w, Tensor b, int wanted)
    {
        var (at, values) = Largest(x, w, b, wanted, _floor);
        if (_floor > 0 && at.numel() < wanted)
            (at, values) = Largest(x, w, b, wanted, 0);
        var least = at.numel() < wanted ? 0 : Least(values);
        _floor = FloorShare * least;
        var (sorted, order) = at.sort(0);                                   // by rows, then latents: whatever topk made of the order
        var (latents, entries) = (w.shape[0], values.index_select(0, order));
        return (new(sorted.div(latents, RoundingMode.floor), sorted.remainder(latents), entries), least);
    }

    /// <summary>At most <paramref name="wanted"/> of the values above <paramref name="floor"/>, the largest, and where in [B, L] they are.</summary>
    private (Tensor At, Tensor Value) Largest(Tensor x, Tensor w, Tensor b, int wanted, float floor)
    {
        var latents = w.shape[0];
        var at = empty(0, ScalarType.Int64, x.device);
        var value = empty(0, ScalarType.Float32, x.device);
        foreach (var (first, count) in Chunks(x.shape[0], latents))
        {
            using var scope = NewDisposeScope();
            var flat = PreActivations(x.narrow(0, first, count), w, b).threshold_(floor, 0).view(-1);
            var above = flat.nonzero().squeeze(1);                          // [found]
            var (allAt, allValues) = (cat([at, above + first * latents]), cat([value, flat.index_select(0, above)]));
            // Chunk by chunk, so that what is held of a batch is never much more than what is wanted of it.
            if (allAt.numel() > wanted)
            {
                (allValues, var best) = allValues.topk(wanted, 0, sorted: false);
                allAt = allAt.index_select(0, best);
                floor = Least(allValues);
            }
            at.Dispose();
            value.Dispose();
            (at, value) = (allAt.MoveToOuterDisposeScope(), allValues.MoveToOuterDisposeScope());
        }
        return (at, value);
    }

    private static float Least(Tensor values)
    {
        using var scope = NewDisposeScope();
        return values.min().cpu().item<float>();
    }

    private IEnumerable<(long First, long Count)> Chunks(long rows, long latents)
    {
        var size = Math.Max(1, scratch.numel() / latents);
        for (var first = 0L; first < rows; first += size)
            yield return (first, Math.Min(size, rows - first));
    }

    /// <returns>[some tokens, L], good until the next.</returns>
    private Tensor PreActivations(Tensor x, Tensor w, Tensor b) =>
        scratch.narrow(0, 0, x.shape[0] * w.shape[0]).view(x.shape[0], w.shape[0]).copy_(b).addmm_(x, w.t(), 1, 1);
}
