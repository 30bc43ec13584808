namespace SaeService.Autoencoders;

/// <summary>What one batch was measured at. All sums are over the batch, in the scaled space of the trainer.</summary>
/// <param name="SquaredError">sum ‖x̂ - x‖²</param>
/// <param name="AuxLoss">Squared error of the dead latents on the residual over the variance of the residual; 0 where nothing is dead.</param>
/// <param name="NonZeros">Latents active on the batch, summed over its tokens.</param>
/// <param name="SmallestKept">Of a top-k the mean over the tokens of the least value kept, of a batch's top-k the least of all.</param>
/// <param name="GradientNorm">Global norm after the projection, before the clipping.</param>
internal readonly record struct BatchMeasures(double SquaredError, double AuxLoss, long NonZeros, double SmallestKept, double GradientNorm);

/// <summary>
/// Loss and hand-written gradient of a batch. With e = x̂ - x, the loss is ‖e‖² / (B Var) + c AuxK, where AuxK lets the largest dead latents
/// reconstruct the residual -e (held constant) of some of the tokens: ‖ê + e‖² / sum ‖e - mean e‖². Only active latents carry gradient:
/// dL/dW_dec[f] = sum a g, dL/da = ⟨g, W_dec[f]⟩, dL/dW_enc[f] = sum dL/da (x - b_dec), with g the gradient at the reconstruction the latent
/// took part in. b_dec collects sum g of the main reconstruction, minus what reaches it through the encoder's x - b_dec.
/// </summary>
/// <remarks>
/// Matryoshka autoencoders (Bussmann et al. 2025, arXiv 2503.17547) reconstruct with each of n nested prefixes of the latents: the loss is the mean over
/// them, with e_m of prefix m. A latent takes part in its own prefix and all wider ones, so g there is that of the sum of e_m from its prefix on.
/// </remarks>
internal sealed unsafe class SaeGradient
{
    private const int LatentBlock = 32;

    /// <summary>Rows that a phase takes at a time.</summary>
    public const int RowBlock = 64;

    private readonly SaeParameters p;
    private readonly SaeTrainingSettings settings;
    private readonly Lanes lanes;
    private readonly int stride;
    private readonly int[] prefixes;                         // widths, ascending; the last is F
    private readonly TopKEncoder? encoder;
    private readonly BatchTopKEncoder? batchEncoder;
    private readonly LatentIndex index;
    private readonly AlignedBuffer<float> errors;            // [prefixes, B, stride], sum of e_m from m on
    private readonly AlignedBuffer<float> errorSums;         // [prefixes, row blocks, stride], their sums over rows
    private readonly AlignedBuffer<float> encoderShare;      // [latent blocks, stride], sum_f dL/db_enc[f] W_enc[f]
    private readonly double[] squares, smallest;             // a row block each
    private readonly double[] norms;                         // a latent block each
    private AuxiliaryLoss? aux;                              // only needed, and only allocated, once a latent has died

    public SaeGradient(SaeTrainingSettings settings, SaeParameters parameters, Lanes lanes)
    {
        (this.settings, p, this.lanes, stride) = (settings, parameters, lanes, parameters.Stride);
        var (batch, rowBlocks, latentBlocks) = (settings.BatchTokens, Blocks(settings.BatchTokens, RowBlock), Blocks(p.DSae, LatentBlock));
        prefixes = [.. settings.Prefixes];
        if (settings.Architecture == TrainingArchitecture.TopK)
            encoder = new(stride, p.DSae, settings.K, batch, lanes);
        else
            batchEncoder = new(stride, p.DSae, settings.K, batch, lanes);
        index = new(p.DSae, batch, settings.K, lanes);
        Active = new(batch, settings.K);
        Gradient = new(p.DIn, p.DSae);
        errors = new((long)prefixes.Length * batch * stride);
        errorSums = new((long)prefixes.Length * rowBlocks * stride);
        encoderShare = new((long)latentBlocks * stride);
        (squares, smallest, norms) = (new double[rowBlocks], new double[rowBlocks], new double[latentBlocks]);
        Touched = new bool[p.DSae];
    }

    public SaeParameters Gradient { get; }
    public ActiveRows Active { get; }

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
        var least = Encode(x, rows);
        index.Build(Active, rows);
        Reconstruct(x, rows);
        var squaredError = Sum(squares, Blocks(rows, RowBlock));
        var meanGradient = (float)(2 / (rows * variance * prefixes.Length));

        var (auxLoss, auxGradient) = (0.0, 0f);
        if (dead.Length > 0 && settings.AuxCoefficient > 0)
        {
            aux ??= new(settings, p, lanes);
            var auxRows = Math.Min(rows, settings.AuxTokens(dead.Length));
            var residual = ResidualVariance(auxRows);
            var auxSquared = aux.Reconstruct(x, auxRows, ErrorOf(prefixes.Length - 1), dead);
            if (residual > 0 && auxSquared / residual is var ratio && double.IsFinite(ratio))
                (auxLoss, auxGradient) = (ratio, (float)(2 * settings.AuxCoefficient / residual));
        }
        var norm = Backward(x, rows, meanGradient, auxGradient, dead);
        return new(squaredError, auxLoss, index.Start.Pointer[p.DSae], least ?? Sum(smallest, Blocks(rows, RowBlock)) / rows, norm);
    }

    /// <returns>The least value kept, of a batch's top-k.</returns>
    private float? Encode(float* x, int rows)
    {
        if (batchEncoder is not null)
        {
            batchEncoder.Pack(p.WEnc.Pointer, p.BEnc.Pointer);
            return batchEncoder.Encode(x, rows, Active);
        }
        encoder!.Pack(p.WEnc.Pointer, p.BEnc.Pointer, p.DSae);
        encoder.Encode(x, rows, Active);
        return null;
    }

    private float* ErrorOf(int prefix) => errors.Pointer + (long)prefix * settings.BatchTokens * stride;

    private float* ErrorSumOf(int prefix, int block) => errorSums.Pointer + ((long)prefix * Blocks(settings.BatchTokens, RowBlock) + block) * stride;

    /// <summary>e_m = sum over latents of prefix m of a W_dec - (x - b_dec), which is x̂_m - x; and then their sums from the last prefix down.</summary>
    private void Reconstruct(float* x, int rows) => lanes.For(Blocks(rows, RowBlock), (block, _) =>
    {
        for (var m = 0; m < prefixes.Length; m++)
            new Span<float>(ErrorSumOf(m, block), stride).Clear();
        var (square, least) = (0.0, 0.0);
        for (var i = block * RowBlock; i < Math.Min(rows, (block + 1) * RowBlock); i++)
        {
            var (first, end) = (Active.Start.Pointer[i], Active.Start.Pointer[i] + Active.Count.Pointer[i]);
            var at = first;
            var e = x + (long)i * stride;
            for (var m = 0; m < prefixes.Length; m++)
            {
                var from = at;
                var before = e;
                at = m == prefixes.Length - 1 ? end : EndOfPrefix(at, end, prefixes[m]);
                e = ErrorOf(m) + (long)i * stride;
                RowKernel.Decode(Active.Index.Pointer + from, Active.Value.Pointer + from, at - from, p.WDec.Pointer, before, m == 0 ? -1 : 1, e, stride);
            }
            square += RowKernel.Dot(e, e, stride);
            for (var m = prefixes.Length - 1; m >= 0; m--)
            {
                if (m < prefixes.Length - 1)
                    RowKernel.Add(ErrorOf(m) + (long)i * stride, ErrorOf(m + 1) + (long)i * stride, stride);
                RowKernel.Add(ErrorSumOf(m, block), ErrorOf(m) + (long)i * stride, stride);
            }
            var min = end == first ? 0 : float.MaxValue;
            for (var j = first; j < end; j++)
                min = Math.Min(min, Active.Value.Pointer[j]);
            least += min;
        }
        (squares[block], smallest[block]) = (square, least);
    });

    /// <summary>The first entry from <paramref name="at"/> on whose latent is not below <paramref name="width"/>.</summary>
    private int EndOfPrefix(int at, int end, int width)
    {
        while (at < end && Active.Index.Pointer[at] < width)
            at++;
        return at;
    }

    /// <summary>sum_b ‖e_b - mean e‖² over the first <paramref name="rows"/> tokens, which are whole blocks or all.</summary>
    private double ResidualVariance(int rows)
    {
        var (last, blocks) = (prefixes.Length - 1, Blocks(rows, RowBlock));
        var meanSquare = 0.0;
        for (var j = 0; j < p.DIn; j++)
        {
            var sum = 0.0;
            for (var block = 0; block < blocks; block++)
                sum += ErrorSumOf(last, block)[j];
            meanSquare += sum * sum / rows;
        }
        return Sum(squares, blocks) - meanSquare;
    }

    /// <returns>The global norm of the gradient.</returns>
    private double Backward(float* x, int rows, float meanGradient, float auxGradient, ReadOnlySpan<int> dead)
    {
        if (auxGradient != 0)
            aux!.Backward(x, Math.Min(rows, settings.AuxTokens(dead.Length)), auxGradient, dead, Gradient);
        lanes.For(Blocks(p.DSae, LatentBlock), (block, _) =>
        {
            var share = encoderShare.Pointer + (long)block * stride;
            new Span<float>(share, stride).Clear();
            var square = 0.0;
            var prefix = 0;
            for (var f = block * LatentBlock; f < Math.Min(p.DSae, (block + 1) * LatentBlock); f++)
            {
                while (f >= prefixes[prefix])
                    prefix++;
                var ofResidual = auxGradient != 0 && aux!.Fired(f);
                Touched[f] = Fired(f) || ofResidual;
                if (!Touched[f])
                    continue;
                float* wEnc = p.WEnc.Pointer + (long)f * stride, wDec = p.WDec.Pointer + (long)f * stride;
                float* gEnc = Gradient.WEnc.Pointer + (long)f * stride, gDec = Gradient.WDec.Pointer + (long)f * stride;
                if (!ofResidual)
                    Clear(Gradient, f);
                var (from, to) = (index.Start.Pointer[f], index.Start.Pointer[f + 1]);
                Gradient.BEnc.Pointer[f] += Accumulate(index, from, to, ErrorOf(prefix), meanGradient, x, wDec, gEnc, gDec, stride);
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
                g += ErrorSumOf(0, block)[j];
            g *= meanGradient;
            for (var block = 0; block < norms.Length; block++)
                g -= encoderShare.Pointer[(long)block * stride + j];
            Gradient.BDec.Pointer[j] = (float)g;
            total += g * g;
        }
        return Math.Sqrt(total);
    }

    public static void Clear(SaeParameters gradient, int f)
    {
        gradient.WEnc.Slice((long)f * gradient.Stride, gradient.Stride).Clear();
        gradient.WDec.Slice((long)f * gradient.Stride, gradient.Stride).Clear();
        gradient.BEnc.Pointer[f] = 0;
    }

    /// <summary>Adds some of a latent's entries to its gradient rows; returns dL/db_enc. <paramref name="c"/> times an error row is the gradient there.</summary>
    public static float Accumulate(LatentIndex entries, int i, int end, float* errors, float c, float* x, float* wDec, float* gEnc, float* gDec, int stride)
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

    public static int Blocks(int items, int size) => (items + size - 1) / size;

    public static double Sum(double[] parts, int count)
    {
        var sum = 0.0;
        for (var i = 0; i < count; i++)
            sum += parts[i];
        return sum;
    }
}
