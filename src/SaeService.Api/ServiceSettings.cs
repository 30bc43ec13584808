using Microsoft.Extensions.Options;
using SaeService.Sources;

namespace SaeService.Api;

/// <summary>What an operator sets, by configuration key. Everything but the connection string has a default.</summary>
public sealed class ServiceSettings
{
    public required string ConnectionString { get; init; }

    /// <summary><c>Artifacts:Root</c>: folder of the artifact store.</summary>
    public string ArtifactsRoot { get; init; } = "artifacts";

    /// <summary><c>Models:Roots</c>: folders whose sub-folders can be named as models.</summary>
    public IReadOnlyList<string> ModelRoots { get; init; } = [];

    /// <summary><c>Datasets:Roots</c>: folders whose entries can be named as data sets.</summary>
    public IReadOnlyList<string> DatasetRoots { get; init; } = [];

    /// <summary><c>Bundled:Root</c>: folder with <c>model/</c> and <c>corpus/</c>, which appear as model and data set "sample".</summary>
    public string? BundledRoot { get; init; }

    /// <summary><c>Access:Mode</c>: <c>keys</c> (default), or <c>open</c>, which is allowed on loopback only.</summary>
    public string AccessMode { get; init; } = "keys";

    /// <summary><c>Webhooks:AllowPrivate</c>: webhooks may go to private addresses, this machine among them, and by http. Default false.</summary>
    public bool WebhooksAllowPrivate { get; init; }
    public LimitSettings Limits { get; init; } = new();

    /// <summary><c>Hub:*</c>, <c>Catalogue:*</c>, <c>Annotator:*</c>: what may be fetched, and from where.</summary>
    public required SourceSettings Sources { get; init; }

    public bool Open => AccessMode == "open";

    public static ServiceSettings From(IConfiguration configuration) => new()
    {
        ConnectionString = configuration.GetConnectionString("Default") is { Length: > 0 } named
            ? named
            : throw new OptionsValidationException("ConnectionStrings", typeof(ServiceSettings),
                ["ConnectionStrings:Default is not set; it names the Postgres database (or use 'sae up', which brings its own)"]),
        ArtifactsRoot = Path.GetFullPath(configuration["Artifacts:Root"] ?? "artifacts"),
        ModelRoots = configuration.GetSection("Models:Roots").Get<string[]>() ?? [],
        DatasetRoots = configuration.GetSection("Datasets:Roots").Get<string[]>() ?? [],
        BundledRoot = configuration["Bundled:Root"],
        AccessMode = configuration["Access:Mode"] is null or "keys" ? "keys" : configuration["Access:Mode"] is "open" ? "open"
            : throw new OptionsValidationException("Access", typeof(ServiceSettings), [$"Access:Mode is '{configuration["Access:Mode"]}'; it is keys or open"]),
        WebhooksAllowPrivate = configuration["Webhooks:AllowPrivate"] is { } allow
            ? bool.TryParse(allow, out var allowed) ? allowed
                : throw new OptionsValidationException("Webhooks", typeof(ServiceSettings), [$"Webhooks:AllowPrivate is '{allow}'; it is true or false"])
            : false,
        Limits = LimitSettings.From(configuration.GetSection("Limits")),
        Sources = SourcesOf(configuration),
    };

    private static SourceSettings SourcesOf(IConfiguration configuration)
    {
        try
        {
            var sources = SourceSettings.Read(key => configuration[key]);
            CatalogueEntry.Load(sources.CatalogueFile); // or what is wrong with it, now and not at the first request
            return sources;
        }
        catch (FormatException e)
        {
            throw new OptionsValidationException("Sources", typeof(SourceSettings), [e.Message]);
        }
    }
}

/// <summary><c>Limits:*</c>.</summary>
public sealed class LimitSettings
{
    /// <summary>Largest data set that can be uploaded, bytes.</summary>
    public long MaxUploadBytes { get; init; } = 512L << 20;

    /// <summary>Largest JSON body, bytes.</summary>
    public long MaxJsonBytes { get; init; } = 1L << 20;

    /// <summary>Jobs of one key that may be queued at a time.</summary>
    public int QueuedJobsPerKey { get; init; } = 20;

    /// <summary>Requests of one key: a bucket of <see cref="RequestBurst"/> that fills at this rate.</summary>
    public int RequestsPerSecond { get; init; } = 20;
    public int RequestBurst { get; init; } = 300;

    /// <summary>Streams of events, and requests that wait, which one key may hold open.</summary>
    public int WaitsPerKey { get; init; } = 50;

    /// <summary>How long a text to be inspected waits for a worker's answer, seconds.</summary>
    public int InspectionSeconds { get; init; } = 30;

    /// <summary>What a job may write to disk; absent: what is free under <c>Artifacts:Root</c>.</summary>
    public long? MaxDiskBytes { get; init; }

    /// <summary>What a stage of a job may hold in memory; absent: this machine's memory.</summary>
    public long? MaxMemoryBytes { get; init; }

    public static LimitSettings From(IConfigurationSection section)
    {
        var limits = section.Get<LimitSettings>() ?? new LimitSettings();
        var wrong = typeof(LimitSettings).GetProperties()
            .Where(property => property.GetValue(limits) is { } value && Convert.ToInt64(value, null) <= 0)
            .Select(property => $"Limits:{property.Name} must be positive").ToList();
        return wrong.Count == 0 ? limits : throw new OptionsValidationException("Limits", typeof(LimitSettings), wrong);
    }
}
