using SaeService.Autoencoders;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>
/// Seconds of each stage, all layers together: its work over rates that fit a small model's analysis on two quiet cores (x86-64 with AVX2). They are a
/// start: what this service's own finished jobs took, stage by stage, corrects them.
/// </summary>
internal static class StageTime
{
    // Floating-point operations a second of one core: in a model's forward pass, in the encoder's product, in large plain products, in probes, in covariances.
    private const double ModelRate = 10e9, EncoderRate = 50e9, ProductRate = 40e9, ProbeRate = 10e9, CovarianceRate = 5e9;

    // Every stage: claim, publish, ring for the next.
    private const double Overhead = 0.15;

    public static Dictionary<StageKind, double> Of(JobSize size, WorkerShape worker)
    {
        var sae = JobShapes.Sae(size);
        double cores = worker.Threads, d = size.Model.DModel, f = sae.DSae, layers = size.Layers, words = size.Words, tokens = size.Tokens;
        var codes = JobShapes.NonZeros(size);
        var pieces = JobShapes.WordTokens(size);
        var labels = size.Labels.Sum(x => (double)x);
        // On average half of the blocks, and the head, for four variants.
        var predictions = JobModes.Splices(size.Request.Mode!) ? Math.Min(JobModes.SplicedPredictions, 0.2 * tokens) : 0;
        var spliced = 4 * predictions * 2 * (size.Model.Parameters / 2.0 + size.Model.VocabularySize * d) / (ModelRate * cores);
        var random = words * f * 2 * d / (ProductRate * cores) + words * f * 4e-9 / cores; // a dictionary's projections, and the highest of each
        var counting = size.Labels.Count * codes * 40e-9;
        var blocks = size.Model.Parameters - (double)size.Model.VocabularySize * d;
        // A step: the encoder's product, k rows of decoder forward and backward, and Adam over all latents.
        double Training(SaeTrainingSettings s) => s.TotalTokens * (2 * d * s.DSae + 16 * d * s.K) / (EncoderRate * cores) + s.Steps * s.DSae * d * 2 * 2e-9 / cores;
        var capture = Overhead + tokens * (2 * blocks / (ModelRate * cores) + layers * d * 4 / 1e9);
        var encode = pieces * 2 * d * f / (EncoderRate * cores) + codes * 40e-9;
        var inform = JobShapes.ProbeWords(size) * d * labels * 4 * 3 * 60 / (ProbeRate * cores);
        var of = new Dictionary<StageKind, double>
        {
            [StageKind.Prepare] = Overhead + words * 25e-6 + tokens * 3e-6 + (size.Model.WeightBytes ?? size.Model.Parameters * 4) / 1e9,
            [StageKind.Capture] = capture,
            [StageKind.Train] = layers * (Overhead + JobShapes.Saes(size).Sum(Training)),
            [StageKind.Encode] = layers * (Overhead + encode),
            [StageKind.Label] = layers * (Overhead + counting + f * 400e-6),
            [StageKind.Inform] = layers * (Overhead + inform * Estimators(size.Request)),
            [StageKind.Control] = layers * (Overhead + JobModes.RandomRepeats(size.Request.Mode!) * (random + counting) + (JobShapes.Saes(size).Count - 1) * (encode + counting) + counting + spliced),
            [StageKind.Conclude] = Overhead + layers * labels * 0.002,
        };
        var training = Training(JobShapes.ComparableSae(size));
        if (JobModes.Comparisons(size.Request.Mode!))
            of[StageKind.Dictionaries] = layers * (Overhead + Components(size, cores) + training + 2 * encode + 8 * counting
                + 6 * words * 2 * d * 2 * d / (ProductRate * cores));
        if (JobModes.Untrained(size.Request.Mode!))
            AddUntrained(StageKind.UntrainedCapture, StageKind.Untrained, size.Layers);
        if (JobShapes.PermutedLayers(size) > 0)
            AddUntrained(StageKind.PermutedCapture, StageKind.Permuted, JobShapes.PermutedLayers(size));
        return of;

        void AddUntrained(StageKind capturing, StageKind analysing, int measured)
        {
            of[capturing] = capture + size.Model.Parameters * 30e-9 / cores;
            // The probes' penalty is chosen at every layer: about as much again.
            of[analysing] = measured * (Overhead + training + encode + counting + 2 * inform);
        }
    }

    /// <summary>Covariance in float64, and about 60 iterations of ICA, each with two products of the data and a rotation of the size of its components.</summary>
    private static double Components(JobSize size, double cores)
    {
        double d = size.Model.DModel, c = Math.Min(d, JobShapes.MostComponents), n = Math.Min(size.Tokens, JobShapes.MostVectors);
        return Math.Min(size.Tokens, JobShapes.MostTokens) * d * d / (CovarianceRate * cores)
            + 60 * (4 * n * c * c / (ProductRate * cores) + 10 * c * c * c / 10e9);
    }

    /// <summary>What is measured of information, in units of the linear probe with its controls: as it was on 20 000 words of 768 dimensions and 17 labels.</summary>
    private static double Estimators(JobRequest request) =>
        (request.Information?.Target == "both" ? 2 : 1) + (JobModes.RanksDimensions(request.Mode!) ? 0.5 : 0) + (JobModes.SlowEstimators(request.Mode!) ? 3 : 0);
}
