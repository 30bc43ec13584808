using SaeService.Api.Requests;
using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Api.Models;

/// <summary>Trained autoencoders that can be named: folders under the operator's model folders, and what the hub has.</summary>
public sealed class SaeCatalogue(ServiceSettings settings, HubSource hub)
{
    private const int MaxFolder = 400;
    private readonly FolderRoots _roots = new(settings.ModelRoots);

    public static bool IsNamed(SaeSettings sae) => sae.Path is not null || sae.Id is not null || sae.Revision is not null || sae.Folder is not null;

    /// <summary>
    /// The settings with the commit of what is on the hub, and the widest of the autoencoders: those of a folder are checked down to the headers of their
    /// weights, those of the hub are looked for in its listing.
    /// </summary>
    /// <param name="layers">None where they are at fault themselves.</param>
    /// <param name="dModel">Null where the model is at fault itself.</param>
    public async Task<(SaeSettings Settings, int? DSae)> ResolveAsync(SaeSettings asked, IReadOnlyList<int> layers, int? dModel,
        RequestErrors errors, CancellationToken ct)
    {
        foreach (var (name, value) in new (string, object?)[]
        {
            ("architecture", asked.Architecture), ("expansion", asked.Expansion), ("d_sae", asked.DSae), ("k", asked.K), ("train_tokens", asked.TrainTokens),
            ("batch_tokens", asked.BatchTokens), ("learning_rate", asked.LearningRate), ("seed", asked.Seed), ("matryoshka_widths", asked.MatryoshkaWidths),
            ("variants", asked.Variants),
        })
            if (value is not null)
                errors.Add(ProblemCodes.InvalidRequest, $"$.sae.{name}", "is of training, and what sae.path or sae.id names is trained already");
        if (asked.Path is not null && asked.Id is not null)
            errors.Add(ProblemCodes.InvalidRequest, "$.sae.id", "give sae.path or sae.id, not both");
        foreach (var (name, value) in new[] { ("revision", asked.Revision), ("folder", asked.Folder) })
            if (value is not null && asked.Id is null)
                errors.Add(ProblemCodes.InvalidRequest, $"$.sae.{name}", "is of use with sae.id only");
        var (place, field) = asked.Path is { } path ? (path, "$.sae.path") : (asked.Folder ?? "", "$.sae.folder");
        if (SaeSelection.Fault(place, layers) is { } fault)
            errors.Add(ProblemCodes.InvalidRequest, field, fault);
        if (errors.Any)
            return (asked, null);
        try
        {
            return asked.Path is not null ? (asked, OfFolders(place, layers, dModel)) : (await OfHubAsync(asked, place, layers, ct), null);
        }
        catch (ProblemException e)
        {
            errors.Add(e);
            return (asked, null);
        }
    }

    private int? OfFolders(string place, IReadOnlyList<int> layers, int? dModel)
    {
        const string Field = "$.sae.path";
        int? widest = null;
        foreach (var layer in layers)
        {
            try
            {
                var about = SaeFolder.Describe(_roots.Resolve(SaeSelection.PlaceOf(place, layer))).Within(_roots.Contains);
                if (dModel is { } d && about.DIn != d)
                    throw new ProblemException(ProblemCodes.InvalidRequest,
                        $"layer {layer}: the autoencoder takes vectors of {about.DIn}, the model's have {d}", Field);
                widest = Math.Max(widest ?? 0, about.DSae);
            }
            catch (RootedPathException e)
            {
                throw new ProblemException(e.Fault == RootedPathFault.Outside ? ProblemCodes.ModelOutsideRoots : ProblemCodes.UnknownModel,
                    $"layer {layer}: {e.Message}", Field, e);
            }
            catch (CheckpointException e)
            {
                throw new ProblemException(SourceProblems.CodeOf(e.Fault), $"layer {layer}: {e.Message}", Field, e);
            }
        }
        return widest;
    }

    private async Task<SaeSettings> OfHubAsync(SaeSettings asked, string place, IReadOnlyList<int> layers, CancellationToken ct)
    {
        var field = "$.sae.id";
        if (place.Length > MaxFolder || (place.Length > 0 && !RemoteName.IsPlain(SaeSelection.PlaceOf(place, 1))))
            throw new ProblemException(ProblemCodes.InvalidRequest,
                $"must be a folder's name, parts separated by '/', of at most {MaxFolder} characters", "$.sae.folder");
        try
        {
            var listing = await hub.ListAsync(HubRepo.Of(RepoKind.Model, asked.Id!), asked.Revision ?? "main", brief: true, ct);
            field = "$.sae.folder";
            foreach (var layer in layers)
                SaeSelection.Of(listing, SaeSelection.PlaceOf(place, layer));
            return asked with { Revision = listing.Commit };
        }
        catch (SourceException e)
        {
            throw SourceProblems.Of(e, RepoKind.Model, e.Fault == SourceFault.NoRevision ? "$.sae.revision" : field);
        }
    }
}
