using System.Diagnostics;

namespace SaeService.Autoencoders.Toy;

/// <summary>An autoencoder of the benchmark.</summary>
/// <param name="Generator">Name of its data.</param>
/// <param name="N">Latents.</param>
/// <param name="K">Latents kept for a row.</param>
public sealed record ToyCase(string Generator, int N, int K);

/// <summary>What all cases of a run share.</summary>
/// <param name="Steps">Batches of training.</param>
/// <param name="Seed">Of the data, and of the autoencoder and the order of its rows.</param>
public sealed record ToyRun(int Steps = 1500, int Seed = 0)
{
    public TrainingArchitecture Architecture { get; init; }

    /// <summary>Rows of a batch.</summary>
    public int Batch { get; init; } = 4096;

    /// <summary>
    /// Distinct blocks of 4096 rows that are trained on, in several shuffled epochs where that is less than the steps ask for: a file of 1 GB and not of 6. The
    /// others' figures are of samples that are all new.
    /// </summary>
    public int TrainBlocks { get; init; } = 256;

    /// <summary>Peak learning rate; absent: the trainer's own, <see cref="SaeTrainingSettings.DefaultLearningRate"/>.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Absent: all processors.</summary>
    public int? Threads { get; init; }
}

/// <summary>One trained autoencoder, held against the truth and judged on rows that it was not trained on.</summary>
/// <param name="Architecture"><c>topk</c>, <c>batchtopk</c> or <c>matryoshka_batchtopk</c>.</param>
/// <param name="Dead">Latents silent on the held-out rows.</param>
/// <param name="TrueL0">Features that fire on a held-out row.</param>
/// <param name="NormRatio">Mean ‖x̂‖ / ‖x‖: below 1, the reconstruction shrinks.</param>
/// <param name="RandomMmcs">MMCS of the n random unit directions that training began with: the floor.</param>
/// <param name="RandomMcc">MCC of the same.</param>
/// <param name="Seconds">Of training alone.</param>
/// <param name="GenerateSeconds">Of writing the file of rows, which other autoencoders on the same data share.</param>
/// <param name="Peers">Figures of others for the same generator, n and k.</param>
public sealed record ToyResult(string Generator, string Architecture, int N, int K, int Seed, int Steps, int Batch, long DistinctRows, double LearningRate,
    double Mmcs, double Mcc, double Uniqueness, double Fvu, int Dead, double L0, double TrueL0, double NormRatio,
    double Precision, double Recall, double F1, double RandomMmcs, double RandomMcc, double Seconds, double GenerateSeconds,
    IReadOnlyList<PeerResult> Peers);

/// <summary>
/// How well autoencoders find a dictionary that is known: the toy data of the base paper, as its code has them and as its text means them, and SynthSAEBench
/// scaled down. The command <c>sae bench toy</c>.
/// </summary>
public static class ToyBenchmark
{
    /// <summary>Held-out blocks: 40,960 rows, as many as the base paper's code counts dead latents on.</summary>
    private const int TestBlocks = 10;

    /// <summary>
    /// The cases of a run that names none. n and k of the correlated ones are those that others were measured at; 0.97 features fire on a row of the uncorrelated
    /// data, and 8.0 of the 256 most frequent ones on a row of the synthetic model, whose own recipe chooses k = 25 for 4096 latents by the same count.
    /// </summary>
    public static IReadOnlyList<ToyCase> Cases { get; } =
    [
        new("correlated", 512, 5),
        new("correlated", 1024, 8),
        new("uncorrelated", 512, 2),
        new("correlated-fixed", 512, 5),
        new("uncorrelated-fixed", 512, 5),
        new(SynthGenerator.ScaledName, 256, 8),
    ];

    public static IReadOnlyList<string> Generators { get; } = [.. Cases.Select(c => c.Generator).Distinct()];

    /// <exception cref="ArgumentException">No generator has the name; the message lists those there are.</exception>
    public static ToyGenerator Generator(string name, long seed)
    {
        foreach (var firing in Enum.GetValues<ToyFiring>())
            if (BasePaperGenerator.NameOf(firing) == name)
                return new BasePaperGenerator(firing, seed);
        return name == SynthGenerator.ScaledName
            ? new SynthGenerator(seed, new())
            : throw new ArgumentException($"there is no generator '{name}'; it must be one of {string.Join(", ", Generators)}", nameof(name));
    }

    /// <summary>Runs the cases, those on the same data one after another on the same file.</summary>
    /// <param name="cases">In any order.</param>
    /// <param name="run">Steps, seed and settings.</param>
    /// <param name="folder">For the file of rows (1.1 GB at the defaults), which is deleted before the next.</param>
    /// <param name="done">Called with each result as it is had.</param>
    /// <param name="cancel">Stops between steps.</param>
    /// <exception cref="ArgumentException">A case or setting that cannot be; the message names it.</exception>
    public static void Run(IReadOnlyList<ToyCase> cases, ToyRun run, string folder, Action<ToyResult> done, CancellationToken cancel = default)
    {
        if (run.TrainBlocks is < 1 or > 100_000)
            throw new ArgumentException($"TrainBlocks is {run.TrainBlocks}; it must be from 1 to 100000", nameof(run));
        foreach (var same in cases.GroupBy(c => c.Generator))
        {
            var watch = Stopwatch.StartNew();
            var generator = Generator(same.Key, run.Seed);
            foreach (var toy in same)
                SettingsOf(toy, run, generator.Dim);   // refused before anything is generated
            var path = Path.Combine(folder, $"{generator.Name}-{Guid.NewGuid():N}.f32");
            try
            {
                generator.Write(path, run.TrainBlocks + TestBlocks, run.Threads, cancel);
                var seconds = watch.Elapsed.TotalSeconds;
                using var activations = ActivationFile.Open(path, generator.Dim);
                foreach (var toy in same)
                    done(Train(toy, run, generator, activations, cancel) with { GenerateSeconds = seconds });
            }
            finally
            {
                File.Delete(path);
            }
        }
    }

    private static SaeTrainingSettings SettingsOf(ToyCase toy, ToyRun run, int dim) =>
        new SaeTrainingSettings(dim, toy.N, toy.K, run.Seed, (long)run.Steps * run.Batch, run.Batch, run.LearningRate)
        {
            Architecture = run.Architecture,
        }.Validate();

    private static ToyResult Train(ToyCase toy, ToyRun run, ToyGenerator generator, ActivationFile activations, CancellationToken cancel)
    {
        var watch = Stopwatch.StartNew();
        var settings = SettingsOf(toy, run, generator.Dim);
        var trainRows = run.TrainBlocks * ToyGenerator.BlockRows;
        var trainer = new SaeTrainer(settings, activations, [.. Enumerable.Range(0, trainRows)], run.Threads);
        var floor = Recovery(generator, trainer.Autoencoder());
        do
            cancel.ThrowIfCancellationRequested();
        while (trainer.Step());
        var sae = trainer.Autoencoder();
        var seconds = watch.Elapsed.TotalSeconds;

        var found = Recovery(generator, sae);
        var quality = Quality.Evaluate(sae, activations, [.. Enumerable.Range(trainRows, TestBlocks * ToyGenerator.BlockRows)]);
        var (agreement, trueL0) = Agreement(generator, sae, found, run.TrainBlocks);
        return new(toy.Generator, Architectures.NameOf(run.Architecture), toy.N, toy.K, run.Seed, run.Steps, run.Batch, trainRows, settings.PeakLearningRate,
            found.Mmcs, found.Mcc, found.Uniqueness, quality.Fvu, quality.Dead, quality.L0, trueL0, quality.NormRatio,
            agreement.Precision, agreement.Recall, agreement.F1, floor.Mmcs, floor.Mcc, seconds, 0,
            [.. PeerResult.All.Where(p => p.Generator == toy.Generator && p.N == toy.N && (p.K ?? toy.K) == toy.K)]);
    }

    private static DictionaryRecovery Recovery(ToyGenerator generator, SparseAutoencoder sae) =>
        DictionaryRecovery.Compare(generator.Direction, generator.Features, sae.DecoderRow, sae.DSae);

    private static (FiringAgreement Agreement, double TrueL0) Agreement(ToyGenerator generator, SparseAutoencoder sae, DictionaryRecovery found, int firstBlock)
    {
        var agreement = new FiringAgreement(generator.Features, found.Nearest);
        var x = new float[ToyGenerator.BlockRows * generator.Dim];
        var active = 0L;
        for (var block = firstBlock; block < firstBlock + TestBlocks; block++)
        {
            var truth = generator.Codes(block);
            generator.Render(truth, x);
            agreement.Add(truth, sae.Encode(x, ToyGenerator.BlockRows));
            active += truth.NonZeros;
        }
        return (agreement, (double)active / (TestBlocks * ToyGenerator.BlockRows));
    }
}
