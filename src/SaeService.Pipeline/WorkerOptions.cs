using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Estimates;
using SaeService.Transformers;
using static TorchSharp.torch;

namespace SaeService.Pipeline;

/// <summary>How a worker uses its machine.</summary>
public sealed class WorkerOptions
{
    public const string Section = "Worker";

    /// <summary>Names this worker in leases, logs and the dashboard. Default: host name and process id.</summary>
    public string Name { get; set; } = $"{Environment.MachineName}-{Environment.ProcessId}";

    /// <summary><c>cpu</c>, <c>cuda</c>, or one of several GPUs: <c>cuda:1</c>.</summary>
    public string Device { get; set; } = "cpu";

    /// <summary>Threads of the numeric work; no result depends on how many. Default: the machine's cores.</summary>
    public int Threads { get; set; } = Environment.ProcessorCount;

    /// <summary>
    /// What a model computes in: <c>float32</c>, or on CUDA <c>bfloat16</c> or <c>float16</c>. <c>auto</c> (default): on CUDA the type its weights are
    /// stored in, elsewhere float32.
    /// </summary>
    public string DType { get; set; } = "auto";

    /// <summary>Tokens in a forward pass: bounds the memory of capture. Default: 1024 on a CPU, whose caches then hold a block's values, and 16384 on CUDA.</summary>
    public int? CaptureBatchTokens { get; set; }

    /// <summary>
    /// What this process may hold of memory. Prepare refuses a job that is estimated to need more, models that take up more than half of it are read block by
    /// block, and managed memory can not outgrow it. Default: no bound, but prepare looks at what the machine, or the container, has free then.
    /// </summary>
    public long? MaxMemoryBytes { get; set; }

    /// <summary>What this process may hold of its GPU's memory: prepare refuses a job that is estimated to need more. Default: all that the GPU has.</summary>
    public long? MaxGpuMemoryBytes { get; set; }

    /// <summary>Weights of more bytes than this, as computed with, are read block by block instead of being held. Default: half of the memory of the process on a CPU, no limit on CUDA.</summary>
    public long? MaxModelBytes { get; set; }

    /// <summary>Seconds between checkpoints of a training autoencoder.</summary>
    public double CheckpointSeconds { get; set; } = 10;

    /// <summary>Jobs whose models and autoencoders stay in memory once a text was inspected with them: the last so many.</summary>
    public int WarmJobs { get; set; } = 1;

    /// <summary>How long they stay when nobody asks.</summary>
    public TimeSpan WarmFor { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a stage may take to hand itself back when the process is asked to end.</summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(60);

    public bool IsCuda => Device.StartsWith("cuda", StringComparison.Ordinal);

    /// <summary>Device and number type, for provenance.</summary>
    internal string Arithmetic => $"{Device}, {(!IsCuda ? "float32" : DType == "auto" ? "the weights' own type" : DType)}";

    internal int BatchTokens => CaptureBatchTokens ?? (IsCuda ? 16384 : 1024);

    /// <summary>A model's weights as this worker computes with them, bytes.</summary>
    internal long ModelBytes(ModelFolder folder) => folder.Description.Parameters * (TypeOf(folder) == ScalarType.Float32 ? 4 : 2);

    private long MemoryBytes => MaxMemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    private long HeldModelBytes => MaxModelBytes ?? (IsCuda ? long.MaxValue : MemoryBytes / 2);

    /// <summary>For an estimate, and for how many forward passes run at once: they get an eighth of the memory.</summary>
    internal WorkerShape Shape => new(Math.Max(1, Threads), BatchTokens, MaxModelBytes: HeldModelBytes, MaxPassBytes: MemoryBytes / 8, CheckpointSeconds: CheckpointSeconds,
        OnGpu: IsCuda);

    /// <summary>What a job may use here.</summary>
    internal ResourceLimits LimitsAt(string artifacts) => new(MaxMemoryBytes ?? MachineLimits.AvailableMemory, MachineLimits.FreeDisk(artifacts),
        IsCuda ? MaxGpuMemoryBytes ?? GpuLimits.TotalMemory(device(Device).index) : null);

    /// <summary>A model as this worker computes with it.</summary>
    /// <param name="mode">Null: as <see cref="MaxModelBytes"/> says.</param>
    /// <param name="untrained">The weights to have instead of the trained ones.</param>
    internal LanguageModel Load(ModelFolder folder, LoadMode? mode = null, Untrained? untrained = null)
    {
        mode ??= ModelBytes(folder) > HeldModelBytes ? LoadMode.LayerByLayer : LoadMode.Resident;
        return LanguageModel.Load(folder, device(Device), TypeOf(folder), mode.Value, untrained);
    }

    private ScalarType TypeOf(ModelFolder folder) => (DType, IsCuda) switch
    {
        ("float32", _) or ("auto", false) => ScalarType.Float32,
        ("bfloat16", true) => ScalarType.BFloat16,
        ("float16", true) => ScalarType.Float16,
        ("auto", true) => folder.StoredType switch
        {
            Checkpoints.DType.BF16 => ScalarType.BFloat16,
            Checkpoints.DType.F16 => ScalarType.Float16,
            _ => ScalarType.Float32,
        },
        _ => throw new InvalidOperationException($"Worker:DType is '{DType}' and Worker:Device '{Device}': use auto or float32, or on cuda bfloat16 or float16"),
    };
}
