namespace SaeService.Autoencoders;

/// <summary>What one batch was measured at. All sums are over the batch, in the scaled space of the trainer.</summary>
/// <param name="SquaredError">sum ‖x̂ - x‖²</param>
/// <param name="AuxLoss">Squared error of the dead latents on the residual over the variance of the residual; 0 where nothing is dead.</param>
/// <param name="NonZeros">Latents active on the batch, summed over its tokens.</param>
/// <param name="SmallestKept">Mean over the tokens of the least value kept.</param>
/// <param name="GradientNorm">Global norm after the projection, before the clipping.</param>
internal readonly record struct BatchMeasures(double SquaredError, double AuxLoss, long NonZeros, double SmallestKept, double GradientNorm);

/// <summary>
/// Loss and hand-written gradient of a batch. With e = x̂ - x, the loss is ‖e‖² / (B Var) + c AuxK, where AuxK lets the largest dead latents
/// reconstruct the residual -e (held constant): ‖ê + e‖² / sum ‖e - mean e‖². Only active latents carry gradient:
/// dL/dW_dec[f] = sum a g, dL/da = ⟨g, W_dec[f]⟩, dL/dW_enc[f] = sum dL/da (x - b_dec), with g the gradient at the reconstruction the latent
/// took part in. b_dec collects sum g of the main reconstruction, minus what reaches it through the encoder's x - b_dec.
/// </summary>
internal sealed unsafe class SaeGradient
{
    private const int RowBlock = 64, LatentBlock = 32, GroupLatents = 32, RowChunk = 128;
    private readonly SaeParameters p;
    private readonly SaeTrainingSettings settings;
    private readonly Lanes lanes;
    private readonly int stride;
    private readonly TopKEncoder encoder;
    private readonly LatentIndex index;
    private readonly AlignedBuffer<float> error;             // [B, stride], e
    private readonly AlignedBuffer<float> errorSums;         // [row blocks, stride]
    private readonly AlignedBuffer<float> encoderShare;      // [latent blocks, stride], sum_f dL/db_enc[f] W_enc[f]
    private readonly double[] squares, auxSquares, smallest; // a row block each
    private readonly double[] norms;                         // a latent block each
    private AuxiliaryBuffers? aux;

    /// <summary>Only needed, and only allocated, once a latent has died.</summary>
    private sealed class AuxiliaryBuffers(SaeTrainingSettings s, int stride, Lanes lanes)
    {
        public readonly TopKEncoder Encoder = new(stride, s.DSae, s.AuxK, s.BatchTokens, lanes);
        public readonly TopKRows Top = new(s.BatchTokens, s.AuxK);
        public readonly LatentIndex Index = new(s.DSae, s.BatchTokens, s.AuxK, lanes);
        public readonly AlignedBuffer<float> Error = new((long)s.BatchTokens * stride);   // [B, stride], ê + e
        public readonly int[] Cursor = new int[s.DSae];                                   // [dead], into the index

        public bool Fired(int latent) => Index.Start.Pointer[latent + 1] > Index.Start.Pointer[latent];
    }

    public SaeGradient(SaeTrainingSettings settings, SaeParameters parameters, Lanes lanes)
    {
        (this.settings, p, this.lanes, stride) = (settings, parameters, lanes, parameters.Stride);
        var (batch, rowBlocks, latentBlocks) = (settings.BatchTokens, Blocks(settings.BatchTokens, RowBlock), Blocks(p.DSae, LatentBlock));
        encoder = new(stride, p.DSae, settings.K, batch, lanes);
        index = new(p.DSae, batch, settings.K, lanes);
        Top = new(batch, settings.K);
        Gradient = new(p.DIn, p.DSae);
        error = new((long)batch * stride);
        errorSums = new((long)rowBlocks * stride);
        encoderShare = new((long)latentBlocks * stride);
        (squares, auxSquares, smallest, norms) = (new double[rowBlocks], new double[rowBlocks], new double[rowBlocks], new double[latentBlocks]);
        Touched = new bool[p.DSae];
    }

    public SaeParameters Gradient { get; }
    public TopKRows Top { get; }

    /// <summary>Latents with a gradient; the rows of the others in <see cref="Gradient"/> are stale.</summary>
    public bool[] Touched { get; }

    /// <summary>Takes the component along the (unit) decoder row out of its gradient. Off only to compare with an unconstrained gradient.</summary>
    public bool ProjectDecoder { get; init; } = true;

    public bool Fired(int latent) => index.Start.Pointer[latent + 1] > index.Start.Pointer[latent];

    /// <param name="x">[rows, stride], scaled, b_dec taken away.</param>
    /// <param name="rows">Tokens of the batch.</param>
    /// <param name="variance">Var of the loss: mean ‖x - mean‖² over the sample.</param>
    /// <param name="dead">Latents of the auxiliary loss, ascending.</param>
    public BatchMeasures Compute(float* x, int rows, double variance, ReadOnlySpan<int> dead)
    {
        encoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer, p.DSae);
        encoder.Encode(x, rows, Top);
        index.Build(Top, rows);
        Reconstruct(x, rows);
        var squaredError = Sum(squares, Blocks(rows, RowBlock));
        var meanGradient = (float)(2 / (rows * variance));

        var (auxLoss, auxGradient) = (0.0, 0f);
        if (dead.Length > 0 && settings.AuxCoefficient > 0)
        {
            aux ??= new(settings, stride, lanes);
            var residual = ResidualVariance(squaredError, rows);
            var auxSquared = ReconstructResidual(x, rows, dead);
            if (residual > 0 && auxSquared / residual is var ratio && double.IsFinite(ratio))
                (auxLoss, auxGradient) = (ratio, (float)(2 * settings.AuxCoefficient / residual));
        }
        var norm = Backward(x, rows, meanGradient, auxGradient, dead);
        return new(squaredError, auxLoss, index.Start.Pointer[p.DSae], Sum(smallest, Blocks(rows, RowBlock)) / rows, norm);
    }

    /// <summary>e = sum a W_dec - (x - b_dec), which is x̂ - x.</summary>
    private void Reconstruct(float* x, int rows) => lanes.For(Blocks(rows, RowBlock), (block, _) =>
    {
        var sums = errorSums.Pointer + (long)block * stride;
        new Span<float>(sums, stride).Clear();
        var (square, least) = (0.0, 0.0);
        for (var i = block * RowBlock; i < Math.Min(rows, (block + 1) * RowBlock); i++)
        {
            var e = error.Pointer + (long)i * stride;
            var (first, n) = ((long)i * Top.K, Top.Count.Pointer[i]);
            RowKernel.Decode(Top.Index.Pointer + first, Top.Value.Pointer + first, n, p.WDec.Pointer, x + (long)i * stride, -1, e, stride);
            square += RowKernel.Dot(e, e, stride);
            RowKernel.Add(sums, e, stride);
            var min = n == 0 ? 0 : float.MaxValue;
            for (var j = first; j < first + n; j++)
                min = Math.Min(min, Top.Value.Pointer[j]);
            least += min;
        }
        (squares[block], smallest[block]) = (square, least);
    });

    /// <summary>sum_b ‖e_b - mean e‖²</summary>
    private double ResidualVariance(double squaredError, int rows)
    {
        var meanSquare = 0.0;
        for (var j = 0; j < p.DIn; j++)
        {
            var sum = 0.0;
            for (var block = 0; block < Blocks(rows, RowBlock); block++)
                sum += errorSums.Pointer[(long)block * stride + j];
            meanSquare += sum * sum / rows;
        }
        return squaredError - meanSquare;
    }

    /// <summary>ê + e of the dead latents' top k_aux; returns its squared sum.</summary>
    private double ReconstructResidual(float* x, int rows, ReadOnlySpan<int> dead)
    {
        var a = aux!;
        var top = a.Top;
        fixed (int* selected = dead)
        {
            a.Encoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer, dead.Length, selected);
            a.Encoder.Encode(x, rows, top);
            var names = selected;
            var deadCount = dead.Length;
            lanes.For(Blocks(rows, RowBlock), (block, _) =>
            {
                var square = 0.0;
                var (from, to) = (block * RowBlock, Math.Min(rows, (block + 1) * RowBlock));
                for (var i = from; i < to; i++)
                {
                    var (first, n) = ((long)i * top.K, top.Count.Pointer[i]);
                    for (var j = first; j < first + n; j++)
                        top.Index.Pointer[j] = names[top.Index.Pointer[j]];
                    error.Slice((long)i * stride, stride).CopyTo(a.Error.Slice((long)i * stride, stride));
                }
                // A group of latents at a time for all rows of the block, whose weights then stay in the cache: a row has many of them.
                Span<int> cursor = stackalloc int[RowBlock];
                cursor.Clear();
                for (var group = 0; group < deadCount; group += GroupLatents)
                {
                    var last = names[Math.Min(group + GroupLatents, deadCount) - 1];
                    for (var i = from; i < to; i++)
                    {
                        var (first, start) = ((long)i * top.K, cursor[i - from]);
                        var end = start;
                        while (end < top.Count.Pointer[i] && top.Index.Pointer[first + end] <= last)
                            end++;
                        cursor[i - from] = end;
                        var e = a.Error.Pointer + (long)i * stride;
                        if (end > start)
                            RowKernel.Decode(top.Index.Pointer + first + start, top.Value.Pointer + first + start, end - start, p.WDec.Pointer, e, 1, e, stride);
                    }
                }
                for (var i = from; i < to; i++)
                {
                    var e = a.Error.Pointer + (long)i * stride;
                    square += RowKernel.Dot(e, e, stride);
                }
                auxSquares[block] = square;
            });
        }
        a.Index.Build(top, rows);
        return Sum(auxSquares, Blocks(rows, RowBlock));
    }

    /// <returns>The global norm of the gradient.</returns>
    private double Backward(float* x, int rows, float meanGradient, float auxGradient, ReadOnlySpan<int> dead)
    {
        if (auxGradient != 0)
            BackwardOfResidual(x, rows, auxGradient, dead);
        lanes.For(Blocks(p.DSae, LatentBlock), (block, _) =>
        {
            var share = encoderShare.Pointer + (long)block * stride;
            new Span<float>(share, stride).Clear();
            var square = 0.0;
            for (var f = block * LatentBlock; f < Math.Min(p.DSae, (block + 1) * LatentBlock); f++)
            {
                var ofResidual = auxGradient != 0 && aux!.Fired(f);
                Touched[f] = Fired(f) || ofResidual;
                if (!Touched[f])
                    continue;
                float* wEnc = p.WEnc.Pointer + (long)f * stride, wDec = p.WDec.Pointer + (long)f * stride;
                float* gEnc = Gradient.WEnc.Pointer + (long)f * stride, gDec = Gradient.WDec.Pointer + (long)f * stride;
                if (!ofResidual)
                    Clear(f);
                var (from, to) = (index.Start.Pointer[f], index.Start.Pointer[f + 1]);
                Gradient.BEnc.Pointer[f] += Accumulate(index, from, to, error.Pointer, meanGradient, x, wDec, gEnc, gDec);
                RowKernel.AddScaled(share, Gradient.BEnc.Pointer[f], wEnc, stride);
                if (ProjectDecoder)
                    RowKernel.AddScaled(gDec, -RowKernel.Dot(gDec, wDec, stride), wDec, stride);
                square += (double)RowKernel.Dot(gEnc, gEnc, stride) + RowKernel.Dot(gDec, gDec, stride) + (double)Gradient.BEnc.Pointer[f] * Gradient.BEnc.Pointer[f];
            }
            norms[block] = square;
        });

        var total = Sum(norms, norms.Length);
        for (var j = 0; j < p.DIn; j++)
        {
            var g = 0.0;
            for (var block = 0; block < Blocks(rows, RowBlock); block++)
                g += errorSums.Pointer[(long)block * stride + j];
            g *= meanGradient;
            for (var block = 0; block < norms.Length; block++)
                g -= encoderShare.Pointer[(long)block * stride + j];
            Gradient.BDec.Pointer[j] = (float)g;
            total += g * g;
        }
        return Math.Sqrt(total);
    }

    /// <summary>
    /// The auxiliary loss's share, into cleared gradients. A dead latent takes part in the residual of hundreds of tokens, each of which many dead
    /// latents share: so a chunk of tokens at a time for a lane's whole range of latents, while the tokens' rows are in its cache.
    /// </summary>
    private void BackwardOfResidual(float* x, int rows, float auxGradient, ReadOnlySpan<int> dead)
    {
        var a = aux!;
        var range = Blocks(dead.Length, 4 * lanes.Count);
        fixed (int* names = dead)
        {
            var latents = names;
            var count = dead.Length;
            lanes.For(Blocks(count, range), (block, _) =>
            {
                var (first, last) = (block * range, Math.Min(count, (block + 1) * range));
                for (var i = first; i < last; i++)
                {
                    Clear(latents[i]);
                    a.Cursor[i] = a.Index.Start.Pointer[latents[i]];
                }
                for (var end = RowChunk; end - RowChunk < rows; end += RowChunk)
                    for (var i = first; i < last; i++)
                    {
                        var (f, from) = (latents[i], a.Cursor[i]);
                        var to = from;
                        while (to < a.Index.Start.Pointer[f + 1] && a.Index.Row.Pointer[to] < end)
                            to++;
                        a.Cursor[i] = to;
                        Gradient.BEnc.Pointer[f] += Accumulate(a.Index, from, to, a.Error.Pointer, auxGradient, x, p.WDec.Pointer + (long)f * stride,
                            Gradient.WEnc.Pointer + (long)f * stride, Gradient.WDec.Pointer + (long)f * stride);
                    }
            });
        }
    }

    private void Clear(int f)
    {
        Gradient.WEnc.Slice((long)f * stride, stride).Clear();
        Gradient.WDec.Slice((long)f * stride, stride).Clear();
        Gradient.BEnc.Pointer[f] = 0;
    }

    /// <summary>Adds some of a latent's entries to its gradient rows; returns dL/db_enc. <paramref name="c"/> times an error row is the gradient there.</summary>
    private float Accumulate(LatentIndex entries, int i, int end, float* errors, float c, float* x, float* wDec, float* gEnc, float* gDec)
    {
        var row = entries.Row.Pointer;
        var value = entries.Value.Pointer;
        var dots = stackalloc float[4];
        var bias = 0f;
        for (; i + 4 <= end; i += 4)
        {
            long r0 = (long)row[i] * stride, r1 = (long)row[i + 1] * stride, r2 = (long)row[i + 2] * stride, r3 = (long)row[i + 3] * stride;
            RowKernel.DotAndAdd4(errors + r0, errors + r1, errors + r2, errors + r3, value + i, c, wDec, gDec, dots, stride);
            RowKernel.AddScaled4(gEnc, dots, x + r0, x + r1, x + r2, x + r3, stride);
            bias += dots[0] + dots[1] + (dots[2] + dots[3]);
        }
        for (; i < end; i++)
        {
            var r = (long)row[i] * stride;
            var dot = c * RowKernel.Dot(errors + r, wDec, stride);
            RowKernel.AddScaled(gDec, c * value[i], errors + r, stride);
            RowKernel.AddScaled(gEnc, dot, x + r, stride);
            bias += dot;
        }
        return bias;
    }

    private static int Blocks(int items, int size) => (items + size - 1) / size;

    private static double Sum(double[] parts, int count)
    {
        var sum = 0.0;
        for (var i = 0; i < count; i++)
            sum += parts[i];
        return sum;
    }
}
