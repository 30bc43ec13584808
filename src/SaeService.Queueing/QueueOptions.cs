namespace SaeService.Queueing;

/// <summary>Times and limits of leases, retries and reconciliation.</summary>
public sealed record QueueOptions
{
    /// <summary>A stage whose worker has not renewed for this long is taken back.</summary>
    public TimeSpan LeaseDuration { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How often a worker renews.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>Least time between two writes of a stage's progress.</summary>
    public TimeSpan ProgressInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A progress event is written when the fraction has moved by this much, or after <see cref="ProgressEventInterval"/>.</summary>
    public double ProgressEventStep { get; init; } = 0.05;
    public TimeSpan ProgressEventInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Transient failures and lost workers, together, after which a stage has failed.</summary>
    public int MaxFailures { get; init; } = 3;

    /// <summary>Wait after the first transient failure; each further one waits four times longer.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often the reconciler looks.</summary>
    public TimeSpan ReconcileInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A ready stage rung this long ago that no Hangfire queue holds is rung again.</summary>
    public TimeSpan RingAgainAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the artifact store is swept of what dead writers left.</summary>
    public TimeSpan SweepInterval { get; init; } = TimeSpan.FromHours(1);

    /// <summary>An unfinished file that nobody has written to for this long has no writer any more.</summary>
    public TimeSpan OrphanAge { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long an idempotency key is remembered.</summary>
    public TimeSpan IdempotencyRetention { get; init; } = TimeSpan.FromHours(24);
}
