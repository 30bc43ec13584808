namespace SaeService.Pipeline;

/// <summary>How a worker uses its machine.</summary>
public sealed class WorkerOptions
{
    public const string Section = "Worker";

    /// <summary>Names this worker in leases, logs and the dashboard. Default: host name and process id.</summary>
    public string Name { get; set; } = $"{Environment.MachineName}-{Environment.ProcessId}";

    /// <summary><c>cpu</c> or <c>cuda</c>.</summary>
    public string Device { get; set; } = "cpu";

    /// <summary>Threads of the numeric work. Default: the machine's cores.</summary>
    public int Threads { get; set; } = Environment.ProcessorCount;

    /// <summary>Tokens in a forward pass: bounds the memory of capture.</summary>
    public int CaptureBatchTokens { get; set; } = 4096;

    /// <summary>Seconds between checkpoints of a training autoencoder.</summary>
    public double CheckpointSeconds { get; set; } = 10;

    /// <summary>How long a stage may take to hand itself back when the process is asked to end.</summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(60);
}
