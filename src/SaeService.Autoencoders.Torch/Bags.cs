using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SaeService.Autoencoders.Torch;

/// <summary>A matrix [n, d] of which weighted rows are added up. It shares the matrix's memory and does not own it.</summary>
internal sealed class BagTable : IDisposable
{
    private readonly EmbeddingBag _bag;

    public BagTable(Tensor matrix)
    {
        Width = matrix.shape[1];
        _bag = nn.EmbeddingBag_from_pretrained(matrix, freeze: true, mode: EmbeddingBagMode.Sum, include_last_offset: true);
    }

    public long Width { get; }

    /// <returns>[bags, d]</returns>
    public Tensor Sum(Tensor index, Tensor offsets, Tensor weight) => _bag.call(index, offsets, weight);

    public void Dispose() => _bag.Dispose();
}

/// <summary>
/// Where each bag of a list of entries starts that is sorted by bag. Sums over bags are the one sparse operator of a training step: a token's
/// reconstruction is a bag of decoder rows, a latent's gradients are bags of tokens' rows. An embedding bag adds them up in the order of the list, without
/// atomics and without the [entries, d] contributions that index_add would need, so it gives the same bits each time also on CUDA.
/// </summary>
internal sealed class Bags
{
    private readonly long _count, _chunk;
    private readonly Tensor _offsets;       // [count + 1]
    private readonly long[] _boundaries;    // of every chunk, on the host

    /// <param name="sorted">[N], int64: each entry's bag, ascending.</param>
    /// <param name="count">Number of bags.</param>
    /// <param name="chunk">Bags that are added up at a time.</param>
    public Bags(Tensor sorted, long count, long chunk)
    {
        (_count, _chunk) = (count, Math.Clamp(chunk, 1, count));
        _offsets = searchsorted(sorted, arange(count + 1, ScalarType.Int64, sorted.device));
        var at = Enumerable.Range(0, (int)((count + _chunk - 1) / _chunk)).Select(c => c * _chunk).Append(count).ToArray();
        _boundaries = _offsets.index_select(0, tensor(at, ScalarType.Int64, sorted.device)).cpu().data<long>().ToArray();
    }

    /// <summary>The chunks: bags from First on, whose entries are those from Start to End.</summary>
    public IEnumerable<(long First, long Bags, long Start, long End)> Chunks
    {
        get
        {
            for (var c = 0; c < _boundaries.Length - 1; c++)
                yield return (c * _chunk, Math.Min(_chunk, _count - c * _chunk), _boundaries[c], _boundaries[c + 1]);
        }
    }

    /// <summary>sum of weight[i] table[index[i]] over the entries i of each bag.</summary>
    /// <param name="take">Gets the first bag and the sums of [some bags, d].</param>
    public void Sum(BagTable table, Tensor index, Tensor weight, Action<long, Tensor> take)
    {
        foreach (var (first, bags, start, end) in Chunks)
        {
            using var scope = NewDisposeScope();
            using Scalar before = (long)start;   // another in every batch, so not one of Scalars
            take(first, start == end ? zeros(bags, table.Width, device: index.device)
                : table.Sum(index.narrow(0, start, end - start), _offsets.narrow(0, first, bags + 1).sub(before), weight.narrow(0, start, end - start)));
        }
    }
}
