using System.Text.Json;

namespace SaeService.Sources;

/// <summary>The files of a repository that make a model: config, weights as safetensors, tokenizer. Pickles are never among them.</summary>
public static class ModelSelection
{
    public const string Config = "config.json";
    public const string SingleFile = "model.safetensors";
    public const string Index = "model.safetensors.index.json";
    public const long MaxIndexBytes = 100_000_000;
    private const int MaxShards = 2000;

    private static readonly string[] s_beside =
    [
        "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
        "merges.txt", "spiece.model",
    ];

    private static readonly string[] s_otherWeights = [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5", ".onnx", ".gguf"];

    /// <summary>Config, tokenizer and, where the weights are sharded, their index: small files, all but the weights themselves.</summary>
    /// <exception cref="SourceException">PickleOnly or Unusable.</exception>
    public static IReadOnlyList<HubFile> Small(HubListing listing)
    {
        if (listing.Find(Config) is not { } config)
            throw new SourceException(SourceFault.Unusable, $"{listing.Repo.Id} is no model that this service can read: it has no {Config}");
        var files = new List<HubFile> { config };
        files.AddRange(s_beside.Select(listing.Find).OfType<HubFile>());
        if (listing.Find(SingleFile) is null)
            files.Add(listing.Find(Index) ?? throw NoWeights(listing));
        return files;
    }

    /// <summary>The weights: one file, or the shards that the index names, and no other.</summary>
    /// <param name="index">Content of <see cref="Index"/>; null where <see cref="SingleFile"/> is there, which comes first.</param>
    public static IReadOnlyList<HubFile> Weights(HubListing listing, byte[]? index)
    {
        if (listing.Find(SingleFile) is { } single)
            return [single];
        SourceException Wrong(string what) => new(SourceFault.Damaged, $"{Index} of {listing.Repo.Id} {what}");
        try
        {
            using var document = JsonDocument.Parse(index ?? throw NoWeights(listing));
            var names = document.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Value.GetString() ?? "").ToHashSet(StringComparer.Ordinal);
            if (names.Count is 0 or > MaxShards)
                throw Wrong($"names {names.Count} files");
            return [.. names.Order(StringComparer.Ordinal).Select(name =>
                !RemoteName.IsPlain(name) || name.Contains('/') || !name.EndsWith(".safetensors", StringComparison.Ordinal) ? throw Wrong("names something that is no safetensors file beside it")
                : listing.Find(name) ?? throw Wrong($"names {name}, which the repository does not have"))];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw Wrong("is not understood: " + e.Message);
        }
    }

    private static SourceException NoWeights(HubListing listing)
    {
        var other = listing.Files.FirstOrDefault(file => !file.Name.Contains('/') && s_otherWeights.Contains(Path.GetExtension(file.Name), StringComparer.OrdinalIgnoreCase));
        return other is null
            ? new SourceException(SourceFault.Unusable, $"{listing.Repo.Id} has no weights ({SingleFile} or {Index})")
            : new SourceException(SourceFault.PickleOnly,
                $"{listing.Repo.Id} has no safetensors weights, only {other.Name}: pickle files can run code and are never fetched. Look for a revision or a copy with {SingleFile}");
    }
}
