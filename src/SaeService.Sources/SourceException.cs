namespace SaeService.Sources;

/// <summary>Why something could not be fetched.</summary>
public enum SourceFault
{
    /// <summary>There is no such repository or file.</summary>
    NotFound,

    /// <summary>The repository has no such branch, tag or commit.</summary>
    NoRevision,

    /// <summary>The repository is gated or private, and the token (or its absence) does not open it.</summary>
    Unauthorized,

    /// <summary>The server asked to come back later, and later was too late.</summary>
    RateLimited,

    /// <summary>Fetching is switched off, and the cache does not have it.</summary>
    Offline,

    /// <summary>What came is not what was announced: size, hash, commit or form.</summary>
    Damaged,

    /// <summary>The disk, or the limit that the operator set for the cache, is full.</summary>
    NoSpace,

    /// <summary>A host, address, name or size that is not allowed.</summary>
    Refused,

    /// <summary>The server can not be reached, or broke off again and again.</summary>
    Network,

    /// <summary>The weights are there as pickle only, which is never fetched.</summary>
    PickleOnly,

    /// <summary>The repository holds nothing that this service can read.</summary>
    Unusable,
}

/// <summary>Something that could not be fetched; the message says what to do, and never holds a token.</summary>
public sealed class SourceException(SourceFault fault, string message, Exception? inner = null) : Exception(message, inner)
{
    public SourceFault Fault { get; } = fault;

    /// <summary>Whether another attempt may succeed without anyone changing anything.</summary>
    public bool Transient { get; init; } = fault is SourceFault.Network or SourceFault.RateLimited;

    /// <summary>The status that the server answered with, where it did.</summary>
    internal int? Status { get; init; }

    /// <summary>What the server asked to be left alone for.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
