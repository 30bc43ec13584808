using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using SaeService.Columns;

namespace SaeService.Autoencoders;

/// <summary>
/// What one pass over the activations gives to every autoencoder that is trained in it: their rows in shuffled epochs, centred and scaled by a sample of
/// them. The order is computed and not stored, so that a position in it is one number.
/// </summary>
internal sealed unsafe class TrainingBatches
{
    private const int SampleRows = 65_536, RowBlock = 64;
    private const ulong SampleStream = 2, ShuffleStream = 3;

    private readonly SaeTrainingSettings settings;
    private readonly ActivationFile activations;
    private readonly Column<int> rows;
    private readonly int stride;
    private readonly AlignedBuffer<float> batch;        // [B, stride], s (x - mean)
    private readonly AlignedBuffer<float> mean;         // [stride]
    private readonly AlignedBuffer<float> zeros;        // [stride]
    private AlignedBuffer<float>? centred;              // [B, stride], less someone's b_dec
    private long position;
    private bool filled;

    /// <param name="settings">Its d_in, batches and order are everyone's.</param>
    /// <exception cref="ArgumentException">A setting, or a row that is not in the file.</exception>
    /// <exception cref="InvalidDataException">Activations that do not vary or are not finite.</exception>
    public TrainingBatches(SaeTrainingSettings settings, ActivationFile activations, Column<int> trainRows, Lanes lanes)
    {
        this.settings = settings.Validate();
        (this.activations, rows, Lanes) = (activations, trainRows, lanes);
        if (activations.Dim != settings.DIn)
            throw new ArgumentException($"DIn is {settings.DIn}, but {activations.Path} has rows of {activations.Dim}", nameof(settings));
        if (trainRows.Length == 0)
            throw new ArgumentException("there is no row to train on", nameof(trainRows));
        foreach (var row in trainRows)
            if (row < 0 || row >= activations.Rows)
                throw new ArgumentException($"row {row} is not in {activations.Path}, which has {activations.Rows}", nameof(trainRows));
        stride = SaeTrainingSettings.Padded(settings.DIn);
        batch = new((long)settings.BatchTokens * stride);
        (mean, zeros) = (new(stride), new(stride));
        (Scale, Variance) = Standardise();
    }

    public Lanes Lanes { get; }

    /// <summary>s = sqrt(d) / mean ‖x - mean‖ over the sample.</summary>
    public float Scale { get; }

    /// <summary>mean ‖s (x - mean)‖² over the sample.</summary>
    public double Variance { get; }

    public ReadOnlySpan<float> Mean => mean.Slice(0, settings.DIn);    // [d]

    /// <param name="settingsHash">Of all that is trained on these batches.</param>
    public RunIdentity Identity(string settingsHash) =>
        new(settingsHash, Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(rows.Span))), Mean.ToArray(), Scale, Variance);

    /// <summary>
    /// Centre and scale from a sample of the rows: their mean, and s = sqrt(d) / mean ‖x - mean‖.
    /// </summary>
    /// <returns>s, and Var = mean ‖s (x - mean)‖².</returns>
    private (float Scale, double Variance) Standardise()
    {
        var permutation = new IndexPermutation(rows.Length, CounterRandom.Key(settings.OrderSeed, SampleStream, 0));
        var sample = new int[Math.Min(rows.Length, SampleRows)];
        for (var i = 0; i < sample.Length; i++)
            sample[i] = rows.Length <= SampleRows ? rows[i] : rows[permutation[i]];
        Array.Sort(sample);   // in file order: fewer reads

        var sum = new double[settings.DIn];
        ForSample(sample, (_, x) =>
        {
            for (var j = 0; j < x.Length; j++)
                sum[j] += x[j];
        });
        for (var j = 0; j < sum.Length; j++)
            mean.Pointer[j] = (float)(sum[j] / sample.Length);
        var (norms, squares) = (0.0, 0.0);
        ForSample(sample, (row, x) =>
        {
            var square = 0.0;
            for (var j = 0; j < x.Length; j++)
            {
                var difference = (double)x[j] - mean.Pointer[j];
                square += difference * difference;
            }
            if (!double.IsFinite(square))
                throw new InvalidDataException($"row {row} of {activations.Path} is not finite");
            norms += Math.Sqrt(square);
            squares += square;
        });
        var s = (float)(Math.Sqrt(settings.DIn) * sample.Length / norms);
        if (!float.IsFinite(s) || s == 0)
            throw new InvalidDataException($"the {sample.Length} sampled rows of {activations.Path} do not vary:"
                + $" mean distance from their mean {norms / sample.Length}");
        return (s, s * (double)s * squares / sample.Length);
    }

    private void ForSample(int[] sample, Action<int, ReadOnlySpan<float>> look)
    {
        const int Block = 1024;
        var block = new float[Block * settings.DIn];
        for (var first = 0; first < sample.Length; first += Block)
        {
            var some = sample.AsSpan(first, Math.Min(Block, sample.Length - first));
            activations.Gather(some, block.AsSpan(0, some.Length * settings.DIn));
            for (var i = 0; i < some.Length; i++)
                look(some[i], block.AsSpan(i * settings.DIn, settings.DIn));
        }
    }

    /// <summary>The batch from now on is the B rows from position <paramref name="start"/> of the shuffled epochs on.</summary>
    public void MoveTo(long start) => (position, filled) = (start, false);

    /// <summary>s (x - mean), [B, stride].</summary>
    public ReadOnlySpan<float> Scaled()
    {
        if (!filled)
            Fill(zeros);
        return batch.Span;
    }

    /// <summary>The same less <paramref name="bDec"/>: good until the next call.</summary>
    /// <param name="bDec">[stride]</param>
    /// <param name="last">Whether nobody else wants this batch, which is then overwritten.</param>
    public float* Centred(AlignedBuffer<float> bDec, bool last)
    {
        if (last && !filled)
        {
            Fill(bDec);
            return batch.Pointer;
        }
        Scaled();
        var source = batch.Pointer;
        var target = (last ? batch : centred ??= new((long)settings.BatchTokens * stride)).Pointer;
        Lanes.For((settings.BatchTokens + RowBlock - 1) / RowBlock, (block, _) =>
        {
            for (long at = (long)block * RowBlock * stride; at < Math.Min(settings.BatchTokens, (block + 1L) * RowBlock) * stride; at += stride)
                for (var j = 0; j < stride; j += 8)
                    (Vector256.Load(source + at + j) - Vector256.Load(bDec.Pointer + j)).Store(target + at + j);
        });
        return target;
    }

    private void Fill(AlignedBuffer<float> less)
    {
        var bad = -1;
        Lanes.For((settings.BatchTokens + RowBlock - 1) / RowBlock, (block, _) =>
        {
            for (var i = block * RowBlock; i < Math.Min(settings.BatchTokens, (block + 1) * RowBlock); i++)
            {
                var (epoch, at) = Math.DivRem(position + i, rows.Length);
                var permutation = new IndexPermutation(rows.Length, CounterRandom.Key(settings.OrderSeed, ShuffleStream, (ulong)epoch));
                var row = rows[permutation[at]];
                activations.Read(row, batch.Slice((long)i * stride, settings.DIn));
                var x = batch.Pointer + (long)i * stride;
                for (var j = 0; j < stride; j += 8)
                    ((Vector256.Load(x + j) - Vector256.Load(mean.Pointer + j)) * Scale - Vector256.Load(less.Pointer + j)).Store(x + j);
                if (!float.IsFinite(RowKernel.Dot(x, x, stride)))
                    bad = row;
            }
        });
        if (bad >= 0)
            throw new InvalidDataException($"row {bad} of {activations.Path} is not finite, or too large for float32 squares");
        filled = true;
    }
}
