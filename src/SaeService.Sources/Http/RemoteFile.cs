namespace SaeService.Sources;

/// <summary>A file to fetch, and what is known of it before.</summary>
/// <param name="Name">For messages.</param>
/// <param name="Size">Bytes; null where nobody said.</param>
/// <param name="Hash">Null where nobody said.</param>
/// <param name="Commit">That of the repository it must come from.</param>
public sealed record RemoteFile(Uri Uri, string Name, long? Size = null, ContentHash? Hash = null, string? Commit = null);
