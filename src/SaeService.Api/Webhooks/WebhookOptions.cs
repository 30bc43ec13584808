using System.Buffers.Binary;

namespace SaeService.Api.Webhooks;

/// <summary>Times and limits of webhook deliveries.</summary>
public sealed record WebhookOptions
{
    /// <summary><c>Webhooks:AllowPrivate</c>: sends to private addresses and by http too, for use on one machine or one's own network.</summary>
    public bool AllowPrivate { get; init; }

    /// <summary>How often due deliveries are looked for.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Deliveries that are sent at a time.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>For one attempt.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A delivery whose sender has not reported for this long is sent again; well above <see cref="Timeout"/>.</summary>
    public TimeSpan ClaimDuration { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Wait after the first failure; each further one waits three times longer, up to <see cref="LongestDelay"/>.</summary>
    public TimeSpan FirstDelay { get; init; } = TimeSpan.FromSeconds(5);
    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromHours(4);

    /// <summary>No attempt is made later than this after the job's end.</summary>
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromHours(24);

    /// <summary>
    /// The wait after an attempt that failed: exponential, with up to a fifth more or less, so that what failed together does not come back
    /// together. The same for the same delivery and attempt.
    /// </summary>
    /// <param name="attempt">From 1.</param>
    public TimeSpan DelayAfter(Guid delivery, int attempt)
    {
        var delay = Math.Min(FirstDelay.TotalSeconds * Math.Pow(3, attempt - 1), LongestDelay.TotalSeconds);
        // The last bytes of a version 7 id are random; the multiplier is Knuth's, which spreads successive attempts.
        var fraction = unchecked(BinaryPrimitives.ReadUInt32LittleEndian(delivery.ToByteArray().AsSpan(12)) + (uint)attempt * 2654435769u) / 4294967296.0;
        return TimeSpan.FromSeconds(delay * (0.8 + 0.4 * fraction));
    }
}
