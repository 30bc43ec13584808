using System.Runtime.Intrinsics;
using V = System.Runtime.Intrinsics.Vector256<float>;

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
    private readonly bool wholeRows;
    private readonly int[] prefixes;                         // widths, ascending; the last is F
    private readonly TopKEncoder? encoder;
    private readonly BatchTopKEncoder? batchEncoder;
    private readonly LatentIndex index;
    private readonly ColumnBlocks inputs;                    // [B, stride]
    private readonly ColumnBlocks[] errors;                  // [prefixes] of [B, stride], sum of e_m from m on
    private readonly AlignedBuffer<float>?[] errorsOfRow;    // [lanes] of [prefixes, stride], of the row at hand
    private readonly AlignedBuffer<float> dots;              // [B k], ⟨error, W_dec[f]⟩ beside each active latent f
    private readonly AlignedBuffer<float> along;             // [F], of W_dec's gradient along the row of W_dec
    private readonly AlignedBuffer<float> errorSums;         // [prefixes, row blocks, stride], their sums over rows
    private readonly AlignedBuffer<float> encoderShare;      // [latent blocks, stride], sum_f dL/db_enc[f] W_enc[f]
    private readonly double[] squares, smallest;             // a row block each
    private readonly double[] norms;                         // [column blocks + 1, latent blocks], squares; the last are of b_enc
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
        wholeRows = WholeRows(settings);
        inputs = new(batch, stride, wholeRows);
        errors = [.. prefixes.Select(_ => new ColumnBlocks(batch, stride, wholeRows))];
        errorsOfRow = new AlignedBuffer<float>?[lanes.Count];
        dots = new((long)batch * settings.K);
        along = new(p.DSae);
        errorSums = new((long)prefixes.Length * rowBlocks * stride);
        encoderShare = new((long)latentBlocks * stride);
        (squares, smallest, norms) = (new double[rowBlocks], new double[rowBlocks], new double[(ColumnBlocks.Count(stride) + 1) * latentBlocks]);
        Touched = new bool[p.DSae];
    }

    public SaeParameters Gradient { get; }
    public ActiveRows Active { get; }

    /// <summary>How this gradient's <see cref="ColumnBlocks"/> lie.</summary>
    public static bool WholeRows(SaeTrainingSettings settings) => ColumnBlocks.Suits((long)settings.BatchTokens * settings.K, settings.DSae);

    /// <summary>Latents with a gradient; the rows of the others in <see cref="Gradient"/> are stale.</summary>
    public bool[] Touched { get; }

    /// <summary>Takes the component along the (unit) decoder row out of its gradient. Off only to compare with an unconstrained gradient.</summary>
    public bool ProjectDecoder { get; init; } = true;

    public bool Fired(int latent) => index.Entries(latent) > 0;

    /// <param name="x">[rows, stride], scaled, b_dec taken away.</param>
    /// <param name="rows">Tokens of the batch.</param>
    /// <param name="variance">Var of the loss: mean ‖x - mean‖² over the sample.</param>
    /// <param name="dead">Latents of the auxiliary loss, ascending.</param>
    public BatchMeasures Compute(float* x, int rows, double variance, ReadOnlySpan<int> dead)
    {
        var least = Encode(x, rows);
        Reconstruct(x, rows);
        index.Build(Active, dots, rows);
        var squaredError = Sum(squares, Blocks(rows, RowBlock));
        var meanGradient = (float)(2 / (rows * variance * prefixes.Length));

        var (auxLoss, auxGradient) = (0.0, 0f);
        if (dead.Length > 0 && settings.AuxCoefficient > 0)
        {
            aux ??= new(settings, p, lanes);
            var auxRows = Math.Min(rows, settings.AuxTokens(dead.Length));
            var residual = ResidualVariance(auxRows);
            var auxSquared = aux.Reconstruct(x, auxRows, errors[^1], dead);
            if (residual > 0 && auxSquared / residual is var ratio && double.IsFinite(ratio))
                (auxLoss, auxGradient) = (ratio, (float)(2 * settings.AuxCoefficient / residual));
        }
        var norm = Backward(rows, meanGradient, auxGradient);
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

    private float* ErrorSumOf(int prefix, int block) => errorSums.Pointer + ((long)prefix * Blocks(settings.BatchTokens, RowBlock) + block) * stride;

    /// <summary>
    /// e_m = sum over latents of prefix m of a W_dec - (x - b_dec), which is x̂_m - x; then their sums from the last prefix down; and, while the latents' rows of
    /// W_dec are at hand, the products with them that the gradient of the values is made of.
    /// </summary>
    private void Reconstruct(float* x, int rows) => lanes.For(Blocks(rows, RowBlock), (block, lane) =>
    {
        var mine = (errorsOfRow[lane] ??= new((long)prefixes.Length * stride)).Pointer;
        for (var m = 0; m < prefixes.Length; m++)
            new Span<float>(ErrorSumOf(m, block), stride).Clear();
        var (square, least) = (0.0, 0.0);
        Span<int> ends = stackalloc int[prefixes.Length];
        for (var i = block * RowBlock; i < Math.Min(rows, (block + 1) * RowBlock); i++)
        {
            var (first, end) = (Active.Start.Pointer[i], Active.Start.Pointer[i] + Active.Count.Pointer[i]);
            var at = first;
            var e = x + (long)i * stride;
            inputs.Put(e, i);
            for (var m = 0; m < prefixes.Length; m++)
            {
                var from = at;
                var before = e;
                ends[m] = at = m == prefixes.Length - 1 ? end : EndOfPrefix(at, end, prefixes[m]);
                e = mine + (long)m * stride;
                RowKernel.Decode(Active.Index.Pointer + from, Active.Value.Pointer + from, at - from, p.WDec.Pointer, before, m == 0 ? -1 : 1, e, stride);
            }
            square += RowKernel.Dot(e, e, stride);
            for (var m = prefixes.Length - 1; m >= 0; m--, e -= stride)
            {
                if (m < prefixes.Length - 1)
                    RowKernel.Add(e, e + stride, stride);
                RowKernel.Add(ErrorSumOf(m, block), e, stride);
                errors[m].Put(e, i);
                var from = m == 0 ? first : ends[m - 1];
                RowKernel.DotEach(Active.Index.Pointer + from, ends[m] - from, p.WDec.Pointer, e, dots.Pointer + from, stride);
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
    private double Backward(int rows, float meanGradient, float auxGradient)
    {
        var (latentBlocks, columnBlocks) = (Blocks(p.DSae, LatentBlock), ColumnBlocks.Count(stride));
        lanes.For(latentBlocks, (block, _) =>
        {
            var square = 0.0;
            for (var f = block * LatentBlock; f < Math.Min(p.DSae, (block + 1) * LatentBlock); f++)
            {
                var (bias, value) = OfValues(index, f, meanGradient);
                Touched[f] = Fired(f);
                if (auxGradient != 0 && aux!.Index.Entries(f) > 0)
                {
                    var (auxBias, auxValue) = OfValues(aux.Index, f, auxGradient);
                    (bias, value, Touched[f]) = (bias + auxBias, value + auxValue, true);
                }
                Gradient.BEnc.Pointer[f] = bias;
                along.Pointer[f] = ProjectDecoder ? value : 0;
                square += (double)bias * bias;
            }
            norms[columnBlocks * latentBlocks + block] = square;
        });
        // A lane does sixteen columns of as many latents as it can before it goes on to the next, or all columns of each latent: see ColumnBlocks.
        var (groups, columns) = wholeRows ? (1, columnBlocks) : (columnBlocks, 1);
        var parts = Math.Min(latentBlocks, Blocks((wholeRows ? 16 : 4) * lanes.Count, groups));
        lanes.For(groups * parts, (task, _) =>
        {
            var (group, part) = Math.DivRem(task, parts);
            var (from, to) = ((int)((long)latentBlocks * part / parts), (int)((long)latentBlocks * (part + 1) / parts));
            for (var block = from; block < to; block++)
                norms[group * latentBlocks + block] = Decoder(group, columns, block, meanGradient, auxGradient);
            for (var block = from; block < to; block++)
                norms[group * latentBlocks + block] += Encoder(group, columns, block, meanGradient, auxGradient);
        });

        var total = Sum(norms, norms.Length);
        var ofBias = new double[stride];
        for (var block = 0; block < Blocks(rows, RowBlock); block++)
            for (var j = 0; j < stride; j++)
                ofBias[j] += ErrorSumOf(0, block)[j];
        for (var j = 0; j < stride; j++)
            ofBias[j] *= meanGradient;
        for (var block = 0; block < latentBlocks; block++)
            for (var j = 0; j < stride; j++)
                ofBias[j] -= encoderShare.Pointer[(long)block * stride + j];
        for (var j = 0; j < p.DIn; j++)
        {
            Gradient.BDec.Pointer[j] = (float)ofBias[j];
            total += ofBias[j] * ofBias[j];
        }
        return Math.Sqrt(total);
    }

    /// <returns>dL/db_enc[f] = sum dL/da, and ⟨dL/dW_dec[f], W_dec[f]⟩ = sum a dL/da.</returns>
    private static (float Bias, float Along) OfValues(LatentIndex entries, int f, float factor)
    {
        var from = entries.Start.Pointer[f];
        var (sum, along) = RowKernel.SumAndDot(entries.Dot.Pointer + from, entries.Value.Pointer + from, entries.Entries(f));
        return (factor * sum, factor * along);
    }

    /// <summary>Columns, sixteen each, of W_dec's gradient of a block of latents: sum a g, less what is along W_dec.</summary>
    /// <returns>Their squared sum.</returns>
    private double Decoder(int firstColumn, int columns, int block, float meanGradient, float auxGradient)
    {
        var total = 0.0;
        var square = V.Zero;
        var prefix = 0;
        for (var f = block * LatentBlock; f < Math.Min(p.DSae, (block + 1) * LatentBlock); f++)
        {
            while (f >= prefixes[prefix])
                prefix++;
            if (!Touched[f])
                continue;
            var less = Vector256.Create(-along.Pointer[f]);
            for (var column = firstColumn; column < firstColumn + columns; column++)
            {
                var at = (long)f * stride + column * ColumnBlocks.Width;
                float* w = p.WDec.Pointer + at, g = Gradient.WDec.Pointer + at;
                RowKernel.Prefetch(w, g);
                var (low, high) = Terms(f, index.Value, aux?.Index.Value, errors[prefix].Of(column), auxGradient == 0 ? null : aux!.Errors.Of(column), meanGradient, auxGradient);
                low = Vector256.FusedMultiplyAdd(less, Vector256.Load(w), low);
                high = Vector256.FusedMultiplyAdd(less, Vector256.Load(w + 8), high);
                low.Store(g);
                high.Store(g + 8);
                square = Vector256.FusedMultiplyAdd(high, high, Vector256.FusedMultiplyAdd(low, low, square));
            }
            if (columns > 1)
                (total, square) = (total + RowKernel.Sum(square), V.Zero);
        }
        return total + RowKernel.Sum(square);
    }

    /// <summary>Columns, sixteen each, of W_enc's gradient of a block of latents, sum dL/da (x - b_dec), and of what reaches b_dec through them.</summary>
    /// <returns>The gradient's squared sum.</returns>
    private double Encoder(int firstColumn, int columns, int block, float meanGradient, float auxGradient)
    {
        var total = 0.0;
        var square = V.Zero;
        var share = encoderShare.Pointer + (long)block * stride;
        new Span<float>(share + firstColumn * ColumnBlocks.Width, columns * ColumnBlocks.Width).Clear();
        for (var f = block * LatentBlock; f < Math.Min(p.DSae, (block + 1) * LatentBlock); f++)
        {
            if (!Touched[f])
                continue;
            var bias = Vector256.Create(Gradient.BEnc.Pointer[f]);
            for (var column = firstColumn; column < firstColumn + columns; column++)
            {
                var at = (long)f * stride + column * ColumnBlocks.Width;
                float* w = p.WEnc.Pointer + at, g = Gradient.WEnc.Pointer + at, s = share + column * ColumnBlocks.Width;
                RowKernel.Prefetch(w, g);
                var x = inputs.Of(column);
                var (low, high) = Terms(f, index.Dot, aux?.Index.Dot, x, x, meanGradient, auxGradient);
                low.Store(g);
                high.Store(g + 8);
                square = Vector256.FusedMultiplyAdd(high, high, Vector256.FusedMultiplyAdd(low, low, square));
                Vector256.FusedMultiplyAdd(bias, Vector256.Load(w), Vector256.Load(s)).Store(s);
                Vector256.FusedMultiplyAdd(bias, Vector256.Load(w + 8), Vector256.Load(s + 8)).Store(s + 8);
            }
            if (columns > 1)
                (total, square) = (total + RowKernel.Sum(square), V.Zero);
        }
        return total + RowKernel.Sum(square);
    }

    /// <summary>What the loss and the auxiliary loss give to sixteen columns of a latent: each a weighted sum of rows, times a factor.</summary>
    private (V Low, V High) Terms(int f, AlignedBuffer<float> weights, AlignedBuffer<float>? auxWeights, float* columns, float* auxColumns, float factor, float auxFactor)
    {
        var sum = stackalloc float[ColumnBlocks.Width];
        var start = index.Start.Pointer[f];
        ColumnBlocks.Sum(index.Row.Pointer + start, weights.Pointer + start, index.Entries(f), columns, inputs.Step, sum);
        var (low, high) = (Vector256.Load(sum) * factor, Vector256.Load(sum + 8) * factor);
        if (auxFactor == 0 || aux!.Index.Entries(f) == 0)
            return (low, high);
        start = aux.Index.Start.Pointer[f];
        ColumnBlocks.Sum(aux.Index.Row.Pointer + start, auxWeights!.Pointer + start, aux.Index.Entries(f), auxColumns, inputs.Step, sum);
        var auxiliary = Vector256.Create(auxFactor);
        return (Vector256.FusedMultiplyAdd(auxiliary, Vector256.Load(sum), low), Vector256.FusedMultiplyAdd(auxiliary, Vector256.Load(sum + 8), high));
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
