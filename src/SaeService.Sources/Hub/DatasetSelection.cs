using System.Text.RegularExpressions;

namespace SaeService.Sources;

/// <param name="Split"><c>train</c>, <c>dev</c>, <c>test</c>, or <c>all</c> where nothing says which.</param>
/// <param name="Name">As it is to stand in a folder of its own with the others.</param>
public sealed record DatasetPart(HubFile File, string Split, string Name);

/// <summary>
/// The files of a repository that make a labelled data set, in the common layouts: <c>data/train-00000-of-00002.parquet</c>,
/// <c>CONFIG/train-00000-of-00001.parquet</c>, <c>CONFIG/train/0000.parquet</c> (the hub's own conversion), <c>train.jsonl</c>,
/// <c>en_ewt-ud-train.conllu</c>. Scripts and archives are never among them.
/// </summary>
public static partial class DatasetSelection
{
    /// <summary>The branch on which the hub keeps its conversion of what needs a script.</summary>
    public const string ConvertedRevision = "refs/convert/parquet";
    public const string Readme = "README.md";

    private static readonly string[] s_splits = ["train", "dev", "test", "all"];

    // The richest first, where a repository has the same in several formats.
    private static readonly string[][] s_formats = [[".conllu"], [".parquet"], [".jsonl", ".ndjson"], [".conll", ".iob2", ".iob", ".bio"], [".json"]];

    public static bool HasData(HubListing listing) => listing.Files.Any(file => FormatOf(file.Name) is not null);

    /// <param name="config">Which of its configurations; null where it has one, or one named default.</param>
    /// <exception cref="SourceException">Unusable, naming the configurations where one must be chosen.</exception>
    public static IReadOnlyList<DatasetPart> Of(HubListing listing, string? config)
    {
        var found = listing.Files.Where(file => FormatOf(file.Name) is not null).Select(file => (File: file, Place: PlaceOf(file.Name))).ToList();
        if (found.Count == 0)
            throw new SourceException(SourceFault.Unusable, $"{listing.Repo.Id} has no file of a known format: parquet, JSON lines, CoNLL-U or CoNLL columns");
        var configs = found.Select(x => x.Place.Config).Distinct().Order(StringComparer.Ordinal).ToList();
        config ??= configs.Count == 1 ? configs[0] : configs.Find(name => name is "default" or "");
        var chosen = config is null ? [] : found.Where(x => x.Place.Config == config).ToList();
        if (chosen.Count == 0)
            throw new SourceException(SourceFault.Unusable,
                $"{listing.Repo.Id} has {(config is null ? "several configurations" : $"no configuration '{config}'")}; write {listing.Repo.Id}:NAME with one of {string.Join(", ", configs.Where(c => c.Length > 0).Take(20))}{(configs.Count > 20 ? ", …" : "")}");
        var format = chosen.Min(x => FormatOf(x.File.Name)!.Value);
        // Parts of one split in the order of their names: 0000, 0001 …
        return [.. chosen.Where(x => FormatOf(x.File.Name) == format)
            .GroupBy(x => x.Place.Split).OrderBy(group => Array.IndexOf(s_splits, group.Key))
            .SelectMany(group => group.OrderBy(x => x.File.Name, StringComparer.Ordinal)
                .Select((x, i) => new DatasetPart(x.File, group.Key, $"{(group.Key == "all" ? "part" : group.Key)}-{i:0000}{Extension(x.File.Name)}")))];
    }

    private static int? FormatOf(string name)
    {
        // What describes a data set is none.
        if (Path.GetFileName(name) is "dataset_infos.json" or "dataset_info.json" or "config.json" or "package.json" || name.StartsWith('.'))
            return null;
        var bare = name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".zst", StringComparison.OrdinalIgnoreCase) ? Path.ChangeExtension(name, null) : name;
        var at = Array.FindIndex(s_formats, format => format.Contains(Path.GetExtension(bare), StringComparer.OrdinalIgnoreCase));
        return at < 0 ? null : at;
    }

    /// <summary><c>.jsonl.gz</c> whole, in lower case.</summary>
    private static string Extension(string name)
    {
        var last = Path.GetExtension(name);
        return (last.Equals(".gz", StringComparison.OrdinalIgnoreCase) || last.Equals(".zst", StringComparison.OrdinalIgnoreCase)
            ? Path.GetExtension(name[..^last.Length]) + last : last).ToLowerInvariant();
    }

    private static (string Config, string Split) PlaceOf(string name)
    {
        var folders = name.Split('/')[..^1].ToList();
        var file = Path.GetFileName(name);
        string? split = null;
        var config = "";
        if (SplitInName().Match(file) is { Success: true } inName)
        {
            split = Normal(inName.Groups[1].Value);
            // en_ewt-ud-train.conllu is of en_ewt; train-0000.parquet of nothing.
            config = file[..inName.Index].TrimEnd('-', '_', '.');
            config = config.EndsWith("-ud", StringComparison.Ordinal) ? config[..^3] : config;
        }
        if (folders.Count > 0 && SplitFolder().Match(folders[^1]) is { Success: true } inFolder)
        {
            split ??= Normal(inFolder.Groups[1].Value);
            folders.RemoveAt(folders.Count - 1);
        }
        if (folders.Count > 0 && folders[0] == "data")
            folders.RemoveAt(0);
        return (folders.Count > 0 ? string.Join('/', folders) : config, split ?? "all");
    }

    private static string Normal(string split) => split.ToLowerInvariant() switch
    {
        "train" => "train",
        "test" => "test",
        _ => "dev",
    };

    [GeneratedRegex(@"(?:^|(?<=[-_.]))(train|dev|valid|validation|val|test)(?=[-_.]|$)", RegexOptions.IgnoreCase | RegexOptions.RightToLeft)]
    private static partial Regex SplitInName();

    [GeneratedRegex(@"\A(?:partial-)?(train|dev|valid|validation|val|test)\z", RegexOptions.IgnoreCase)]
    private static partial Regex SplitFolder();
}
