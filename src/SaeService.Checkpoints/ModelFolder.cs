using System.Security.Cryptography;

namespace SaeService.Checkpoints;

/// <summary>One file of a model folder; <paramref name="Bytes"/> is its size.</summary>
public sealed record ModelFile(string Name, long Bytes);

/// <summary>
/// A folder in the layout of Hugging Face transformers. Opening it reads config.json and the headers of the weight files, so that damage
/// shows before anything is computed; it holds no file open afterwards.
/// </summary>
public sealed class ModelFolder
{
    private static readonly string[] TokenizerFiles =
        ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model"];

    private readonly string[] _weightFiles;

    /// <summary>Full path of the folder.</summary>
    public string Path { get; }

    public ModelDescription Description { get; }

    /// <summary>The type that most of the weights are stored in.</summary>
    public DType StoredType { get; }

    /// <summary>All files directly in the folder, by name.</summary>
    public IReadOnlyList<ModelFile> Files { get; }

    /// <exception cref="CheckpointException">The folder is not there, not supported, damaged, pickle only, or names files outside itself.</exception>
    public static ModelFolder Open(string path) => path.Length > 0 && !path.Contains('\0')
        ? new(System.IO.Path.GetFullPath(path))
        : throw new CheckpointException(CheckpointFault.NotFound, "model folder", null, "the path is empty or no path");

    private ModelFolder(string path)
    {
        Path = path;
        if (!Directory.Exists(path))
            throw new CheckpointException(CheckpointFault.NotFound, path, null, "no such model folder");
        var config = ReadConfig();
        using var weights = OpenWeights();
        var entries = weights.Names.Select(weights.Entry).Where(e => e.DType.IsWeight()).ToList();
        Description = ModelDescription.Of(config, entries.Sum(e => e.Elements));
        StoredType = entries.GroupBy(e => e.DType).OrderByDescending(g => g.Sum(e => e.Elements)).Select(g => g.Key).FirstOrDefault(DType.F32);
        _weightFiles = [.. weights.Files.Select(f => System.IO.Path.GetFileName(f.Path))];
        Files = [.. new DirectoryInfo(path).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal).Select(f => new ModelFile(f.Name, Size(f)))];
    }

    /// <summary>config.json, with nothing marked as read yet.</summary>
    public ModelConfig ReadConfig() => ModelConfig.Read(FullName("config.json"));

    public WeightSet OpenWeights() => WeightSet.Open(Path);

    /// <summary>SHA-256 (lower-case hex) of every file that the model's output depends on: config, weights and their index, tokenizer.</summary>
    public IReadOnlyDictionary<string, string> Hashes()
    {
        var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        string[] names = ["config.json", .. _weightFiles, .. _weightFiles.Contains(WeightSet.SingleFile) ? [] : new[] { WeightSet.IndexFile }, .. TokenizerFiles];
        foreach (var name in names.Where(n => File.Exists(FullName(n))))
        {
            using var stream = File.OpenRead(FullName(name));
            hashes[name] = Convert.ToHexStringLower(SHA256.HashData(stream));
        }
        return hashes;
    }

    private string FullName(string name) => System.IO.Path.Combine(Path, name);

    // In the hub's cache the files are links to blobs; what counts is the blob's size.
    private static long Size(FileInfo file) => file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo { Exists: true } target ? target.Length : file.Length;
}
