namespace SaeService.Autoencoders;

/// <summary>
/// AuxK (Gao et al. 2024): the largest dead latents of a token reconstruct what the others leave of it, -e, which is held constant. That ê + e is small revives
/// them. What it is weighed against is <see cref="SaeGradient"/>'s.
/// </summary>
internal sealed unsafe class AuxiliaryLoss(SaeTrainingSettings settings, SaeParameters p, Lanes lanes)
{
    private const int RowBlock = SaeGradient.RowBlock, GroupLatents = 32, RowChunk = 128;
    private readonly int stride = p.Stride;
    private readonly TopKEncoder encoder = new(p.Stride, settings.DSae, settings.AuxK, settings.BatchTokens, lanes);
    private readonly ActiveRows active = new(settings.BatchTokens, settings.AuxK);
    private readonly LatentIndex index = new(settings.DSae, settings.BatchTokens, settings.AuxK, lanes);
    private readonly AlignedBuffer<float> sums = new((long)settings.BatchTokens * p.Stride);                 // [B, stride], ê + e
    private readonly int[] cursors = new int[settings.DSae];                                                 // [dead], into the index
    private readonly double[] squares = new double[SaeGradient.Blocks(settings.BatchTokens, RowBlock)];

    public bool Fired(int latent) => index.Start.Pointer[latent + 1] > index.Start.Pointer[latent];

    /// <summary>ê + e of the dead latents' top k_aux.</summary>
    /// <param name="x">[rows, stride], centred.</param>
    /// <param name="rows">Tokens, the first of the batch.</param>
    /// <param name="error">[rows, stride], e.</param>
    /// <param name="dead">Ascending.</param>
    /// <returns>Its squared sum.</returns>
    public double Reconstruct(float* x, int rows, float* error, ReadOnlySpan<int> dead)
    {
        fixed (int* selected = dead)
        {
            encoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer, dead.Length, selected);
            encoder.Encode(x, rows, active);
            var names = selected;
            var deadCount = dead.Length;
            lanes.For(SaeGradient.Blocks(rows, RowBlock), (block, _) =>
            {
                var square = 0.0;
                var (from, to) = (block * RowBlock, Math.Min(rows, (block + 1) * RowBlock));
                for (var i = from; i < to; i++)
                {
                    foreach (ref var latent in active.IndicesOf(i))
                        latent = names[latent];
                    new ReadOnlySpan<float>(error + (long)i * stride, stride).CopyTo(sums.Slice((long)i * stride, stride));
                }
                // A group of latents at a time for all rows of the block, whose weights then stay in the cache: a row has many of them.
                Span<int> cursor = stackalloc int[RowBlock];
                cursor.Clear();
                for (var group = 0; group < deadCount; group += GroupLatents)
                {
                    var last = names[Math.Min(group + GroupLatents, deadCount) - 1];
                    for (var i = from; i < to; i++)
                    {
                        var (first, start) = (active.Start.Pointer[i], cursor[i - from]);
                        var end = start;
                        while (end < active.Count.Pointer[i] && active.Index.Pointer[first + end] <= last)
                            end++;
                        cursor[i - from] = end;
                        var e = sums.Pointer + (long)i * stride;
                        if (end > start)
                            RowKernel.Decode(active.Index.Pointer + first + start, active.Value.Pointer + first + start, end - start, p.WDec.Pointer, e, 1, e,
                                stride);
                    }
                }
                for (var i = from; i < to; i++)
                {
                    var e = sums.Pointer + (long)i * stride;
                    square += RowKernel.Dot(e, e, stride);
                }
                squares[block] = square;
            });
        }
        index.Build(active, rows);
        return SaeGradient.Sum(squares, SaeGradient.Blocks(rows, RowBlock));
    }

    /// <summary>
    /// Its share of the dead latents' gradients, which are cleared first. A dead latent takes part in the residual of hundreds of tokens, each of which many dead
    /// latents share: so a chunk of tokens at a time for a lane's whole range of latents, while the tokens' rows are in its cache.
    /// </summary>
    public void Backward(float* x, int rows, float factor, ReadOnlySpan<int> dead, SaeParameters gradient)
    {
        var range = SaeGradient.Blocks(dead.Length, 4 * lanes.Count);
        fixed (int* names = dead)
        {
            var latents = names;
            var count = dead.Length;
            lanes.For(SaeGradient.Blocks(count, range), (block, _) =>
            {
                var (first, last) = (block * range, Math.Min(count, (block + 1) * range));
                for (var i = first; i < last; i++)
                {
                    SaeGradient.Clear(gradient, latents[i]);
                    cursors[i] = index.Start.Pointer[latents[i]];
                }
                for (var end = RowChunk; end - RowChunk < rows; end += RowChunk)
                    for (var i = first; i < last; i++)
                    {
                        var (f, from) = (latents[i], cursors[i]);
                        var to = from;
                        while (to < index.Start.Pointer[f + 1] && index.Row.Pointer[to] < end)
                            to++;
                        cursors[i] = to;
                        gradient.BEnc.Pointer[f] += SaeGradient.Accumulate(index, from, to, sums.Pointer, factor, x, p.WDec.Pointer + (long)f * stride,
                            gradient.WEnc.Pointer + (long)f * stride, gradient.WDec.Pointer + (long)f * stride, stride);
                    }
            });
        }
    }
}
