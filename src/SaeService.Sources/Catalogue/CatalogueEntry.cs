using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace SaeService.Sources;

/// <param name="Sha256">Null where nobody knows: then what comes first is remembered, and anything else is refused afterwards.</param>
public sealed record CatalogueUrl(Uri Url, string? Sha256 = null);

/// <param name="Name">Of the file in the data set; its split is told from it.</param>
/// <param name="Entities">Universal NER's annotation of it, which is joined to it.</param>
public sealed record CatalogueFile(string Name, Uri Url, string? Sha256 = null, CatalogueUrl? Entities = null);

/// <summary>A treebank of Universal Dependencies: <c>UD_German-GSD</c> at a release tag or commit.</summary>
public sealed record CatalogueTreebank(string Repository, string Revision);

/// <summary>A data set of the hub, pinned.</summary>
public sealed record CatalogueHubSet(string Id, string Revision, string? Config = null);

/// <summary>A public data set by a name of this service: where it lies, under which licence, and what to expect of it.</summary>
public sealed partial record CatalogueEntry
{
    public required string Name { get; init; }
    public string? Title { get; init; }
    public string? Licence { get; init; }

    /// <summary>Label tasks that it has; a job is checked against them before it is fetched.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }

    /// <summary>One of the three.</summary>
    public IReadOnlyList<CatalogueFile>? Files { get; init; }
    public CatalogueTreebank? Treebank { get; init; }
    public CatalogueHubSet? Hub { get; init; }

    /// <summary>Whether it comes from the operator's own file, who may name hosts of his own network.</summary>
    [JsonIgnore]
    public bool OperatorsOwn { get; init; }

    /// <summary>Changes when anything of the entry does: jobs are pinned to it, as to a commit.</summary>
    [JsonIgnore]
    public string Pin => Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(this, s_json)))[..40];

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.General)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The built-in entries, and those of the operator's file, which come first where the names are the same.</summary>
    /// <exception cref="FormatException">Naming the entry at fault.</exception>
    public static IReadOnlyList<CatalogueEntry> Load(string? operatorsFile)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("catalogue.json")!;
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        var entries = Parse(memory.ToArray(), "the built-in catalogue", operatorsOwn: false).ToDictionary(entry => entry.Name);
        if (operatorsFile is null)
            return [.. entries.Values];
        try
        {
            if (new FileInfo(operatorsFile).Length > 16 << 20)
                throw new FormatException($"Catalogue:File, {operatorsFile}, is larger than 16 MB");
            foreach (var entry in Parse(File.ReadAllBytes(operatorsFile), $"Catalogue:File, {operatorsFile}", operatorsOwn: true))
                entries[entry.Name] = entry;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"Catalogue:File can not be read: {e.Message}", e);
        }
        return [.. entries.Values.OrderBy(entry => entry.Name, StringComparer.Ordinal)];
    }

    /// <param name="json"><c>{"entries": [ … ]}</c></param>
    internal static IReadOnlyList<CatalogueEntry> Parse(byte[] json, string where, bool operatorsOwn)
    {
        try
        {
            var file = JsonSerializer.Deserialize<CatalogueJson>(json, s_json) ?? throw new FormatException($"{where} holds null");
            var seen = new HashSet<string>(StringComparer.Ordinal);
            foreach (var entry in file.Entries)
                if ((entry.Fault(operatorsOwn) ?? (seen.Add(entry.Name) ? null : "is there twice")) is { } fault)
                    throw new FormatException($"{where}: entry '{entry.Name}' {fault}");
            return [.. file.Entries.Select(entry => entry with { OperatorsOwn = operatorsOwn })];
        }
        catch (JsonException e)
        {
            throw new FormatException($"{where} is not understood: {e.Message}", e);
        }
    }

    private string? Fault(bool operatorsOwn)
    {
        if (!NamePattern().IsMatch(Name))
            return "must have a name of 1 to 100 lower-case letters, digits, '.', '_' or '-', beginning with a letter or digit";
        if (Tasks.Count == 0 || !Tasks.All(task => TaskPattern().IsMatch(task)))
            return "must name its tasks: pos, dep, ner …";
        if (new object?[] { Files, Treebank, Hub }.Count(source => source is not null) != 1)
            return "must have one of files, treebank and hub";
        if (Treebank is not null && !(Treebanks.IsRepository(Treebank.Repository) && HubRepo.IsRevision(Treebank.Revision)))
            return "must name a treebank as UD_Language-Name and a revision";
        if (Hub is not null && !(HubRepo.IsId(Hub.Id) && HubRepo.IsCommit(Hub.Revision)))
            return "must pin a data set of the hub to a whole commit";
        if (Files is null)
            return null;
        if (Files.Count is 0 or > 100 || Files.DistinctBy(file => file.Name).Count() < Files.Count)
            return "must have 1 to 100 files of different names";
        foreach (var file in Files)
        {
            if (!RemoteName.IsPlain(file.Name) || file.Name.Contains('/') || file.Name.StartsWith('.'))
                return $"has a file name that is none: '{file.Name}'";
            if (file.Entities is not null && !file.Name.EndsWith(".conllu", StringComparison.Ordinal))
                return "joins entities to a file that is not .conllu";
            foreach (var (url, sha256) in new[] { (file.Url, file.Sha256), (file.Entities?.Url ?? file.Url, file.Entities?.Sha256) })
                if (!url.IsAbsoluteUri || (url.Scheme != Uri.UriSchemeHttps && !(operatorsOwn && url.Scheme == Uri.UriSchemeHttp)) || url.UserInfo.Length > 0)
                    return $"must have https addresses without user names, not '{url}'";
                else if (sha256 is not null && ContentHash.Sha256(sha256) is null)
                    return "has a sha256 that is none";
        }
        return null;
    }

    private sealed record CatalogueJson(IReadOnlyList<CatalogueEntry> Entries);

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,99}\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"\A[a-z][a-z0-9_]{0,39}(?::[A-Za-z0-9_]{1,60})?\z")]
    private static partial Regex TaskPattern();
}
