using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;

namespace SaeService.Autoencoders;

/// <summary>One point of the training curve: averages over the batches since the point before.</summary>
/// <param name="Tokens">Tokens seen.</param>
/// <param name="Fvu">Squared error over the variance of the sample that centre and scale come from.</param>
/// <param name="AuxLoss">Error of the dead latents on the residual, over the residual's variance; 0 where none was dead.</param>
/// <param name="L0">Latents active on a token.</param>
/// <param name="DeadShare">Share of latents that have been silent for <see cref="SaeTrainingSettings.DeadAfter"/> tokens.</param>
/// <param name="LearningRate">Of the last step.</param>
public readonly record struct CurvePoint(long Tokens, double Fvu, double AuxLoss, double L0, double DeadShare, double LearningRate);

/// <summary>
/// Trains one TopK autoencoder on rows of an activation file (recipe: Gao et al. 2024 with a data-dependent centre and scale, dead latents
/// counted in tokens by positive values, and encoder gradient for the auxiliary loss). Everything is a function of settings, activations and
/// rows: the number of threads does not matter, and a run that is resumed from a checkpoint ends in the same bits as one that was not
/// disturbed.
/// </summary>
public sealed unsafe class SaeTrainer
{
    private const int SampleRows = 65_536, RowBlock = 64, CurvePoints = 64;
    private const ulong SampleStream = 2, ShuffleStream = 3;

    private readonly ActivationFile activations;
    private readonly int[] rows;
    private readonly Lanes lanes;
    private readonly int stride;
    private readonly SaeParameters parameters;
    private readonly SaeGradient gradient;
    private readonly Adam adam;
    private readonly AlignedBuffer<float> batch;   // [B, stride]
    private readonly AlignedBuffer<float> mean;    // [stride]
    private readonly int[] dead;
    private readonly TrainerState state;
    private readonly float scale;
    private readonly double variance;

    /// <param name="settings">Checked here.</param>
    /// <param name="activations">Stays the caller's; must outlive the trainer.</param>
    /// <param name="trainRows">Rows to train on. Not copied.</param>
    /// <param name="threads">Absent: all processors.</param>
    /// <exception cref="ArgumentException">A setting, or a row that is not in the file.</exception>
    /// <exception cref="InvalidDataException">Activations that do not vary or are not finite.</exception>
    public SaeTrainer(SaeTrainingSettings settings, ActivationFile activations, int[] trainRows, int? threads = null)
    {
        Settings = settings.Validate();
        (this.activations, rows, lanes) = (activations, trainRows, new Lanes(threads));
        if (activations.Dim != settings.DIn)
            throw new ArgumentException($"DIn is {settings.DIn}, but {activations.Path} has rows of {activations.Dim}", nameof(settings));
        if (trainRows.Length == 0)
            throw new ArgumentException("there is no row to train on", nameof(trainRows));
        foreach (var row in trainRows)
            if (row < 0 || row >= activations.Rows)
                throw new ArgumentException($"row {row} is not in {activations.Path}, which has {activations.Rows}", nameof(trainRows));
        parameters = new(settings.DIn, settings.DSae);
        stride = parameters.Stride;
        gradient = new(settings, parameters, lanes);
        adam = new(parameters, lanes);
        batch = new((long)settings.BatchTokens * stride);
        mean = new(stride);
        dead = new int[settings.DSae];
        state = new(parameters, adam.First, adam.Second);
        (scale, variance) = Standardise();
        parameters.Initialise(settings.Seed, lanes);
    }

    public SaeTrainingSettings Settings { get; }
    public long TokensSeen => state.Step * Settings.BatchTokens;
    public long TotalTokens => Settings.TotalTokens;
    public IReadOnlyList<CurvePoint> Curve => state.Curve;

    /// <summary>Global norm of the last gradient, before it was clipped.</summary>
    public double GradientNorm { get; private set; }

    /// <summary>Latents dead at the last step.</summary>
    public int DeadLatents { get; private set; }

    internal TrainerState State => state;

    /// <summary>Takes one optimisation step; false where the budget is used up.</summary>
    /// <exception cref="InvalidOperationException">Loss or gradient is no longer finite.</exception>
    public bool Step()
    {
        if (state.Step >= Settings.Steps)
            return false;
        FillBatch();
        DeadLatents = 0;
        for (var f = 0; f < state.SinceFired.Length; f++)
            if (state.SinceFired[f] >= Settings.DeadAfter)
                dead[DeadLatents++] = f;
        var measures = gradient.Compute(batch.Pointer, Settings.BatchTokens, variance, dead.AsSpan(0, DeadLatents));
        GradientNorm = measures.GradientNorm;
        if (!double.IsFinite(measures.SquaredError) || !double.IsFinite(GradientNorm))
            throw new InvalidOperationException($"training diverged at token {TokensSeen}: squared error {measures.SquaredError}, gradient norm {GradientNorm}"
                + $" (learning rate {Settings.LearningRateAt(state.Step)})");
        var factor = GradientNorm > Settings.ClipNorm ? Settings.ClipNorm / (GradientNorm + 1e-6) : 1;
        adam.Step(gradient.Gradient, gradient.Touched, factor, Settings.LearningRateAt(state.Step), state.Step + 1);
        for (var f = 0; f < state.SinceFired.Length; f++)
            state.SinceFired[f] = gradient.Fired(f) ? 0 : state.SinceFired[f] + Settings.BatchTokens;
        Record(measures);
        state.Step++;
        return state.Step < Settings.Steps;
    }

    /// <summary>The autoencoder as it is now, in the units of the activations.</summary>
    /// <remarks>
    /// The trainer works on s (x - mean). ReLU and top-k are homogeneous, so with latents divided by s, W_enc and the unit rows of W_dec stay as
    /// they are, b_enc becomes b_enc / s and b_dec becomes mean + b_dec / s.
    /// </remarks>
    public SparseAutoencoder Autoencoder()
    {
        var folded = new SaeParameters(Settings.DIn, Settings.DSae);
        parameters.WEnc.Span.CopyTo(folded.WEnc.Span);
        parameters.WDec.Span.CopyTo(folded.WDec.Span);
        for (var f = 0; f < Settings.DSae; f++)
            folded.BEnc.Pointer[f] = parameters.BEnc.Pointer[f] / scale;
        for (var j = 0; j < Settings.DIn; j++)
            folded.BDec.Pointer[j] = mean.Pointer[j] + parameters.BDec.Pointer[j] / scale;
        return new(folded, Settings.K, scale, (float)(state.Threshold / scale), lanes);
    }

    /// <summary>Writes weights, optimiser, counters, curve and position as one file, which replaces an older one in one step.</summary>
    public void SaveCheckpoint(string path) => TrainerCheckpoint.Save(path, state, Identity());

    /// <summary>Continues where <see cref="SaveCheckpoint"/> left off.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is of other settings, rows or activations, or is damaged.</exception>
    public static SaeTrainer Resume(string path, SaeTrainingSettings settings, ActivationFile activations, int[] trainRows, int? threads = null)
    {
        var trainer = new SaeTrainer(settings, activations, trainRows, threads);
        TrainerCheckpoint.Load(path, trainer.state, trainer.Identity());
        return trainer;
    }

    private RunIdentity Identity() => new(
        Settings.Hash(),
        Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<int>(rows))),
        mean.Slice(0, Settings.DIn).ToArray(), scale, variance);

    /// <summary>
    /// Centre and scale from a sample of the rows: their mean, and s = sqrt(d) / mean ‖x - mean‖.
    /// </summary>
    /// <returns>s, and Var = mean ‖s (x - mean)‖².</returns>
    private (float Scale, double Variance) Standardise()
    {
        var permutation = new IndexPermutation(rows.Length, CounterRandom.Key(Settings.Seed, SampleStream, 0));
        var sample = new int[Math.Min(rows.Length, SampleRows)];
        for (var i = 0; i < sample.Length; i++)
            sample[i] = rows.Length <= SampleRows ? rows[i] : rows[permutation[i]];
        Array.Sort(sample);   // in file order: fewer reads

        var sum = new double[Settings.DIn];
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
        var s = (float)(Math.Sqrt(Settings.DIn) * sample.Length / norms);
        if (!float.IsFinite(s) || s == 0)
            throw new InvalidDataException($"the {sample.Length} sampled rows of {activations.Path} do not vary:"
                + $" mean distance from their mean {norms / sample.Length}");
        return (s, s * (double)s * squares / sample.Length);
    }

    private void ForSample(int[] sample, Action<int, ReadOnlySpan<float>> look)
    {
        const int Block = 1024;
        var block = new float[Block * Settings.DIn];
        for (var first = 0; first < sample.Length; first += Block)
        {
            var some = sample.AsSpan(first, Math.Min(Block, sample.Length - first));
            activations.Gather(some, block.AsSpan(0, some.Length * Settings.DIn));
            for (var i = 0; i < some.Length; i++)
                look(some[i], block.AsSpan(i * Settings.DIn, Settings.DIn));
        }
    }

    /// <summary>The next B rows of the shuffled epochs, as s (x - mean) - b_dec.</summary>
    private void FillBatch()
    {
        var start = TokensSeen;
        var bad = -1;
        lanes.For((Settings.BatchTokens + RowBlock - 1) / RowBlock, (block, _) =>
        {
            for (var i = block * RowBlock; i < Math.Min(Settings.BatchTokens, (block + 1) * RowBlock); i++)
            {
                var (epoch, position) = Math.DivRem(start + i, rows.Length);
                var permutation = new IndexPermutation(rows.Length, CounterRandom.Key(Settings.Seed, ShuffleStream, (ulong)epoch));
                var row = rows[permutation[position]];
                activations.Read(row, batch.Slice((long)i * stride, Settings.DIn));
                var x = batch.Pointer + (long)i * stride;
                for (var j = 0; j < stride; j += 8)
                    ((Vector256.Load(x + j) - Vector256.Load(mean.Pointer + j)) * scale - Vector256.Load(parameters.BDec.Pointer + j)).Store(x + j);
                if (!float.IsFinite(RowKernel.Dot(x, x, stride)))
                    bad = row;
            }
        });
        if (bad >= 0)
            throw new InvalidDataException($"row {bad} of {activations.Path} is not finite, or too large for float32 squares");
    }

    private void Record(BatchMeasures m)
    {
        state.Accumulate(m, 1 - 1 / Math.Clamp(Settings.Steps / 20.0, 1, 1000));
        var (before, after) = (state.Step * CurvePoints / Settings.Steps, (state.Step + 1) * CurvePoints / Settings.Steps);
        if (after == before)
            return;
        var tokens = (double)state.Batches * Settings.BatchTokens;
        state.Curve.Add(new(TokensSeen + Settings.BatchTokens, state.SquaredError / (tokens * variance), state.AuxLoss / state.Batches, state.NonZeros / tokens,
            state.SinceFired.Count(t => t >= Settings.DeadAfter) / (double)Settings.DSae, Settings.LearningRateAt(state.Step)));
        state.ClearAccumulators();
    }
}
