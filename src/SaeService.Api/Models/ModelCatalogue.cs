using System.Collections.Concurrent;
using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Api.Models;

/// <summary>The models that can be named: folders under the operator's roots, the bundled sample, and what the hub has.</summary>
public sealed class ModelCatalogue(ServiceSettings settings, HubModels hub)
{
    private readonly FolderRoots _roots = new(settings.ModelRoots, settings.BundledRoot is { } bundled
        ? new Dictionary<string, string> { [SampleName] = Path.Combine(bundled, "model") }
        : null);

    // Opening a folder reads the headers of its weights: done again only when a file of it has changed.
    private readonly ConcurrentDictionary<string, (string Fingerprint, Model Model)> _seen = new();

    public const string SampleName = "sample";

    /// <summary>A usable model by name, path or id of the hub, in this order, checked down to the headers of its weight files.</summary>
    /// <param name="field">JSON path of the reference.</param>
    /// <exception cref="ProblemException">
    /// unknown_model, model_outside_roots, unsupported_model, invalid_model, pickle_only_model, not_available for a revision of a folder, or one of the hub's.
    /// </exception>
    public async Task<Model> RequireAsync(ModelReference reference, string field, CancellationToken ct)
    {
        var (id, path) = (reference.Id, field + ".id");
        try
        {
            var model = Open(id, _roots.Resolve(id));
            return reference.Revision is null or "main" ? model : throw new ProblemException(ProblemCodes.NotAvailable,
                $"'{reference.Revision}': '{id}' is a local folder, which has no revisions; its files' hashes are recorded instead", field + ".revision");
        }
        catch (RootedPathException e) when (e.Fault == RootedPathFault.Outside)
        {
            throw new ProblemException(ProblemCodes.ModelOutsideRoots, e.Message, path, e);
        }
        catch (RootedPathException e)
        {
            if (hub.Enabled && HubRepo.IsId(id))
                return await FromHubAsync(reference, field, ct);
            throw new ProblemException(ProblemCodes.UnknownModel,
                $"{e.Message}{(hub.Enabled ? ", and is no id of the hub (owner/name)" : ", and this service fetches nothing from a hub (Hub:Enabled)")}. " +
                "Put the model's folder (config.json, safetensors, tokenizer.json) under a folder of Models:Roots.", path, e);
        }
        catch (CheckpointException e)
        {
            throw new ProblemException(SourceProblems.CodeOf(e.Fault), e.Message, path, e);
        }
    }

    private async Task<Model> FromHubAsync(ModelReference reference, string field, CancellationToken ct)
    {
        try
        {
            return await hub.RequireAsync(reference, field, ct);
        }
        catch (CheckpointException e)
        {
            throw new ProblemException(SourceProblems.CodeOf(e.Fault), e.Message, field + ".id", e);
        }
    }

    /// <summary>All that can be named, usable or not: folders with a config.json, directly under a root or one folder deeper (<c>organisation/name</c>).</summary>
    public IReadOnlyList<Model> List()
    {
        var found = new SortedDictionary<string, Model>(StringComparer.Ordinal);
        foreach (var (name, place) in _roots.Named)
            found[name] = Describe(name, place);
        foreach (var root in _roots.Roots)
            foreach (var folder in FoldersOf(root).SelectMany(folder => IsModel(folder) ? [folder] : FoldersOf(folder).Where(IsModel)))
            {
                var name = Path.GetRelativePath(root, folder).Replace(Path.DirectorySeparatorChar, '/');
                if (!found.ContainsKey(name) && _roots.Contains(folder))
                    found[name] = Describe(name, folder);
            }
        return [.. found.Values];
    }

    /// <summary>A model by name, whether or not it is usable; null where there is none of this name.</summary>
    public Model? Find(string id)
    {
        try
        {
            return Describe(id, _roots.Resolve(id));
        }
        catch (RootedPathException)
        {
            return null;
        }
    }

    /// <summary>Where the files of a model are; null for one of the hub.</summary>
    public string? FolderOf(Model model) => model.Source == "folder" ? _roots.Resolve(model.Id) : null;

    private Model Describe(string id, string path)
    {
        try
        {
            return Open(id, path);
        }
        catch (CheckpointException e)
        {
            return new Model
            {
                Id = id,
                Family = FamilyOf(path),
                Layers = 0,
                DModel = 0,
                VocabularySize = 0,
                ContextLength = 0,
                Parameters = 0,
                Usable = false,
                Problem = e.Message,
            };
        }
    }

    private Model Open(string id, string path)
    {
        var fingerprint = Fingerprint(path);
        if (_seen.TryGetValue(path, out var seen) && seen.Fingerprint == fingerprint)
            return seen.Model with { Id = id };
        var folder = ModelFolder.Open(path);
        foreach (var file in folder.Files)
            if (!_roots.Contains(Path.Combine(path, file.Name)))
                throw new CheckpointException(CheckpointFault.OutsideFolder, Path.Combine(path, file.Name), null, "links to a file outside the folders that the operator allows");
        var model = new Model
        {
            Id = id,
            Family = folder.Description.Family,
            Layers = folder.Description.Layers,
            DModel = folder.Description.DModel,
            VocabularySize = folder.Description.VocabularySize,
            ContextLength = folder.Description.ContextLength,
            Parameters = folder.Description.Parameters,
            WeightBytes = folder.Description.Parameters * folder.StoredType.Size(),
            Usable = true,
        };
        _seen[path] = (fingerprint, model);
        return model;
    }

    private static string Fingerprint(string path) => !Directory.Exists(path) ? "" : string.Join('\n',
        new DirectoryInfo(path).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal).Select(f => $"{f.Name} {f.Length} {f.LastWriteTimeUtc.Ticks}"));

    private static bool IsModel(string folder) => File.Exists(Path.Combine(folder, "config.json"));

    private static IEnumerable<string> FoldersOf(string folder)
    {
        var options = new EnumerationOptions { IgnoreInaccessible = true };
        return Directory.EnumerateDirectories(folder, "*", options).Order(StringComparer.Ordinal);
    }

    private static string FamilyOf(string path)
    {
        try
        {
            var file = new FileInfo(Path.Combine(path, "config.json"));
            if (!file.Exists || file.Length > 1 << 20)
                return "unknown";
            using var config = JsonDocument.Parse(File.ReadAllBytes(file.FullName));
            return config.RootElement.TryGetProperty("model_type", out var family) && family.ValueKind == JsonValueKind.String ? family.GetString()! : "unknown";
        }
        catch (Exception e) when (e is JsonException or IOException or InvalidOperationException or UnauthorizedAccessException)
        {
            return "unknown";
        }
    }
}
