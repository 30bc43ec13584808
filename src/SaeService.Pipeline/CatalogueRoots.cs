using Microsoft.Extensions.Configuration;
using SaeService.Sources;
using SaeService.Storage;

namespace SaeService.Pipeline;

/// <summary>The operator's folders and the hub, as the interface has them: names are resolved again where the work is done, by the same rules.</summary>
public sealed record CatalogueRoots(FolderRoots Models, FolderRoots Datasets, HubSource Hub)
{
    public static CatalogueRoots Read(IConfiguration configuration)
    {
        var bundled = configuration["Bundled:Root"];
        return new(
            new FolderRoots(Folders("Models:Roots"), Sample("model")),
            new FolderRoots(Folders("Datasets:Roots"), Sample("corpus")),
            new HubSource(SourceSettings.Read(key => configuration[key])));

        string[] Folders(string key) => [.. configuration.GetSection(key).GetChildren().Select(x => x.Value).OfType<string>()];
        Dictionary<string, string>? Sample(string part) => bundled is null ? null : new() { ["sample"] = Path.Combine(bundled, part) };
    }
}
