using SaeService.Columns;

namespace SaeService.Autoencoders;

/// <summary>
/// Several autoencoders, of different widths, k, seeds or architectures, trained in one pass over the same activations: every row is read, centred and scaled
/// once. Each ends in the bits that <see cref="SaeTrainer"/> would give it alone with the same <see cref="SaeTrainingSettings.ShuffleSeed"/>.
/// </summary>
public sealed class SaeSweep : IDisposable
{
    private readonly TrainingBatches batches;

    /// <param name="settings">At least one; all with the same d_in, tokens, batches and order.</param>
    /// <param name="activations">Stays the caller's; must outlive the sweep.</param>
    /// <param name="trainRows">Rows to train on. Not copied.</param>
    /// <param name="threads">Absent: all processors.</param>
    /// <exception cref="ArgumentException">A setting, settings that can not share a pass, or a row that is not in the file.</exception>
    /// <exception cref="InvalidDataException">Activations that do not vary or are not finite.</exception>
    public SaeSweep(IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> trainRows, int? threads = null)
        : this(settings, activations, trainRows, threads, null)
    {
    }

    internal SaeSweep(IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> trainRows, int? threads,
        Func<SaeTrainingSettings, TrainerState, ITrainingStep>? begin)
    {
        if (settings.Count == 0)
            throw new ArgumentException("there is nothing to train", nameof(settings));
        var first = settings[0];
        foreach (var other in settings)
            if ((other.DIn, other.Steps, other.BatchTokens, other.OrderSeed) != (first.DIn, first.Steps, first.BatchTokens, first.OrderSeed))
                throw new ArgumentException("autoencoders that share a pass have the same DIn, TrainTokens, BatchTokens and ShuffleSeed", nameof(settings));
        batches = new(first, activations, trainRows, new Lanes(threads));
        Trainers = [.. settings.Select(s => new SaeTrainer(s, batches, begin))];
    }

    /// <summary>One of each settings, in their order. They advance together, by <see cref="Step"/>.</summary>
    public IReadOnlyList<SaeTrainer> Trainers { get; }
    public long TokensSeen => Trainers[0].TokensSeen;
    public long TotalTokens => Trainers[0].TotalTokens;

    /// <summary>Takes one optimisation step of each; false where the budget is used up.</summary>
    /// <exception cref="InvalidOperationException">A loss or gradient is no longer finite.</exception>
    public bool Step()
    {
        if (TokensSeen >= TotalTokens)
            return false;
        batches.MoveTo(TokensSeen);
        var more = false;
        for (var i = 0; i < Trainers.Count; i++)
            more = Trainers[i].Step(last: i == Trainers.Count - 1);
        return more;
    }

    /// <summary>Writes the state of all as one file, which replaces an older one in one step.</summary>
    public void SaveCheckpoint(string path) => TrainerCheckpoint.Save(path, States, Identity);

    /// <summary>Continues where <see cref="SaveCheckpoint"/> left off.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is of other settings, rows or activations, or is damaged.</exception>
    public static SaeSweep Resume(string path, IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> trainRows, int? threads = null) =>
        new SaeSweep(settings, activations, trainRows, threads).ContinueFrom(path);

    internal SaeSweep ContinueFrom(string path)
    {
        try
        {
            TrainerCheckpoint.Load(path, States, Identity);
        }
        catch
        {
            Dispose();
            throw;
        }
        foreach (var trainer in Trainers)
            trainer.Continue();
        return this;
    }

    public void Dispose()
    {
        foreach (var trainer in Trainers)
            trainer.Release();
    }

    private TrainerState[] States => [.. Trainers.Select(t => t.State)];
    private RunIdentity Identity => batches.Identity(string.Join(' ', Trainers.Select(t => t.Settings.Hash())));
}
