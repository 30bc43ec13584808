using System.Security.Cryptography;
using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Pipeline;

/// <summary>A layer's autoencoder that was trained elsewhere, in the folder that the request names for it. To be disposed of when it has been read.</summary>
internal sealed class Pretrained : IDisposable
{
    private readonly IDisposable? _lease;
    private readonly string _name;
    private readonly string? _revision;

    private Pretrained(string folder, string name, string? revision, IDisposable? lease) =>
        (Folder, _name, _revision, _lease) = (folder, name, revision, lease);

    public string Folder { get; }

    public static bool IsAsked(JobRequest request) => request.Sae is { ArePretrained: true };

    /// <param name="from">How far the stage is.</param>
    /// <param name="upTo">How far it is when what is of the hub has come.</param>
    public static Pretrained Open(StageContext context, int layer, double from = 0, double upTo = 0)
    {
        var sae = context.Request.Sae!;
        var place = SaeSelection.PlaceOf(sae.Path ?? sae.Folder ?? "", layer);
        if (sae.Path is not null)
            return new Pretrained(context.Roots.Models.Resolve(place), place, null, null);
        var fetched = context.FetchAutoencoders([layer], from, upTo);
        var name = place.Length == 0 ? sae.Id! : $"{sae.Id}/{place}";
        return new Pretrained(Path.Combine(fetched.Path, Path.Combine(place.Split('/'))), name, fetched.Commit, fetched);
    }

    /// <summary>Every layer's, before hours are spent: that it is there, can be read, and takes vectors of the model's width.</summary>
    /// <returns>The widest, and the most latents that any keeps for a token; 0 where one keeps as many as pass its threshold.</returns>
    public static (int DSae, int K) Check(StageContext context, int dModel, double from, double upTo)
    {
        var abouts = new List<SaeDescription>();
        for (var i = 0; i < context.Layers.Count; i++)
        {
            var (layer, share) = (context.Layers[i], (upTo - from) / context.Layers.Count);
            try
            {
                using var one = Open(context, layer, from + i * share, from + (i + 1) * share);
                abouts.Add(one.Describe(context, dModel));
            }
            catch (Exception e) when (e is CheckpointException or RootedPathException)
            {
                var code = e is CheckpointException checkpoint ? SourceProblems.CodeOf(checkpoint.Fault)
                    : ((RootedPathException)e).Fault == RootedPathFault.Outside ? ProblemCodes.ModelOutsideRoots : ProblemCodes.UnknownModel;
                throw new ProblemException(code, $"The autoencoder of layer {layer}: {e.Message}",
                    context.Request.Sae!.Path is null ? "$.sae.folder" : "$.sae.path", e);
            }
        }
        return (abouts.Max(about => about.DSae), abouts.Exists(about => about.K == 0) ? 0 : abouts.Max(about => about.K));
    }

    /// <exception cref="CheckpointException">It can not be used, or not with vectors of this width.</exception>
    public SaeDescription Describe(StageContext context, int dModel)
    {
        // What was fetched lies in the hub's cache, by its links.
        var about = SaeFolder.Describe(Folder).Within(file => _lease is not null || context.Roots.Models.Contains(file));
        return about.DIn == dModel ? about
            : throw new CheckpointException(CheckpointFault.Invalid, about.Files[0], null, $"takes vectors of {about.DIn}, the model's have {dModel}");
    }

    public SaeOrigin Origin(SaeDescription about) => new(_name, _revision, about.Format switch
    {
        SaeFormat.SaeLens => "saelens",
        SaeFormat.Sparsify => "sparsify",
        SaeFormat.DictionaryLearning => "dictionary_learning",
        _ => "openai",
    }, [.. about.Files.Select(Hash)]);

    public void Dispose() => _lease?.Dispose();

    private static FileHash Hash(string file)
    {
        using var stream = File.OpenRead(file);
        return new(Path.GetFileName(file), stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }
}
