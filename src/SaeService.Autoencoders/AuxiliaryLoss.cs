namespace SaeService.Autoencoders;

/// <summary>
/// AuxK (Gao et al. 2024): the largest dead latents of a token reconstruct what the others leave of it, -e, which is held constant. That ê + e is small revives
/// them. What it is weighed against is <see cref="SaeGradient"/>'s.
/// </summary>
internal sealed unsafe class AuxiliaryLoss(SaeTrainingSettings settings, SaeParameters p, Lanes lanes)
{
    private const int RowBlock = SaeGradient.RowBlock, GroupLatents = 32;
    private readonly int stride = p.Stride;
    private readonly TopKEncoder encoder = new(p.Stride, settings.DSae, settings.AuxK, settings.BatchTokens, lanes);
    private readonly ActiveRows active = new(settings.BatchTokens, settings.AuxK);
    private readonly AlignedBuffer<float> dots = new((long)settings.BatchTokens * settings.AuxK);             // ⟨ê + e, W_dec[f]⟩ beside each active latent f
    private readonly AlignedBuffer<float>?[] sumsOfBlock = new AlignedBuffer<float>?[lanes.Count];            // [RowBlock, stride], of the rows at hand
    private readonly double[] squares = new double[SaeGradient.Blocks(settings.BatchTokens, RowBlock)];

    public LatentIndex Index { get; } = new(settings.DSae, settings.BatchTokens, settings.AuxK, lanes);

    /// <summary>ê + e</summary>
    public ColumnBlocks Errors { get; } = new(settings.BatchTokens, p.Stride, SaeGradient.WholeRows(settings));

    /// <summary>ê + e of the dead latents' top k_aux.</summary>
    /// <param name="x">[rows, stride], centred.</param>
    /// <param name="rows">Tokens, the first of the batch.</param>
    /// <param name="error">e.</param>
    /// <param name="dead">Ascending.</param>
    /// <returns>Its squared sum.</returns>
    public double Reconstruct(float* x, int rows, ColumnBlocks error, ReadOnlySpan<int> dead)
    {
        fixed (int* selected = dead)
        {
            encoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer, dead.Length, selected);
            encoder.Encode(x, rows, active);
            var names = selected;
            var deadCount = dead.Length;
            lanes.For(SaeGradient.Blocks(rows, RowBlock), (block, lane) =>
            {
                var sums = (sumsOfBlock[lane] ??= new((long)RowBlock * stride)).Pointer;
                var square = 0.0;
                var (from, to) = (block * RowBlock, Math.Min(rows, (block + 1) * RowBlock));
                for (var i = from; i < to; i++)
                {
                    foreach (ref var latent in active.IndicesOf(i))
                        latent = names[latent];
                    error.Get(i, sums + (long)(i - from) * stride);
                }
                // A group of latents at a time for all rows of the block, whose weights then stay in the cache: a row has many of them.
                Span<int> cursor = stackalloc int[RowBlock];
                foreach (var decoding in new[] { true, false })
                {
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
                            var e = sums + (long)(i - from) * stride;
                            var (at, n) = (first + start, end - start);
                            if (n > 0 && decoding)
                                RowKernel.Decode(active.Index.Pointer + at, active.Value.Pointer + at, n, p.WDec.Pointer, e, 1, e, stride);
                            else if (n > 0)
                                RowKernel.DotEach(active.Index.Pointer + at, n, p.WDec.Pointer, e, dots.Pointer + at, stride);
                        }
                    }
                }
                for (var i = from; i < to; i++)
                {
                    var e = sums + (long)(i - from) * stride;
                    square += RowKernel.Dot(e, e, stride);
                    Errors.Put(e, i);
                }
                squares[block] = square;
            });
        }
        Index.Build(active, dots, rows);
        return SaeGradient.Sum(squares, SaeGradient.Blocks(rows, RowBlock));
    }
}
