using Microsoft.Extensions.Configuration;
using SaeService.Contracts;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Pipeline;

/// <summary>The operator's folders and the hub, as the interface has them: names are resolved again where the work is done, by the same rules.</summary>
public sealed record CatalogueRoots(FolderRoots Models, FolderRoots Datasets, HubSource Hub, DatasetSource PublicDatasets)
{
    /// <summary>A job's model: where its revision is a commit, the hub's at that commit, fetched where it is not here; else the folder of that name.</summary>
    /// <param name="progress">Called from several threads, often.</param>
    /// <exception cref="RootedPathException">There is no such folder any more.</exception>
    /// <exception cref="SourceException">It can not be fetched.</exception>
    public Task<Snapshot> OpenModelAsync(ModelReference model, Action<FetchProgress>? progress, CancellationToken cancellation) =>
        model.Revision is { } revision && HubRepo.IsCommit(revision)
            ? Hub.FetchModelAsync(HubRepo.Of(RepoKind.Model, model.Id), revision, progress, cancellation)
            : Task.FromResult(new Snapshot(Models.Resolve(model.Id)));

    public static CatalogueRoots Read(IConfiguration configuration)
    {
        var bundled = configuration["Bundled:Root"];
        var sources = SourceSettings.Read(key => configuration[key]);
        var hub = new HubSource(sources);
        return new(
            new FolderRoots(Folders("Models:Roots"), Sample("model")),
            new FolderRoots(Folders("Datasets:Roots"), Sample("corpus")),
            hub,
            new DatasetSource(sources, hub));

        string[] Folders(string key) => [.. configuration.GetSection(key).GetChildren().Select(x => x.Value).OfType<string>()];
        Dictionary<string, string>? Sample(string part) => bundled is null ? null : new() { ["sample"] = Path.Combine(bundled, part) };
    }
}
