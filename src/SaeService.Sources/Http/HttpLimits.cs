namespace SaeService.Sources;

/// <summary>Patience and appetite of requests.</summary>
public sealed record HttpLimits
{
    /// <summary>To connect and to get the head of an answer.</summary>
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>In each such span a body must bring <see cref="LeastBytes"/> or end; a server that drips is left and asked anew.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(30);
    public int LeastBytes { get; init; } = 1024;
    public int MaxRedirects { get; init; } = 5;

    /// <summary>Attempts in a row that bring nothing.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>Wait after the first failure; each further one waits twice as long, up to <see cref="LongestDelay"/>.</summary>
    public TimeSpan FirstDelay { get; init; } = TimeSpan.FromSeconds(1);
    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>A server that asks for more than this is not waited for.</summary>
    public TimeSpan LongestRetryAfter { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>For an interface that must answer soon: one attempt more, and seconds.</summary>
    public static HttpLimits Brief { get; } = new()
    {
        HeadTimeout = TimeSpan.FromSeconds(8),
        IdleTimeout = TimeSpan.FromSeconds(8),
        Attempts = 2,
        FirstDelay = TimeSpan.FromMilliseconds(300),
        LongestRetryAfter = TimeSpan.FromSeconds(1),
    };

    /// <summary>Tries until it succeeds, fails for good, or <see cref="Attempts"/> in a row have failed.</summary>
    /// <param name="progressed">Whether an attempt that failed brought something: then the count begins anew.</param>
    public async Task<T> RetryAsync<T>(Func<Task<T>> attempt, CancellationToken ct, Func<bool>? progressed = null)
    {
        var failures = 0;
        while (true)
            try
            {
                return await attempt();
            }
            catch (SourceException e) when (e.Transient)
            {
                failures = progressed?.Invoke() == true ? 1 : failures + 1;
                if (failures >= Attempts || e.RetryAfter > LongestRetryAfter)
                    throw;
                await Task.Delay(e.RetryAfter ?? DelayAfter(failures), ct);
            }
    }

    // With up to a fifth more or less, so that what failed together does not come back together.
    private TimeSpan DelayAfter(int failures) =>
        TimeSpan.FromSeconds(Math.Min(FirstDelay.TotalSeconds * Math.Pow(2, failures - 1), LongestDelay.TotalSeconds) * (0.8 + 0.4 * Random.Shared.NextDouble()));
}
