namespace SaeService.Autoencoders;

/// <summary>A step of training, where its device computes it: the kernels here on a CPU, libtorch's operators on a GPU.</summary>
internal interface ITrainingStep : IDisposable
{
    /// <summary>Loss and gradient of the batch that <paramref name="batches"/> is at.</summary>
    /// <param name="last">Whether nobody else wants the batch.</param>
    /// <param name="dead">Latents of the auxiliary loss, ascending.</param>
    BatchMeasures Compute(TrainingBatches batches, bool last, ReadOnlySpan<int> dead);

    /// <summary>Adam on that gradient, and unit rows of the decoder.</summary>
    /// <param name="factor">Multiplies the gradient (clipping).</param>
    /// <param name="rate">Learning rate of this step.</param>
    /// <param name="step">Number of this step, from 1.</param>
    void Apply(double factor, double rate, long step);

    /// <summary>Whether a latent had a value above 0 in the last batch.</summary>
    bool Fired(int latent);

    /// <summary>Parameters and moments as they are now, into the state.</summary>
    void Save(TrainerState state);

    /// <summary>Goes on from what the state has.</summary>
    void Load(TrainerState state);
}

/// <summary>The kernels work on the state itself.</summary>
internal sealed unsafe class KernelStep(SaeTrainingSettings settings, TrainerState state, Lanes lanes) : ITrainingStep
{
    private readonly SaeGradient gradient = new(settings, state.Parameters, lanes);
    private readonly Adam adam = new(state.Parameters, state.First, state.Second, lanes);

    public BatchMeasures Compute(TrainingBatches batches, bool last, ReadOnlySpan<int> dead) =>
        gradient.Compute(batches.Centred(state.Parameters.BDec, last), settings.BatchTokens, batches.Variance, dead);

    public void Apply(double factor, double rate, long step) => adam.Step(gradient.Gradient, gradient.Touched, factor, rate, step);

    public bool Fired(int latent) => gradient.Fired(latent);

    public void Save(TrainerState state)
    {
    }

    public void Load(TrainerState state)
    {
    }

    public void Dispose()
    {
    }
}
