using System.Text.Json;

namespace SaeService.Sources;

/// <param name="Size">Bytes.</param>
/// <param name="Hash">Null where the server did not say.</param>
public sealed record HubFile(string Name, long Size, ContentHash? Hash);

/// <summary>The files of a repository at a commit, as <c>/api/models/{id}/revision/{rev}?blobs=true</c> lists them.</summary>
/// <param name="Licence">As its card says; null where it does not.</param>
public sealed record HubListing(HubRepo Repo, string Commit, IReadOnlyList<HubFile> Files, string? Licence)
{
    public const long MaxBytes = 64 << 20;
    private const int MaxFiles = 50_000;
    private const long MaxFileBytes = 1L << 44;

    public HubFile? Find(string name) => Files.FirstOrDefault(file => file.Name == name);

    /// <exception cref="SourceException">Damaged where it is no such listing; Refused where a name in it leads out.</exception>
    public static HubListing Parse(HubRepo repo, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            var commit = root.GetProperty("sha").GetString();
            if (commit is null || !HubRepo.IsCommit(commit))
                throw new SourceException(SourceFault.Damaged, $"the hub gave no commit for {repo.Id}");
            var files = new List<HubFile>();
            foreach (var sibling in root.GetProperty("siblings").EnumerateArray())
            {
                if (files.Count == MaxFiles)
                    throw new SourceException(SourceFault.Refused, $"{repo.Id} has more than {MaxFiles} files");
                var name = sibling.GetProperty("rfilename").GetString() ?? "";
                if (RemoteName.IsHostile(name))
                    throw new SourceException(SourceFault.Refused, $"{repo.Id} lists a file name that leads out of its folder; nothing of it is fetched");
                if (!RemoteName.IsPlain(name))
                    continue; // harmless, and of no use: no model file has such a name
                files.Add(FileOf(repo, name, sibling));
            }
            if (files.GroupBy(file => file.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(same => same.Select(f => f.Name).Distinct().Count() < same.Count()) is { } twice)
                throw new SourceException(SourceFault.Damaged, $"{repo.Id} lists '{twice.Key}' twice");
            return new HubListing(repo, commit, files, LicenceOf(root));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new SourceException(SourceFault.Damaged, $"the hub's answer for {repo.Id} is not understood: {e.Message}", e);
        }
    }

    private static HubFile FileOf(HubRepo repo, string name, JsonElement sibling)
    {
        var lfs = sibling.TryGetProperty("lfs", out var entry) && entry.ValueKind == JsonValueKind.Object ? entry : (JsonElement?)null;
        var size = Size(sibling) ?? (lfs is { } l ? Size(l) : null);
        if (size is not (>= 0 and <= MaxFileBytes))
            throw new SourceException(SourceFault.Damaged, $"the hub gave no size for '{name}' of {repo.Id}");
        // The names differ between the two calls that list files.
        var hash = lfs is { } large ? ContentHash.Sha256(Text(large, "sha256") ?? Text(large, "oid")) : ContentHash.GitBlob(Text(sibling, "blobId") ?? Text(sibling, "oid"));
        return new HubFile(name, size.Value, hash);
    }

    private static string? LicenceOf(JsonElement root)
    {
        if (!root.TryGetProperty("cardData", out var card) || card.ValueKind != JsonValueKind.Object || !card.TryGetProperty("license", out var licence))
            return null;
        var said = licence.ValueKind switch
        {
            JsonValueKind.String => licence.GetString(),
            JsonValueKind.Array => string.Join(", ", licence.EnumerateArray().Take(5).Where(x => x.ValueKind == JsonValueKind.String).Select(x => x.GetString())),
            _ => null,
        };
        return said is { Length: > 0 and <= 200 } && !said.Any(char.IsControl) ? said : null;
    }

    private static long? Size(JsonElement element) =>
        element.TryGetProperty("size", out var size) && size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out var bytes) ? bytes : null;

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;
}
