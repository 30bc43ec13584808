using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace SaeService.Corpora;

public enum CorpusFormat
{
    Conllu,
    Conll,
    Jsonl,
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

/// <summary>A labelled data set on disk: one file, or a folder with a file or more for each split. Sentences are streamed, never held.</summary>
public sealed partial class DatasetFolder
{
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
            return new(path, [Describe(path) ?? throw new CorpusException(System.IO.Path.GetFileName(path), null, null,
                "neither its name nor its first lines tell its format: .conllu, .conll (.iob2, .bio) or .jsonl, or those with .gz")]);
        if (!Directory.Exists(path))
            throw new CorpusException($"no file or folder {CorpusException.Quote(path)}");
        var files = Directory.EnumerateFiles(path)
            .Where(f => FormatByName(f) is not null)
            .Select(f => Describe(f)!)
            .OrderBy(f => Array.IndexOf(SplitOrder, f.Split)).ThenBy(f => f.Name, StringComparer.Ordinal)
            .ToList();
        var folder = System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(path));
        if (files.Count == 0)
            throw new CorpusException(folder, null, null, "no .conllu, .conll, .iob2, .bio or .jsonl file in the folder");
        if (files.Find(f => f.Format != files[0].Format) is { } other)
            throw new CorpusException(folder, null, null, $"files of two formats: {files[0].Name} and {other.Name}");
        if (files.Find(f => Stem(f.Name) != Stem(files[0].Name)) is { } stranger)
            throw new CorpusException(folder, null, null, $"files of two data sets: {files[0].Name} and {stranger.Name}; name one of them");
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

    /// <summary>The format that the extension says, or for another one the first lines.</summary>
    public static CorpusFormat? DetectFormat(string path) => FormatByName(path) ?? FormatByContent(path);

    private static IEnumerable<Sentence> ReadFile(DatasetFile file, ReadSettings settings)
    {
        using var lines = new Utf8Lines(file.Path);
        var any = false;
        foreach (var sentence in file.Format switch
        {
            CorpusFormat.Conllu => new ConlluReader(lines, settings).Read(),
            CorpusFormat.Conll => new ColumnReader(lines, settings).Read(),
            _ => new JsonlReader(lines, settings).Read(),
        })
        {
            any = true;
            yield return sentence;
        }
        if (!any)
            throw new CorpusException(file.Name, null, null, "no sentence in the file");
    }

    private static DatasetFile? Describe(string path) =>
        DetectFormat(path) is { } format ? new(path, SplitOf(System.IO.Path.GetFileName(path)), format, new FileInfo(path).Length) : null;

    private static CorpusFormat? FormatByName(string path)
    {
        var name = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path;
        return System.IO.Path.GetExtension(name).ToLowerInvariant() switch
        {
            ".conllu" => CorpusFormat.Conllu,
            ".conll" or ".iob" or ".iob2" or ".bio" => CorpusFormat.Conll,
            ".jsonl" or ".ndjson" => CorpusFormat.Jsonl,
            _ => null,
        };
    }

    private static CorpusFormat? FormatByContent(string path)
    {
        using var lines = new Utf8Lines(path);
        for (var i = 0; i < 1000 && lines.Next() is { } line; i++)
        {
            if (string.IsNullOrWhiteSpace(line) || (line.StartsWith("# ", StringComparison.Ordinal) && line.Contains('=')))
                continue;
            if (line.StartsWith('{'))
                return CorpusFormat.Jsonl;
            var fields = line.Split('\t');
            if (fields.Length == 10 && char.IsAsciiDigit(line[0]))
                return CorpusFormat.Conllu;
            if (fields.Length == 1)
                fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return fields.Length is >= 2 and <= 5 ? CorpusFormat.Conll : null;
        }
        return null;
    }

    private static string SplitOf(string name) => SplitName().Match(name) is { Success: true } match
        ? match.Groups[1].Value.ToLowerInvariant() switch { "train" => "train", "test" => "test", _ => "dev" }
        : "all";

    /// <summary>What stands before the split's name: equal for all files of one data set. Files without a split are shards; none parts them.</summary>
    private static string Stem(string name) => SplitName().Match(name) is { Success: true } match ? name[..match.Index] : "";

    [GeneratedRegex(@"(?:^|(?<=[-_.]))(train|dev|valid|validation|val|test)(?=[-_.]|$)", RegexOptions.IgnoreCase | RegexOptions.RightToLeft)]
    private static partial Regex SplitName();
}
