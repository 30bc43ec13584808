using SaeService.Autoencoders;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>Bytes that each stage holds at its peak, on top of what a worker holds that does nothing.</summary>
internal static class StageMemory
{
    /// <summary>.NET, libtorch, the database client and the queue, once all have been used: measured.</summary>
    public const long Runtime = 350L << 20;

    // Dead objects that the collector has not come to, of any stage, and of a latent where random dictionaries are made and judged: measured.
    private const double Garbage = 32 << 20, GarbageOfRandomLatent = 5500;

    public static Dictionary<StageKind, long> Of(JobSize size, WorkerShape worker)
    {
        var sae = JobShapes.Sae(size);
        double d = size.Model.DModel, f = sae.DSae, words = size.Words, tokens = size.Tokens;
        var corpus = Corpus(size);
        var codes = JobShapes.Held(4 * JobShapes.NonZeros(size), 2) + JobShapes.Held(8 * words, 1);
        var weights = SaeMemory.Weights(sae.DIn, sae.DSae);
        var encoding = SaeMemory.Using(sae.DIn, sae.DSae, sae.K, worker.Threads);
        // Which tokens an autoencoder may see: a byte of each layer, and the rows of its own.
        var filters = JobShapes.Held(tokens, size.Layers) + JobShapes.Held(4 * tokens, 2);
        var labelling = Labelling(size, codes);
        var capture = corpus + JobShapes.Held(4 * tokens, size.Layers) + JobShapes.Held(tokens, size.Layers) + PassMemory.CapturingAtOnce(size, worker);
        var trained = JobShapes.ComparableSae(size);
        var training = filters + SaeMemory.Training(trained, worker.Threads) + SaeMemory.Judging(trained, worker.Threads);
        var matching = labelling + 4 * codes + Math.Min(64 << 20, f * Math.Min(words, 2048) * 4) + 2 * f * d * 4 + f * GarbageOfRandomLatent;
        var of = new Dictionary<StageKind, long>
        {
            [StageKind.Prepare] = Bytes(2 * corpus + Tokenizer(size)),
            [StageKind.Capture] = Bytes(capture + Model(size, worker)),
            [StageKind.Train] = Bytes(corpus + filters + SaeMemory.Training(JobShapes.Saes(size), worker.Threads)
                + JobShapes.Saes(size).Max(s => SaeMemory.Judging(s, worker.Threads))),
            [StageKind.Encode] = Bytes(corpus + weights + encoding + codes + 8192 * (d * 4 + sae.K * 16)),
            // Codes by word and by feature, for the labels and some millions of them again for the cards; the vocabulary's directions and their effects.
            [StageKind.Label] = Bytes(corpus + labelling + Math.Min(32 << 20, 8 * JobShapes.NonZeros(size)) + Math.Max(SparseProbing(size, worker),
                weights + Tokenizer(size) + size.Model.VocabularySize * (3 * d + 4 * 512) * 4 + f * 1500)),
            [StageKind.Inform] = Bytes(corpus + Probes(size)),
            // The autoencoder's codes stay while random directions of as many are found, from projections of at most 64 MiB; later the model has its place.
            [StageKind.Control] = Bytes(corpus + Math.Max(
                matching,
                JobModes.Splices(size.Request.Mode!) ? codes + filters + weights + encoding + Model(size, worker) + PassMemory.SplicingAtOnce(size, worker) : 0)),
            [StageKind.Conclude] = Bytes(corpus + JobDisk.Labellings(size) * 3),
        };
        if (JobModes.Comparisons(size.Request.Mode!))
            of[StageKind.Dictionaries] = Bytes(corpus + filters + Math.Max(training, Math.Max(matching, Components(size))));
        // The weights of an untrained model are its own, also where those of the trained one are mapped; permuted ones come of these, read once more.
        var weights32 = worker.OnGpu ? 0 : Math.Min(worker.MaxModelBytes, (double)size.Model.Parameters * worker.BytesPerParameter);
        if (JobModes.Untrained(size.Request.Mode!))
            AddUntrained(StageKind.UntrainedCapture, StageKind.Untrained, weights32);
        if (JobShapes.PermutedLayers(size) > 0)
            AddUntrained(StageKind.PermutedCapture, StageKind.Permuted, weights32 + Model(size, worker));
        return of;

        void AddUntrained(StageKind capturing, StageKind analysing, double model)
        {
            of[capturing] = Bytes(capture + model);
            of[analysing] = Bytes(corpus + Math.Max(training, Math.Max(labelling + codes + weights + encoding, Probes(size))));
        }
    }

    /// <summary>Sums and covariance in float64, and its eigenvectors by LAPACK; or the whitened sample of ICA and matrices of the size of its components.</summary>
    private static double Components(JobSize size)
    {
        double d = size.Model.DModel, c = Math.Min(d, JobShapes.MostComponents), n = Math.Min(size.Tokens, JobShapes.MostVectors);
        return d * d * sizeof(double) * 2 + Math.Max(4 * d * d * sizeof(double), n * (c + 24) * sizeof(float) + 8 * c * c * sizeof(double));
    }

    /// <summary>The packed corpus and what a stage makes of its words: columns, which are held where they are short and lie in files where they are not.</summary>
    private static double Corpus(JobSize size) =>
        JobShapes.Held(4.0 * size.Tokens, 1) + JobShapes.Held(size.Tokens, 1) + JobShapes.Held(4.0 * size.Words, 20 + 3 * size.Labels.Count);

    private static double Tokenizer(JobSize size) => 300.0 * size.Model.VocabularySize;

    /// <summary>Float32 weights are mapped; others are converted, and the file's pages count too.</summary>
    private static double Model(JobSize size, WorkerShape worker)
    {
        if (worker.OnGpu)
            return 0;
        double computed = (double)size.Model.Parameters * worker.BytesPerParameter, stored = size.Model.WeightBytes ?? computed;
        return (stored == computed ? computed : computed + stored) * JobShapes.ModelShare(size, worker);
    }

    /// <summary>
    /// Codes by word and by feature, of the latter those above the features' thresholds again; counts of features by label, of train and held-out words, of
    /// every task.
    /// </summary>
    private static double Labelling(JobSize size, double codes)
    {
        var sae = JobShapes.Sae(size);
        return 3 * codes + size.Labels.Sum(labels => 8.0 * sae.DSae * labels + 500.0 * sae.DSae);
    }

    /// <summary>Differences of means by feature and label; by thread the row of each word, and twenty features, a score and a case of those that have one.</summary>
    private static double SparseProbing(JobSize size, WorkerShape worker) =>
        4.0 * JobShapes.Sae(size).DSae * size.Labels.DefaultIfEmpty(0).Max() + worker.Threads * (JobShapes.Held(4.0 * size.Words, 1) + JobShapes.Held(20.0 * sizeof(double) * size.Words, 1)
            + JobShapes.Held(24.0 * size.Words, 4));

    /// <summary>The train words' vectors, of two probes' designs at a time, and the widest task's solver: 20 pairs, and gradients of 64 chunks.</summary>
    private static double Probes(JobSize size)
    {
        double d = size.Model.DModel + size.Labels.DefaultIfEmpty(0).Max(), labels = size.Labels.DefaultIfEmpty(0).Max() + 8;
        return 2 * JobShapes.ProbeWords(size) * d * sizeof(float) + d * labels * (2 * 20 * sizeof(double) + 64 * sizeof(float))
            + 5 * d * d * sizeof(double);
    }

    private static long Bytes(double bytes) => (long)Math.Ceiling(bytes + Garbage);
}
