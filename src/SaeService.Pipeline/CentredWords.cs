using System.Numerics.Tensors;
using SaeService.Autoencoders;
using SaeService.Corpora;

namespace SaeService.Pipeline;

/// <summary>The words' vectors, each its last token's, less their mean, in blocks.</summary>
internal sealed class CentredWords
{
    private const int Block = 4096;
    private readonly ActivationFile _activations;
    private readonly int[] _rows;
    private readonly float[] _mean; // [d]

    /// <param name="packed">Places of the words in the corpus.</param>
    public CentredWords(ActivationFile activations, PackedCorpus corpus, int[] packed)
    {
        var rows = Array.ConvertAll(packed, w => corpus.LastToken[w]);
        (_activations, _rows) = (activations, rows);
        var d = activations.Dim;
        var sum = new double[d];
        var block = new float[Block * d];
        for (var from = 0; from < rows.Length; from += Block)
        {
            var n = Math.Min(Block, rows.Length - from);
            activations.Gather(rows.AsSpan(from, n), block.AsSpan(0, n * d));
            for (var i = 0; i < n * d; i++)
                sum[i % d] += block[i];
        }
        _mean = Array.ConvertAll(sum, s => (float)(s / rows.Length));
    }

    public void Read(int firstRow, Span<float> destination)
    {
        var d = _activations.Dim;
        _activations.Gather(_rows.AsSpan(firstRow, destination.Length / d), destination);
        for (var at = 0; at < destination.Length; at += d)
            TensorPrimitives.Subtract<float>(destination.Slice(at, d), _mean, destination.Slice(at, d));
    }
}
