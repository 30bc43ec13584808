using SaeService.Autoencoders.Formats;
using SaeService.Checkpoints;

namespace SaeService.Autoencoders;

/// <summary>Where an autoencoder's activations come from, for those who load it elsewhere.</summary>
/// <param name="ModelName">Name of the language model.</param>
/// <param name="HookName">The place in it, in TransformerLens' words: <c>blocks.3.hook_resid_post</c>.</param>
/// <param name="DatasetPath">What the model was run on.</param>
/// <param name="ContextSize">Tokens in a context.</param>
/// <param name="PrependBos">Whether a context began with the model's BOS token.</param>
/// <param name="TrainedAs">Architecture in training, where it is another than in use: <c>batchtopk</c>, <c>matryoshka_batchtopk</c>.</param>
public sealed record SaeSource(string ModelName, string HookName, string DatasetPath, int ContextSize, bool PrependBos, string? TrainedAs = null);

/// <summary>The layouts that are read and written; each is described where it is, in Formats/.</summary>
public enum SaeFormat
{
    SaeLens,
    Sparsify,
    DictionaryLearning,
    OpenAi,
}

/// <summary>What can be said of an autoencoder on disk without reading its values.</summary>
/// <param name="Files">Full paths of the weights, first, and of what else is read.</param>
/// <param name="K">0 without top-k.</param>
public sealed record SaeDescription(SaeFormat Format, SaeArchitecture Architecture, int DIn, int DSae, int K, IReadOnlyList<string> Files)
{
    /// <exception cref="CheckpointException">OutsideFolder: a file is another's, by a link.</exception>
    public SaeDescription Within(Predicate<string> allowed) => Files.FirstOrDefault(file => !allowed(file)) is { } outside
        ? throw new CheckpointException(CheckpointFault.OutsideFolder, outside, null, "links to a file outside the folders that the operator allows")
        : this;
}

/// <summary>Autoencoders on disk, one a folder, as four projects lay them out.</summary>
public static class SaeFolder
{
    /// <summary>Names a file for comparison beside an autoencoder; it is none itself.</summary>
    public const string ExpectedFile = SideFiles.Expected;

    private const long MostConfigBytes = 1 << 20;

    /// <summary>Where the format's weights are, and what says how they are used.</summary>
    private sealed record Place(SaeFormat Format, string Weights, StrictJson? Config);

    /// <summary>Finds the format, checks the configuration and every tensor's type and shape, and reads no value.</summary>
    /// <exception cref="CheckpointException">As for <see cref="Load"/>.</exception>
    public static SaeDescription Describe(string folder)
    {
        var place = Find(folder);
        using var weights = new WeightFile(place.Weights);
        var plan = Plan(place, weights);
        var scale = Path.Combine(folder, SaeLensFormat.ScaleFile);
        string?[] others = [place.Config?.File, place.Format == SaeFormat.SaeLens && File.Exists(scale) ? scale : null];
        return new(place.Format, plan.Architecture, plan.DIn, plan.DSae, plan.K, [place.Weights, .. others.OfType<string>()]);
    }

    /// <summary>Reads an autoencoder of any format, with all its scales folded in.</summary>
    /// <exception cref="CheckpointException">
    /// NotFound; PickleOnly, with the command that converts; Unsupported, naming what is not computed here; or Invalid: file, key or tensor, and what is wrong.
    /// </exception>
    public static SparseAutoencoder Load(string folder, int? threads = null)
    {
        var place = Find(folder);
        using var weights = new WeightFile(place.Weights);
        return Plan(place, weights).Load(place.Weights, new Lanes(threads));
    }

    /// <summary>Reads an autoencoder in the SAELens layout.</summary>
    /// <exception cref="CheckpointException">As for <see cref="Load"/>; also where the folder has another layout.</exception>
    public static SparseAutoencoder LoadSaeLens(string folder, int? threads = null)
    {
        var place = Find(folder);
        if (place.Format != SaeFormat.SaeLens)
            throw new CheckpointException(CheckpointFault.Invalid, folder, null, $"has the layout of {place.Format}, not of SAELens");
        using var weights = new WeightFile(place.Weights);
        return Plan(place, weights).Load(place.Weights, new Lanes(threads));
    }

    /// <summary>Writes an autoencoder in the layout of SAELens 6.</summary>
    public static void SaveSaeLens(SparseAutoencoder sae, string folder, SaeSource source, double? l0 = null, int? deadLatents = null)
    {
        Directory.CreateDirectory(folder);
        SaeLensFormat.Write(sae, folder, source, l0, deadLatents);
    }

    /// <summary>Writes a top-k autoencoder in the layout of sparsify 1.3.</summary>
    public static void SaveSparsify(SparseAutoencoder sae, string folder)
    {
        Directory.CreateDirectory(folder);
        SparsifyFormat.Write(sae, folder);
    }

    /// <summary>Writes an autoencoder in any of the layouts. Where the layout has all its parts the parameters keep their bits.</summary>
    /// <exception cref="NotSupportedException">The layout can not hold such an autoencoder; the message says what it can.</exception>
    public static void Save(SparseAutoencoder sae, SaeFormat format, string folder, SaeSource source)
    {
        Directory.CreateDirectory(folder);
        switch (format)
        {
            case SaeFormat.SaeLens:
                SaeLensFormat.Write(sae, folder, source, null, null);
                break;
            case SaeFormat.Sparsify:
                SparsifyFormat.Write(sae, folder);
                break;
            case SaeFormat.DictionaryLearning:
                DictionaryLearningFormat.Write(sae, folder, source);
                break;
            default:
                OpenAiFormat.Write(sae, folder);
                break;
        }
    }

    private static SaePlan Plan(Place place, WeightFile weights) => place.Format switch
    {
        SaeFormat.SaeLens => SaeLensFormat.Plan(place.Config!, weights),
        SaeFormat.Sparsify => SparsifyFormat.Plan(place.Config!, weights),
        SaeFormat.DictionaryLearning => DictionaryLearningFormat.Plan(place.Config, weights),
        _ => OpenAiFormat.Plan(weights),
    };

    /// <summary>By the keys of the configuration, else by the names of the tensors.</summary>
    private static Place Find(string folder)
    {
        if (!Directory.Exists(folder))
            throw new CheckpointException(CheckpointFault.NotFound, folder, null, "no such folder");
        var cfg = Path.Combine(folder, SaeLensFormat.ConfigFile);
        if (File.Exists(cfg))
        {
            var json = Read(cfg);
            return json.Value("d_sae") is not null ? new(SaeFormat.SaeLens, Weights(folder, SaeFormat.SaeLens, SaeLensFormat.WeightsFile), json)
                : json.Value("num_latents", "expansion_factor") is not null
                    ? new(SaeFormat.Sparsify, Weights(folder, SaeFormat.Sparsify, SparsifyFormat.WeightsFile), json)
                : throw new CheckpointException(CheckpointFault.Invalid, cfg, null,
                    "has neither 'd_sae' (SAELens) nor 'num_latents' or 'expansion_factor' (sparsify)");
        }
        var config = Path.Combine(folder, DictionaryLearningFormat.ConfigFile);
        if (File.Exists(config) && Read(config) is var training && training.Value("trainer") is not null)
            return new(SaeFormat.DictionaryLearning, OnlyWeights(folder, SaeFormat.DictionaryLearning, DictionaryLearningFormat.WeightsFile), training);

        var path = OnlyWeights(folder, null, OpenAiFormat.WeightsFile);
        using var weights = new WeightFile(path);
        return OpenAiFormat.IsIn(weights) ? new(SaeFormat.OpenAi, path, null)
            : (weights.Has("encoder.weight") && weights.Has("decoder.weight")) || (weights.Has("W_enc") && weights.Has("W_dec"))
                ? new(SaeFormat.DictionaryLearning, path, null)
            : throw new CheckpointException(CheckpointFault.Unsupported, path, null,
                $"is no autoencoder that is known here, and no {SaeLensFormat.ConfigFile} lies beside it (SAELens and sparsify have one); "
                + $"its tensors are {string.Join(", ", weights.Names.Take(20))}");
    }

    private static StrictJson Read(string path) => new(CheckpointJson.Read(path, MostConfigBytes), path);

    private static string Weights(string folder, SaeFormat format, string name) =>
        File.Exists(Path.Combine(folder, name)) ? Path.Combine(folder, name) : throw Pickles.Refuse(folder, format, name);

    /// <summary>The file of that name, else the only one of its type: these two projects say nothing of what a converted file is called.</summary>
    private static string OnlyWeights(string folder, SaeFormat? format, string name)
    {
        if (File.Exists(Path.Combine(folder, name)))
            return Path.Combine(folder, name);
        var candidates = Directory.EnumerateFiles(folder, "*.safetensors")
            .Where(file => !SideFiles.IsOne(file)).Order(StringComparer.Ordinal).ToArray();
        return candidates switch
        {
            [] => throw Pickles.Refuse(folder, format, name),
            [var one] => one,
            _ => throw new CheckpointException(CheckpointFault.Invalid, folder, null,
                $"has {candidates.Length} safetensors files ({string.Join(", ", candidates.Take(5).Select(Path.GetFileName))}, …) "
                + $"and none is called {name}: a folder holds one autoencoder"),
        };
    }
}
