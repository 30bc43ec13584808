using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace SaeService.Corpora;

public enum CorpusFormat
{
    Conllu,
    Conll,
    Jsonl,
    Json,
    Parquet,

    /// <summary>Without labels.</summary>
    Text,
}

/// <param name="Split"><c>train</c>, <c>dev</c> or <c>test</c> where the name says so, else <c>all</c>.</param>
public sealed record DatasetFile(string Path, string Split, CorpusFormat Format, long Bytes)
{
    /// <summary>The name without its folder.</summary>
    public string Name => System.IO.Path.GetFileName(Path);

    public string ComputeSha256()
    {
        using var stream = File.OpenRead(Path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}

/// <summary>
/// A data set on disk: one file, or a folder with a file or more for each split, as treebanks and the Hugging Face hub have them
/// (<c>train-00000-of-00002.parquet</c> in the folder itself, in <c>data/</c>, or in the only configuration's folder). Sentences are streamed,
/// never held.
/// </summary>
public sealed partial class DatasetFolder
{
    private const int MaxFiles = 10_000, MaxDepth = 3;
    private static readonly string[] SplitOrder = ["train", "dev", "test", "all"];

    private DatasetFolder(string path, IReadOnlyList<DatasetFile> files)
    {
        Path = path;
        Files = files;
        Splits = [.. SplitOrder.Where(s => files.Any(f => f.Split == s))];
    }

    public string Path { get; }

    /// <summary>By split, then by name.</summary>
    public IReadOnlyList<DatasetFile> Files { get; }
    public IReadOnlyList<string> Splits { get; }
    public CorpusFormat Format => Files[0].Format;
    public long Bytes => Files.Sum(f => f.Bytes);

    /// <exception cref="CorpusException">Nothing there, no file of a known format, or files of several formats or data sets.</exception>
    public static DatasetFolder Open(string path)
    {
        if (File.Exists(path))
            return new(path, [Describe(path, DetectFormat(path) ?? throw new CorpusException(System.IO.Path.GetFileName(path), null, null,
                "neither its name nor its first lines tell its format: .conllu, .conll (.iob2, .bio), .jsonl, .json, .parquet or .txt, or those with .gz or .zst"))]);
        if (!Directory.Exists(path))
            throw new CorpusException($"no file or folder {CorpusException.Quote(path)}");
        path = System.IO.Path.TrimEndingDirectorySeparator(path);
        var folder = System.IO.Path.GetFileName(path);
        // Only where the folder itself has no data is it looked for below, as the hub lays it.
        var found = Candidates(path, 0);
        if (found.Count == 0)
            found = Candidates(path, MaxDepth);
        if (found.Count == 0)
            throw new CorpusException(folder, null, null, "no .conllu, .conll, .iob2, .bio, .jsonl, .parquet, .json or .txt file in the folder");
        var files = found.Select(f => Describe(f.Path, f.Format, path))
            .OrderBy(f => Array.IndexOf(SplitOrder, f.Split)).ThenBy(f => f.Path, StringComparer.Ordinal).ToList();
        if (files.Select(f => Configuration(path, f.Path)).Distinct().Order(StringComparer.Ordinal).ToArray() is { Length: > 1 } configurations)
            throw new CorpusException(folder, null, null,
                $"several data sets: {string.Join(", ", configurations.Take(10))}{(configurations.Length > 10 ? ", ..." : "")}; name one of these folders");
        if (files.Find(f => f.Format != files[0].Format) is { } other)
            throw new CorpusException(folder, null, null, $"files of two formats: {files[0].Name} and {other.Name}");
        if (files.Find(f => Stem(f.Name) != Stem(files[0].Name)) is { } stranger)
            throw new CorpusException(folder, null, null, $"files of two data sets: {files[0].Name} and {stranger.Name}; name one of them");
        RequireAllShards(folder, files);
        return new(path, files);
    }

    /// <summary>The sentences of some splits (null: all), in the order of <see cref="Files"/>.</summary>
    /// <exception cref="CorpusException">A split that is not there, at once; anything wrong in a file, when it is reached.</exception>
    public IEnumerable<Sentence> Read(IReadOnlyList<string>? splits = null, ReadSettings? settings = null)
    {
        if (splits?.FirstOrDefault(s => !Splits.Contains(s)) is { } missing)
            throw new CorpusException($"no split {CorpusException.Quote(missing)}; there is {string.Join(", ", Splits)}");
        return Files.Where(f => splits is null || splits.Contains(f.Split)).SelectMany(f => ReadFile(f, settings ?? new ReadSettings()));
    }

    /// <summary>The format that the extension says, or for another one the first bytes.</summary>
    public static CorpusFormat? DetectFormat(string path) => FormatDetection.ByName(path) ?? FormatDetection.ByContent(path, new ReadSettings().MaxExpansion);

    /// <summary>Whether the name alone says that it is data, or text.</summary>
    public static bool IsNamedAsData(string path) => FormatDetection.ByName(path) is not null || IsText(path);

    private static IEnumerable<Sentence> ReadFile(DatasetFile file, ReadSettings settings)
    {
        var any = false;
        foreach (var sentence in file.Format == CorpusFormat.Parquet ? ParquetReader.Read(file.Path, settings) : ReadText(file, settings))
        {
            any = true;
            yield return sentence;
        }
        if (!any)
            throw new CorpusException(file.Name, null, null, "no sentence in the file");
    }

    private static IEnumerable<Sentence> ReadText(DatasetFile file, ReadSettings settings)
    {
        using var stream = new CorpusStream(file.Path, settings.MaxExpansion);
        foreach (var sentence in file.Format switch
        {
            CorpusFormat.Conllu => new ConlluReader(new(stream), settings).Read(),
            CorpusFormat.Conll => new ColumnReader(new(stream), settings).Read(),
            CorpusFormat.Jsonl => JsonReader.ReadLines(new(stream), settings),
            CorpusFormat.Json => JsonReader.ReadArray(stream, settings),
            _ => new PlainTextReader(new(stream)).Read(),
        })
            yield return sentence;
    }

    /// <summary>Files that may be data: of a format that only data have, else JSON, else text. Others lie beside treebanks of all kinds.</summary>
    private static List<(string Path, CorpusFormat Format)> Candidates(string path, int depth)
    {
        var options = new EnumerationOptions
        {
            RecurseSubdirectories = depth > 0,
            MaxRecursionDepth = depth,
            IgnoreInaccessible = true,
            AttributesToSkip = FileAttributes.Hidden | FileAttributes.System,
        };
        var all = new List<(string Path, CorpusFormat Format)>();
        foreach (var file in Directory.EnumerateFiles(path, "*", options).Take(MaxFiles))
            if ((FormatDetection.ByName(file) ?? (IsText(file) ? CorpusFormat.Text : null)) is { } format)
                all.Add((file, format));
        foreach (var weak in (CorpusFormat[])[CorpusFormat.Text, CorpusFormat.Json])
            if (all.Exists(f => f.Format != weak))
                all.RemoveAll(f => f.Format == weak);
        return all;
    }

    private static bool IsText(string path)
    {
        var name = System.IO.Path.GetFileName(path);
        return Extension().IsMatch(name) && !Paperwork().IsMatch(name);
    }

    private static DatasetFile Describe(string path, CorpusFormat format, string? root = null)
    {
        var split = SplitOf(System.IO.Path.GetFileName(path));
        // The hub's converted data sets have a folder for each split.
        for (var folder = System.IO.Path.GetDirectoryName(path); split == "all" && root is not null && folder is not null && folder.Length > root.Length;
            folder = System.IO.Path.GetDirectoryName(folder))
            split = SplitOf(System.IO.Path.GetFileName(folder));
        return new(path, split, format, new FileInfo(path).Length);
    }

    /// <summary>The folder that a file belongs to, those apart that are only a part of one data set.</summary>
    private static string Configuration(string root, string file) => string.Join('/',
        System.IO.Path.GetRelativePath(root, System.IO.Path.GetDirectoryName(file)!).Split(System.IO.Path.DirectorySeparatorChar)
            .Where(part => part is not ("." or "data") && SplitOf(part) == "all"));

    private static void RequireAllShards(string folder, List<DatasetFile> files)
    {
        foreach (var shards in files.Select(f => (f.Name, Match: Shard().Match(f.Name))).Where(f => f.Match.Success)
            .GroupBy(f => $"{f.Name[..f.Match.Index]}-of-{f.Match.Groups[2].Value}"))
        {
            var there = shards.Select(f => int.Parse(f.Match.Groups[1].ValueSpan)).ToHashSet();
            var count = int.Parse(shards.First().Match.Groups[2].ValueSpan);
            for (var shard = 0; shard < count; shard++)
                if (!there.Contains(shard))
                    throw new CorpusException(folder, null, null, $"shard {shard} of {count} beside {shards.First().Name} is missing");
        }
    }

    private static string SplitOf(string name) => SplitName().Match(name) is { Success: true } match
        ? match.Groups[1].Value.ToLowerInvariant() switch { "train" => "train", "test" => "test", _ => "dev" }
        : "all";

    /// <summary>What stands before the split's name: equal for all files of one data set. Files without a split are shards; none parts them.</summary>
    private static string Stem(string name) => SplitName().Match(name) is { Success: true } match ? name[..match.Index] : "";

    [GeneratedRegex(@"(?:^|(?<=[-_.]))(train|dev|valid|validation|val|test)(?=[-_.]|$)", RegexOptions.IgnoreCase | RegexOptions.RightToLeft)]
    private static partial Regex SplitName();

    [GeneratedRegex(@"-(\d{5})-of-(\d{5})(?=\.)")]
    private static partial Regex Shard();

    [GeneratedRegex(@"\.(txt|text)(\.gz|\.zst)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Extension();

    [GeneratedRegex(@"^(licen[cs]e|readme|copying|notice|changelog|requirements|stats)", RegexOptions.IgnoreCase)]
    private static partial Regex Paperwork();
}
