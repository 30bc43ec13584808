using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SaeService.Sources;

/// <summary>A treebank's repository at a commit.</summary>
/// <param name="Files">Directly in it, with git's hashes.</param>
public sealed record TreebankListing(string Repository, string Commit, IReadOnlyList<HubFile> Files);

/// <summary>
/// Universal Dependencies on GitHub: one repository a treebank, tagged at every release, with files
/// <c>{language}_{treebank}-ud-{train,dev,test}.conllu</c>, of which a large one may be in several parts.
/// </summary>
internal sealed partial class Treebanks(SourceHttp http, SourceSettings settings, HubCache cache)
{
    /// <summary>The release that is taken where none is named.</summary>
    public const string Release = "r2.16";
    private const int MaxTree = 16 << 20;

    /// <summary><c>ud:German-GSD</c> or <c>UD_German-GSD</c> to the repository's name; null where it is neither.</summary>
    public static string? RepositoryOf(string id)
    {
        var name = id.StartsWith("ud:", StringComparison.OrdinalIgnoreCase) ? "UD_" + id[3..] : id;
        return IsRepository(name) ? name : null;
    }

    public static bool IsRepository(string name) => RepositoryPattern().IsMatch(name);

    public static string FolderOf(string repository) => "catalogue--" + repository;

    public async Task<TreebankListing> ListAsync(string repository, string revision, HttpLimits limits, CancellationToken ct)
    {
        var folder = FolderOf(repository);
        var commit = HubRepo.IsCommit(revision) ? revision : null;
        // Releases are tags that do not move; a branch is asked about anew.
        if (commit is null && (settings.Offline || ReleasePattern().IsMatch(revision)))
            commit = cache.FindCommit(folder, revision);
        if (commit is not null && await ReadAsync(repository, commit, ct) is { } known)
            return known;
        if (settings.Offline)
            throw new SourceException(SourceFault.Offline, $"{repository} at {revision} is not in the cache, {cache.Root}, and fetching is off (Hub:Offline or HF_HUB_OFFLINE)");
        var api = $"{settings.GitHubApi.AbsoluteUri.TrimEnd('/')}/repos/UniversalDependencies/{repository}";
        if (commit is null)
        {
            var sha = Encoding.ASCII.GetString(await GetAsync($"{api}/commits/{Uri.EscapeDataString(revision)}", 100, limits, ct, "application/vnd.github.sha")).Trim();
            commit = HubRepo.IsCommit(sha) ? sha : throw new SourceException(SourceFault.Damaged, $"GitHub gave no commit for {revision} of {repository}");
        }
        var json = await GetAsync($"{api}/git/trees/{commit}", MaxTree, limits, ct, "application/vnd.github+json");
        var listing = Parse(repository, commit, json);
        await HubCache.WriteWholeAsync(cache.OwnFile(folder, commit + ".json"), json, ct);
        await cache.NoteCommitAsync(folder, revision, commit, ct);
        return listing;

        async Task<byte[]> GetAsync(string uri, long most, HttpLimits limits, CancellationToken ct, string accept)
        {
            try
            {
                return await http.GetBytesAsync(new Uri(uri), most, limits, ct, accept);
            }
            catch (SourceException e) when (e.Fault == SourceFault.NotFound)
            {
                throw new SourceException(SourceFault.NotFound, $"Universal Dependencies has no {repository} at {revision}", e);
            }
        }
    }

    /// <summary>The treebank's own files, and its README, which names the licence.</summary>
    /// <exception cref="SourceException">Unusable: it has none.</exception>
    public static IReadOnlyList<DatasetPart> Parts(TreebankListing listing)
    {
        var parts = listing.Files.Select(file => (File: file, Match: FilePattern().Match(file.Name))).Where(x => x.Match.Success)
            .Select(x => new DatasetPart(x.File, x.Match.Groups[1].Value, x.File.Name)).ToList();
        return parts.Count > 0 ? parts : throw new SourceException(SourceFault.Unusable, $"{listing.Repository} has no .conllu file at {listing.Commit}; some treebanks are released without their text");
    }

    public RemoteFile Remote(TreebankListing listing, HubFile file) =>
        new(new Uri($"{settings.GitHubRaw.AbsoluteUri.TrimEnd('/')}/UniversalDependencies/{listing.Repository}/{listing.Commit}/{Uri.EscapeDataString(file.Name)}"),
            $"{listing.Repository}/{file.Name}", file.Size, file.Hash);

    /// <summary>From the machine-readable end of a treebank's README.</summary>
    public static string? LicenceIn(string readme) => LicencePattern().Match(readme) is { Success: true } match ? match.Groups[1].Value.Trim() : null;

    private async Task<TreebankListing?> ReadAsync(string repository, string commit, CancellationToken ct)
    {
        var file = new FileInfo(cache.OwnFile(FolderOf(repository), commit + ".json"));
        return file.Exists && file.Length <= MaxTree ? Parse(repository, commit, await File.ReadAllBytesAsync(file.FullName, ct)) : null;
    }

    private static TreebankListing Parse(string repository, string commit, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var files = new List<HubFile>();
            foreach (var entry in document.RootElement.GetProperty("tree").EnumerateArray())
            {
                var name = entry.GetProperty("path").GetString() ?? "";
                if (RemoteName.IsHostile(name))
                    throw new SourceException(SourceFault.Refused, $"{repository} lists a file name that leads out of its folder; nothing of it is fetched");
                if (entry.GetProperty("type").GetString() != "blob" || !RemoteName.IsPlain(name) || name.Contains('/'))
                    continue;
                var size = entry.GetProperty("size").GetInt64();
                var hash = ContentHash.GitBlob(entry.GetProperty("sha").GetString());
                if (size < 0 || hash is null)
                    throw new SourceException(SourceFault.Damaged, $"GitHub gave no size or hash for {name} of {repository}");
                files.Add(new HubFile(name, size, hash));
            }
            return new TreebankListing(repository, commit, files);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new SourceException(SourceFault.Damaged, $"GitHub's answer for {repository} is not understood: {e.Message}", e);
        }
    }

    [GeneratedRegex(@"\AUD_[A-Z][A-Za-z_]{1,60}-[A-Za-z0-9]{1,60}\z")]
    private static partial Regex RepositoryPattern();

    [GeneratedRegex(@"\Ar\d+\.\d+\z")]
    private static partial Regex ReleasePattern();

    [GeneratedRegex(@"\A[a-z]{2,8}_[a-z0-9]+-ud-(train|dev|test)(?:-[a-z0-9-]+)?\.conllu\z")]
    private static partial Regex FilePattern();

    [GeneratedRegex(@"^License:\s*([A-Za-z0-9 .,/+-]{2,80})\s*$", RegexOptions.Multiline)]
    private static partial Regex LicencePattern();
}
