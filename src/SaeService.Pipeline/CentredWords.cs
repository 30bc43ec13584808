using System.Numerics.Tensors;
using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Corpora;

namespace SaeService.Pipeline;

/// <summary>The words' vectors, each its last token's, less their mean, in blocks.</summary>
internal sealed class CentredWords
{
    private const int Block = 4096;
    private readonly ActivationFile _activations;
    private readonly PackedCorpus _corpus;
    private readonly Column<int> _packed;
    private readonly float[] _mean; // [d]

    /// <param name="packed">Places of the words in the corpus.</param>
    public CentredWords(ActivationFile activations, PackedCorpus corpus, Column<int> packed)
    {
        (_activations, _corpus, _packed) = (activations, corpus, packed);
        var d = activations.Dim;
        var sum = new double[d];
        var block = new float[Block * d];
        for (var from = 0; from < packed.Length; from += Block)
        {
            var n = Math.Min(Block, packed.Length - from);
            Gather(from, block.AsSpan(0, n * d));
            for (var i = 0; i < n * d; i++)
                sum[i % d] += block[i];
        }
        _mean = Array.ConvertAll(sum, s => (float)(s / packed.Length));
    }

    public void Read(int firstRow, Span<float> destination)
    {
        var d = _activations.Dim;
        Gather(firstRow, destination);
        for (var at = 0; at < destination.Length; at += d)
            TensorPrimitives.Subtract<float>(destination.Slice(at, d), _mean, destination.Slice(at, d));
    }

    private void Gather(int first, Span<float> destination)
    {
        var rows = new int[destination.Length / _activations.Dim];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = _corpus.LastToken[_packed[first + i]];
        _activations.Gather(rows, destination);
    }
}
