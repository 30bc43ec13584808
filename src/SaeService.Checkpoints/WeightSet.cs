using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>The weights of a model folder: one <c>model.safetensors</c>, or shards named by <c>model.safetensors.index.json</c>.</summary>
public sealed class WeightSet : IDisposable
{
    public const string SingleFile = "model.safetensors";
    public const string IndexFile = "model.safetensors.index.json";
    private const long MaxIndex = 100_000_000;
    private static readonly string[] PickleExtensions = [".bin", ".pt", ".pth", ".ckpt", ".pkl"];

    private readonly Dictionary<string, SafetensorsFile> _fileOf = new(StringComparer.Ordinal);
    private readonly List<SafetensorsFile> _files = [];

    public IReadOnlyList<SafetensorsFile> Files => _files;

    /// <summary>Names of all tensors, over all shards.</summary>
    public IReadOnlyCollection<string> Names => _fileOf.Keys;

    /// <exception cref="CheckpointException">NotFound, PickleOnly, OutsideFolder or Invalid.</exception>
    public static WeightSet Open(string folder)
    {
        var weights = new WeightSet();
        try
        {
            if (File.Exists(Path.Combine(folder, SingleFile)))
                weights.Add(SafetensorsFile.Open(Path.Combine(folder, SingleFile)));
            else if (File.Exists(Path.Combine(folder, IndexFile)))
                weights.AddShards(folder);
            else
                throw NoWeights(folder);
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    public bool Contains(string name) => _fileOf.ContainsKey(name);

    /// <summary>The file that holds the tensor.</summary>
    public SafetensorsFile FileOf(string name) => _fileOf.TryGetValue(name, out var file)
        ? file
        : throw new CheckpointException(CheckpointFault.Invalid, _files[0].Path, name, "the tensor is missing");

    public TensorEntry Entry(string name) => FileOf(name).Tensors[name];

    public void Dispose() => _files.ForEach(f => f.Dispose());

    private void Add(SafetensorsFile file)
    {
        _files.Add(file);
        foreach (var name in file.Tensors.Keys)
            if (!_fileOf.TryAdd(name, file))
                throw new CheckpointException(CheckpointFault.Invalid, file.Path, name, $"the tensor is also in {Path.GetFileName(_fileOf[name].Path)}");
    }

    private void AddShards(string folder)
    {
        var index = Path.Combine(folder, IndexFile);
        var shardOf = ReadIndex(index);
        foreach (var shard in shardOf.Values.Distinct().Order(StringComparer.Ordinal))
        {
            // A shard is a plain file name; anything with a folder in it could reach any file of the machine.
            if (shard.AsSpan().IndexOfAny('/', '\\', ':') >= 0 || Path.IsPathRooted(shard) || shard is "." or ".." || shard.Contains('\0'))
                throw new CheckpointException(CheckpointFault.OutsideFolder, index, shard, "a shard must be a file name inside the model folder");
            if (!shard.EndsWith(".safetensors", StringComparison.Ordinal))
                throw new CheckpointException(CheckpointFault.Unsupported, index, shard, "a shard must be a .safetensors file");
            var path = Path.Combine(folder, shard);
            if (!File.Exists(path))
                throw new CheckpointException(CheckpointFault.NotFound, path, null, $"the shard is named by {IndexFile} but does not exist");
            Add(SafetensorsFile.Open(path));
        }
        foreach (var (name, shard) in shardOf)
            if (!_fileOf.TryGetValue(name, out var file) || Path.GetFileName(file.Path) != shard)
                throw new CheckpointException(CheckpointFault.Invalid, Path.Combine(folder, shard), name, $"{IndexFile} says the tensor is here, but it is not");
        if (_fileOf.Keys.FirstOrDefault(name => !shardOf.ContainsKey(name)) is { } unlisted)
            throw new CheckpointException(CheckpointFault.Invalid, _fileOf[unlisted].Path, unlisted, $"the tensor is not listed in {IndexFile}");
    }

    private static Dictionary<string, string> ReadIndex(string index)
    {
        if (!CheckpointJson.Read(index, MaxIndex).TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
            throw new CheckpointException(CheckpointFault.Invalid, index, "weight_map", "missing or not an object");
        var shardOf = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in map.EnumerateObject())
            if (entry.Value.ValueKind != JsonValueKind.String || !shardOf.TryAdd(entry.Name, entry.Value.GetString()!))
                throw new CheckpointException(CheckpointFault.Invalid, index, entry.Name, "must name one file");
        return shardOf.Count > 0 ? shardOf : throw new CheckpointException(CheckpointFault.Invalid, index, "weight_map", "is empty");
    }

    private static CheckpointException NoWeights(string folder)
    {
        var pickle = Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal)
            .FirstOrDefault(f => PickleExtensions.Contains(Path.GetExtension(f), StringComparer.OrdinalIgnoreCase));
        return pickle is null
            ? new CheckpointException(CheckpointFault.NotFound, folder, null, $"holds no weights ({SingleFile} or {IndexFile})")
            : new CheckpointException(CheckpointFault.PickleOnly, pickle, null,
                $"pickle files can run code and are never opened; the model must be given as safetensors ({SingleFile})");
    }
}
