using SaeService.Autoencoders;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>Bytes of a GPU's memory that the stages which compute there hold at their peak, on top of what a worker holds there that does nothing.</summary>
internal static class GpuMemory
{
    /// <summary>The driver's context, libtorch's kernels, cuBLAS's workspace: what is commonly seen; it was not measured.</summary>
    public const long Runtime = 600L << 20;

    // Latents whose effects on the vocabulary are computed at a time.
    private const long LatentsAtOnce = 512;

    public static Dictionary<StageKind, long> Of(JobSize size, WorkerShape worker)
    {
        var (mode, trained) = (size.Request.Mode!, DeviceMemory.Training(JobShapes.ComparableSae(size)));
        var model = (long)((double)size.Model.Parameters * worker.BytesPerParameter * JobShapes.ModelShare(size, worker));
        var (vocabulary, length) = ((long)size.Model.VocabularySize, size.Request.ContextLength!.Value);
        var captured = model + (long)PassMemory.OfCapture(size.Model.DModel, length, worker);
        var of = new Dictionary<StageKind, long>
        {
            [StageKind.Capture] = captured,
            // One trainer after another takes a step, each with all that it holds.
            [StageKind.Train] = size.Request.Sae is { ArePretrained: true } ? 0 : JobShapes.Saes(size).Sum(s => DeviceMemory.Training(s)),
            // The embedding and the unembedding, this as it is stored, with its gain and without its mean in float32; effects, and the largest of them.
            [StageKind.Label] = vocabulary * (size.Model.DModel * (2L * worker.BytesPerParameter + 3 * sizeof(float)) + 2 * LatentsAtOnce * sizeof(float)),
        };
        if (JobModes.Splices(mode))
            of[StageKind.Control] = model + (long)PassMemory.OfSplicing(size.Model.DModel, size.Model.VocabularySize, length, worker);
        if (JobModes.Comparisons(mode))
            of[StageKind.Dictionaries] = trained;
        if (JobModes.Untrained(mode))
            (of[StageKind.UntrainedCapture], of[StageKind.Untrained]) = (captured, trained);
        if (JobShapes.PermutedLayers(size) > 0)
            (of[StageKind.PermutedCapture], of[StageKind.Permuted]) = (captured, trained);
        return of;
    }
}
