using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>
/// What a job needs, from the shapes that its stages allocate, the files they write and the work they do. Every constant that is not a shape was measured:
/// see <see cref="StageMemory"/>, <see cref="JobDisk"/> and <see cref="StageTime"/>.
/// </summary>
public static class JobEstimator
{
    /// <summary>What a worker holds that does nothing, bytes.</summary>
    public const long RuntimeBytes = StageMemory.Runtime;

    // The name of that among a stage's parts.
    private const string RuntimePart = "runtime";

    /// <param name="pace">Measured seconds over estimated ones, by stage; none: as it was measured on two cores.</param>
    public static JobEstimate Of(JobSize size, WorkerShape worker, IReadOnlyDictionary<string, double>? pace = null)
    {
        var memory = StageMemory.Of(size, worker);
        var gpu = worker.OnGpu ? GpuMemory.Of(size, worker) : null;
        var seconds = StageTime.Of(size, worker).ToDictionary(x => x.Key, x => x.Value * (pace?.GetValueOrDefault(x.Key.Name(), 1) ?? 1));
        var disk = JobDisk.Of(size, checkpoints: seconds[StageKind.Train] > size.Layers * worker.CheckpointSeconds);
        return new JobEstimate
        {
            MemoryBytes = StageMemory.Runtime + memory.Values.Max(),
            GpuMemoryBytes = gpu is null ? null : GpuMemory.Runtime + gpu.Values.Max(),
            DiskBytes = disk.Values.Sum(),
            Seconds = Math.Round(seconds.Values.Sum(), 1),
            Tokens = size.Tokens,
            Pace = pace ?? new Dictionary<string, double>(),
            Parts = new EstimateParts(
                ByStage(memory, StageMemory.Runtime),
                disk,
                seconds.ToDictionary(x => x.Key.Name(), x => Math.Round(x.Value, 1)),
                gpu is null ? null : ByStage(gpu, GpuMemory.Runtime)),
        };

        static Dictionary<string, long> ByStage(Dictionary<StageKind, long> bytes, long runtime) =>
            bytes.Select(x => (x.Key.Name(), x.Value)).Prepend((RuntimePart, runtime)).ToDictionary(x => x.Item1, x => x.Item2);
    }

    /// <summary>Why a job with these needs can not run within the limits, or null.</summary>
    public static string? Refusal(JobEstimate estimate, ResourceLimits limits)
    {
        if (estimate.DiskBytes is { } disk && limits.DiskBytes is { } mayDisk && disk > mayDisk)
            return Text("disk", disk, mayDisk, estimate.Parts!.DiskBytes.MaxBy(x => x.Value).Key switch
            {
                "autoencoders" or "checkpoint" => "lower sae.d_sae (or sae.expansion) or ask for fewer layers",
                "codes" or "scratch" => "lower sae.k or dataset.max_words, or ask for fewer layers",
                _ => "ask for fewer layers, or lower dataset.max_words or dataset.extra_tokens",
            });
        if (estimate.MemoryBytes is { } memory && limits.MemoryBytes is { } mayMemory && memory > mayMemory)
        {
            var largest = Largest(estimate.Parts!.MemoryBytes);
            return Text($"memory (in stage {largest})", memory, mayMemory, largest switch
            {
                "train" or "untrained" or "permuted" => TrainLess,
                "capture" or "untrained_capture" or "permuted_capture" => "use a smaller model or context_length",
                "inform" => "lower information.max_train_words",
                _ => "lower sae.d_sae (or sae.expansion), sae.k or dataset.max_words",
            });
        }
        if (estimate.GpuMemoryBytes is { } gpu && limits.GpuMemoryBytes is { } mayGpu && gpu > mayGpu)
        {
            var largest = Largest(estimate.Parts!.GpuMemoryBytes!);
            return Text($"the GPU's memory (in stage {largest})", gpu, mayGpu, largest switch
            {
                "train" or "untrained" or "permuted" or "dictionaries" => TrainLess,
                _ => "use a smaller model, or a worker with less Worker:CaptureBatchTokens or with Worker:DType bfloat16 or float16",
            });
        }
        return null;

        static string Largest(IReadOnlyDictionary<string, long> bytes) => bytes.Where(x => x.Key != RuntimePart).MaxBy(x => x.Value).Key;
    }

    private const string TrainLess = "lower sae.d_sae (or sae.expansion) or sae.batch_tokens";

    private static string Text(string what, long needs, long may, string remedy) =>
        string.Create(CultureInfo.InvariantCulture, $"needs about {needs / (1L << 20):N0} MiB of {what}, and may use {may / (1L << 20):N0} MiB; {remedy}");
}
