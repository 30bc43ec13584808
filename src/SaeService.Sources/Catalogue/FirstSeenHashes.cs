using System.Text.Json;

namespace SaeService.Sources;

/// <summary>Hashes of files that nobody announced one for, as they first came: from then on anything else is refused.</summary>
internal sealed class FirstSeenHashes(string path)
{
    public async Task<ContentHash?> FindAsync(Uri url, CancellationToken ct) => ContentHash.Sha256((await ReadAsync(ct)).GetValueOrDefault(url.AbsoluteUri));

    /// <exception cref="SourceException">Damaged: it came with another hash before.</exception>
    public async Task NoteAsync(Uri url, ContentHash hash, CancellationToken ct)
    {
        using var turn = await FileLock.TakeAsync(path + ".lock", ct);
        var seen = await ReadAsync(ct);
        if (seen.TryGetValue(url.AbsoluteUri, out var first))
        {
            if (first != hash.Hex)
                throw new SourceException(SourceFault.Damaged, $"{SourceHttp.Shown(url)} came with {hash} and first with sha256 {first}");
            return;
        }
        seen[url.AbsoluteUri] = hash.Hex;
        await HubCache.WriteWholeAsync(path, JsonSerializer.SerializeToUtf8Bytes(seen), ct);
    }

    private async Task<Dictionary<string, string>> ReadAsync(CancellationToken ct)
    {
        if (!File.Exists(path))
            return [];
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, string>>(await File.ReadAllBytesAsync(path, ct)) ?? [];
        }
        catch (JsonException e)
        {
            throw new SourceException(SourceFault.Damaged, $"{path} is damaged; remove it to trust the next files that come", e);
        }
    }
}
