using System.Collections.Concurrent;
using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Sources;

namespace SaeService.Api.Models;

/// <summary>Models of the hub as they can be known without their weights: from the listing, config.json and the weights' header.</summary>
public sealed class HubModels(HubSource hub)
{
    private const long MaxConfig = 1 << 20;

    // A commit never changes.
    private readonly ConcurrentDictionary<(string Id, string Commit), Model> _seen = new();

    public bool Enabled => hub.Enabled;

    /// <exception cref="ProblemException">unknown_model, a code of the hub's, unsupported_model, invalid_model or pickle_only_model.</exception>
    public async Task<Model> RequireAsync(ModelReference reference, string field, CancellationToken ct)
    {
        try
        {
            var repo = HubRepo.Of(RepoKind.Model, reference.Id);
            var listing = await hub.ListAsync(repo, reference.Revision ?? "main", brief: true, ct);
            if (!_seen.TryGetValue((repo.Id, listing.Commit), out var model))
                _seen[(repo.Id, listing.Commit)] = model = await DescribeAsync(listing, ct);
            return model;
        }
        catch (SourceException e)
        {
            throw SourceProblems.Of(e, RepoKind.Model, field + (e.Fault == SourceFault.NoRevision ? ".revision" : ".id"));
        }
    }

    private async Task<Model> DescribeAsync(HubListing listing, CancellationToken ct)
    {
        ModelSelection.Small(listing); // or what is missing
        var file = $"{listing.Repo.Id}/{ModelSelection.Config}";
        var config = Parse(file, await hub.ReadAsync(listing, listing.Find(ModelSelection.Config)!, MaxConfig, brief: true, ct));
        if (!ModelDescription.SupportedFamilies.Contains(config.Family))
            throw config.Unsupported("model_type", $"'{config.Family}' is not a supported family ({string.Join(", ", ModelDescription.SupportedFamilies.Order())})");
        var description = ModelDescription.Of(config, await hub.CountParametersAsync(listing, brief: true, ct) ?? 0);
        return new Model
        {
            Id = listing.Repo.Id,
            Source = "hub",
            Revision = listing.Commit,
            Licence = listing.Licence,
            Family = description.Family,
            Layers = description.Layers,
            DModel = description.DModel,
            VocabularySize = description.VocabularySize,
            ContextLength = description.ContextLength,
            Parameters = description.Parameters,
            Usable = true,
        };
    }

    private static ModelConfig Parse(string file, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return document.RootElement.ValueKind == JsonValueKind.Object ? new ModelConfig(document.RootElement.Clone(), file)
                : throw new CheckpointException(CheckpointFault.Invalid, file, null, "is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new CheckpointException(CheckpointFault.Invalid, file, null, $"is not valid JSON ({e.Message})", e);
        }
    }
}
