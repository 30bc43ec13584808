using SaeService.Columns;

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
/// Trains one sparse autoencoder on rows of an activation file (recipe: Gao et al. 2024 with a data-dependent centre and scale, dead latents
/// counted in tokens by positive values, and encoder gradient for the auxiliary loss). Everything is a function of settings, activations and
/// rows: the number of threads does not matter, and a run that is resumed from a checkpoint ends in the same bits as one that was not
/// disturbed. <see cref="SaeSweep"/> trains several in one pass.
/// </summary>
public sealed unsafe class SaeTrainer
{
    private const int CurvePoints = 64;

    private readonly TrainingBatches batches;
    private readonly ITrainingStep step;
    private readonly int[] dead;
    private readonly TrainerState state;

    /// <param name="settings">Checked here.</param>
    /// <param name="activations">Stays the caller's; must outlive the trainer.</param>
    /// <param name="trainRows">Rows to train on. Not copied.</param>
    /// <param name="threads">Absent: all processors.</param>
    /// <exception cref="ArgumentException">A setting, or a row that is not in the file.</exception>
    /// <exception cref="InvalidDataException">Activations that do not vary or are not finite.</exception>
    public SaeTrainer(SaeTrainingSettings settings, ActivationFile activations, Column<int> trainRows, int? threads = null)
        : this(settings, new TrainingBatches(settings, activations, trainRows, new Lanes(threads)))
    {
    }

    /// <param name="settings">With the order and the size of the batches.</param>
    /// <param name="batches">May be others' too.</param>
    /// <param name="begin">Where its steps are computed; absent: here.</param>
    internal SaeTrainer(SaeTrainingSettings settings, TrainingBatches batches, Func<SaeTrainingSettings, TrainerState, ITrainingStep>? begin = null)
    {
        Settings = settings.Validate();
        this.batches = batches;
        dead = new int[settings.DSae];
        state = new(settings.DIn, settings.DSae);
        state.Parameters.Initialise(settings.Seed, batches.Lanes);
        step = begin?.Invoke(settings, state) ?? new KernelStep(settings, state, batches.Lanes);
    }

    public SaeTrainingSettings Settings { get; }
    public long TokensSeen => state.Step * Settings.BatchTokens;
    public long TotalTokens => Settings.TotalTokens;
    public IReadOnlyList<CurvePoint> Curve => state.Curve;

    /// <summary>Global norm of the last gradient, before it was clipped.</summary>
    public double GradientNorm { get; private set; }

    /// <summary>Latents dead at the last step.</summary>
    public int DeadLatents { get; private set; }

    /// <summary>Brought up to date, where the device is another.</summary>
    internal TrainerState State
    {
        get
        {
            step.Save(state);
            return state;
        }
    }

    /// <summary>Goes on from what was read into the state.</summary>
    internal void Continue() => step.Load(state);

    /// <summary>Frees what a device holds; there is nothing to free on a CPU.</summary>
    internal void Release() => step.Dispose();

    /// <summary>Takes one optimisation step; false where the budget is used up.</summary>
    /// <exception cref="InvalidOperationException">Loss or gradient is no longer finite.</exception>
    public bool Step()
    {
        if (state.Step >= Settings.Steps)
            return false;
        batches.MoveTo(TokensSeen);
        return Step(last: true);
    }

    /// <summary>One of the steps that <see cref="Settings"/> has, on the batch that the pass is at.</summary>
    /// <param name="last">Whether nobody else wants it.</param>
    internal bool Step(bool last)
    {
        DeadLatents = 0;
        for (var f = 0; f < state.SinceFired.Length; f++)
            if (state.SinceFired[f] >= Settings.DeadAfter)
                dead[DeadLatents++] = f;
        var measures = step.Compute(batches, last, dead.AsSpan(0, DeadLatents));
        GradientNorm = measures.GradientNorm;
        if (!double.IsFinite(measures.SquaredError) || !double.IsFinite(GradientNorm))
            throw new InvalidOperationException($"training diverged at token {TokensSeen}: squared error {measures.SquaredError}, gradient norm {GradientNorm}"
                + $" (learning rate {Settings.LearningRateAt(state.Step)})");
        var factor = GradientNorm > Settings.ClipNorm ? Settings.ClipNorm / (GradientNorm + 1e-6) : 1;
        step.Apply(factor, Settings.LearningRateAt(state.Step), state.Step + 1);
        for (var f = 0; f < state.SinceFired.Length; f++)
            state.SinceFired[f] = step.Fired(f) ? 0 : state.SinceFired[f] + Settings.BatchTokens;
        Record(measures);
        state.Step++;
        return state.Step < Settings.Steps;
    }

    /// <summary>The autoencoder as it is now, in the units of the activations; of a batch's top-k as a JumpReLU.</summary>
    /// <remarks>
    /// The trainer works on s (x - mean). ReLU and top-k are homogeneous, so with latents divided by s, W_enc and the unit rows of W_dec stay as
    /// they are, b_enc becomes b_enc / s and b_dec becomes mean + b_dec / s. In use there is no batch to choose from: what a latent must reach is
    /// the moving average of the least value that batches kept.
    /// </remarks>
    public SparseAutoencoder Autoencoder()
    {
        step.Save(state);
        var (scale, parameters) = (batches.Scale, state.Parameters);
        var folded = new SaeParameters(Settings.DIn, Settings.DSae);
        parameters.WEnc.Span.CopyTo(folded.WEnc.Span);
        parameters.WDec.Span.CopyTo(folded.WDec.Span);
        for (var f = 0; f < Settings.DSae; f++)
            folded.BEnc.Pointer[f] = parameters.BEnc.Pointer[f] / scale;
        for (var j = 0; j < Settings.DIn; j++)
            folded.BDec.Pointer[j] = batches.Mean[j] + parameters.BDec.Pointer[j] / scale;
        var threshold = (float)(state.Threshold / scale);
        if (Settings.Architecture == TrainingArchitecture.TopK)
            return new(folded, Settings.K, scale, threshold, batches.Lanes);
        var thresholds = new float[Settings.DSae];
        thresholds.AsSpan().Fill(threshold);
        return new(folded, 0, scale, null, batches.Lanes) { Thresholds = thresholds };
    }

    /// <summary>Writes weights, optimiser, counters, curve and position as one file, which replaces an older one in one step.</summary>
    public void SaveCheckpoint(string path) => TrainerCheckpoint.Save(path, [State], batches.Identity(Settings.Hash()));

    /// <summary>Continues where <see cref="SaveCheckpoint"/> left off.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is of other settings, rows or activations, or is damaged.</exception>
    public static SaeTrainer Resume(string path, SaeTrainingSettings settings, ActivationFile activations, Column<int> trainRows, int? threads = null)
    {
        var trainer = new SaeTrainer(settings, activations, trainRows, threads);
        TrainerCheckpoint.Load(path, [trainer.state], trainer.batches.Identity(settings.Hash()));
        return trainer;
    }

    private void Record(BatchMeasures m)
    {
        state.Accumulate(m, 1 - 1 / Math.Clamp(Settings.Steps / 20.0, 1, 1000));
        var (before, after) = (state.Step * CurvePoints / Settings.Steps, (state.Step + 1) * CurvePoints / Settings.Steps);
        if (after == before)
            return;
        var tokens = (double)state.Batches * Settings.BatchTokens;
        state.Curve.Add(new(TokensSeen + Settings.BatchTokens, state.SquaredError / (tokens * batches.Variance), state.AuxLoss / state.Batches, state.NonZeros / tokens,
            state.SinceFired.Count(t => t >= Settings.DeadAfter) / (double)Settings.DSae, Settings.LearningRateAt(state.Step)));
        state.ClearAccumulators();
    }
}
