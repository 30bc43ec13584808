namespace SaeService.Contracts;

/// <summary>
/// What a job will need, told before it is queued and again, by the tokens that were counted, once it is prepared. Stages follow each other: memory is that
/// of the largest of them, time is that of all of them on one worker.
/// </summary>
public sealed record JobEstimate
{
    /// <summary>Most resident memory of a worker process, bytes, its runtime included. Null: not known yet, see <see cref="Reason"/>.</summary>
    public required long? MemoryBytes { get; init; }

    /// <summary>
    /// Most memory of a worker's GPU, bytes, from the shapes that its stages allocate there and an allowance for the driver. Null: the worker computes on its
    /// processor, or none has prepared the job yet.
    /// </summary>
    public long? GpuMemoryBytes { get; init; }

    /// <summary>Most that the job's files take up at one time under <c>Artifacts:Root</c>, bytes. Rows of the database are not counted.</summary>
    public required long? DiskBytes { get; init; }

    /// <summary>Seconds of work on one worker; several share a job's layers.</summary>
    public required double? Seconds { get; init; }

    /// <summary>Tokens of the corpus, special ones included.</summary>
    public required long? Tokens { get; init; }

    /// <summary>
    /// By stage, the factor that <see cref="Seconds"/> holds: what this service's last finished jobs took over what two cores were measured to take. Empty: no
    /// job has finished yet.
    /// </summary>
    public required IReadOnlyDictionary<string, double> Pace { get; init; }

    /// <summary>Why the numbers are null: what has to be fetched first. The job's prepare stage then estimates, and refuses what does not fit.</summary>
    public string? Reason { get; init; }
    public EstimateParts? Parts { get; init; }
}

/// <param name="MemoryBytes">By stage, on top of <c>runtime</c>: what a worker holds that does nothing.</param>
/// <param name="DiskBytes">By kind of file.</param>
/// <param name="Seconds">By stage, all layers together.</param>
/// <param name="GpuMemoryBytes">By stage that computes on a GPU, on top of its <c>runtime</c>; null where none does.</param>
public sealed record EstimateParts(IReadOnlyDictionary<string, long> MemoryBytes, IReadOnlyDictionary<string, long> DiskBytes,
    IReadOnlyDictionary<string, double> Seconds, IReadOnlyDictionary<string, long>? GpuMemoryBytes = null);

/// <param name="MemoryBytes">A worker's; null: not known here, the worker that prepares the job checks its own.</param>
/// <param name="DiskBytes">Free or allowed under <c>Artifacts:Root</c>.</param>
/// <param name="GpuMemoryBytes">A worker's, where it has one; null: not known here.</param>
public sealed record ResourceLimits(long? MemoryBytes, long? DiskBytes, long? GpuMemoryBytes = null);

/// <summary>A request as a job would have it, and what that job would need; nothing is queued.</summary>
public sealed record JobPreview
{
    public string Object { get; init; } = "job_preview";

    /// <summary>The request with every default filled in.</summary>
    public required JobRequest Request { get; init; }
    public required JobEstimate Estimate { get; init; }
    public required ResourceLimits Limits { get; init; }

    /// <summary>Why the job would be refused, with the numbers and what to lower; null: it fits.</summary>
    public string? Refusal { get; init; }
}
