using System.Globalization;
using SaeService.Checkpoints;

namespace SaeService.Sources;

/// <summary>
/// Where the trained autoencoders of a model's layers are: one a folder, in a repository or on a disk, its place written with the layer's
/// number in it.
/// </summary>
public static class SaeSelection
{
    /// <summary>Stands for the number of a layer as jobs count them: 0 is the embedding, l what block l - 1 gives.</summary>
    public const string Layer = "{layer}";

    /// <summary>Stands for the number of the block that gives a layer, from 0, as most repositories count; the embedding has none.</summary>
    public const string Block = "{block}";

    private static readonly string[] s_beside = ["cfg.json", "config.json", "activation_scaler.json"];
    private static readonly string[] s_pickles = [".pt", ".pth", ".bin", ".pkl", ".ckpt"];

    /// <summary>What is wrong with a place for these layers; null where nothing is.</summary>
    public static string? Fault(string place, IReadOnlyList<int> layers)
    {
        var rest = place.Replace(Layer, "", StringComparison.Ordinal).Replace(Block, "", StringComparison.Ordinal);
        return rest.AsSpan().IndexOfAny('{', '}') >= 0 ? $"knows {Layer} and {Block} in braces, and nothing else"
            : place.Contains(Block, StringComparison.Ordinal) && layers.Contains(0)
                ? $"has no {Block} for layer 0, the embedding; name layers without it, or write {Layer}"
            : layers.Count > 1 && rest == place ? $"is one folder for {layers.Count} layers; write {Layer} or {Block} where the number stands"
            : null;
    }

    public static string PlaceOf(string place, int layer) => place
        .Replace(Layer, layer.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace(Block, (layer - 1).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    /// <summary>The files in a folder of a repository that make an autoencoder: configuration and safetensors.</summary>
    /// <param name="folder">Empty for the root.</param>
    /// <exception cref="SourceException">PickleOnly or Unusable.</exception>
    public static IReadOnlyList<HubFile> Of(HubListing listing, string folder)
    {
        var inside = listing.Files.Where(file => FolderOf(file.Name) == folder).ToList();
        var where = folder.Length == 0 ? listing.Repo.Id : $"{folder} of {listing.Repo.Id}";
        var weights = inside
            .Where(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal) && !SideFiles.IsOne(file.Name)).ToList();
        if (weights.Count > 0)
            return [.. inside.Where(file => s_beside.Contains(Path.GetFileName(file.Name))), .. weights];
        throw inside.Find(file => s_pickles.Contains(Path.GetExtension(file.Name), StringComparer.OrdinalIgnoreCase)) is { } pickle
            ? new SourceException(SourceFault.PickleOnly,
                $"{where} has no safetensors, only {Path.GetFileName(pickle.Name)}: pickle files can run code and are "
                + "never fetched. Convert it and name the folder by sae.path; 'sae verify sae FOLDER' says by which command")
            : new SourceException(SourceFault.Unusable,
                inside.Count > 0 ? $"{where} has no safetensors" : $"{listing.Repo.Id} at {listing.Commit} has no folder '{folder}'");
    }

    private static string FolderOf(string name) => name.LastIndexOf('/') is var at && at < 0 ? "" : name[..at];
}
