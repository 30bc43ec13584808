using System.Globalization;

namespace SaeService.Sources;

/// <summary>Where models and data sets may be fetched from, as the operator set it. No record: the token must not be printed.</summary>
public sealed class SourceSettings
{
    public const string DefaultEndpoint = "https://huggingface.co";
    private static readonly string[] s_hubHosts = ["*.huggingface.co", "huggingface.co", "*.hf.co", "hf.co"];

    /// <summary><c>Hub:Enabled</c>: ids of the hub and names of the catalogue may be used in jobs. Default false.</summary>
    public bool Enabled { get; init; }

    /// <summary><c>Hub:Endpoint</c>, else <c>HF_ENDPOINT</c>: the hub or a mirror of it.</summary>
    public Uri Endpoint { get; init; } = new(DefaultEndpoint);

    /// <summary><c>Hub:Token</c>, else <c>HF_TOKEN</c>; sent to the endpoint itself alone.</summary>
    public string? Token { get; init; }

    /// <summary><c>Hub:CacheFolder</c>, else <c>HF_HUB_CACHE</c>, <c>HF_HOME/hub</c>, or the user's <c>.cache/huggingface/hub</c>.</summary>
    public required string CacheFolder { get; init; }

    /// <summary><c>Hub:Offline</c>, else <c>HF_HUB_OFFLINE</c>: nothing is fetched, the cache is used.</summary>
    public bool Offline { get; init; }

    /// <summary><c>Hub:MaxBytes</c>: what the cache may hold; what was not used for longest goes first. Absent: no limit.</summary>
    public long? MaxBytes { get; init; }

    /// <summary><c>Hub:AllowedHosts:0…</c>: where the endpoint may redirect to. Absent: where the hub itself does.</summary>
    public IReadOnlyList<string>? AllowedHosts { get; init; }

    /// <summary><c>Hub:UseProxy</c>: the machine's proxy (<c>HTTPS_PROXY</c>) is used. Default false.</summary>
    public bool UseProxy { get; init; }

    /// <summary><c>Catalogue:File</c>: data sets of the operator's own, by name.</summary>
    public string? CatalogueFile { get; init; }

    /// <summary><c>Annotator:Url</c>: the address of a UDPipe service's <c>process</c> call, and <c>Annotator:Model</c> its model.</summary>
    public Uri? AnnotatorUrl { get; init; }
    public string? AnnotatorModel { get; init; }

    /// <summary>What the hub may be asked at, redirects included. What the operator named himself may be on his own network.</summary>
    internal HostRules HubHosts => new([Endpoint], AllowedHosts ?? s_hubHosts, Endpoint != new Uri(DefaultEndpoint), AllowedHosts is not null);

    /// <summary>Large files are fetched in pieces of this size, over so many connections.</summary>
    internal long PieceBytes { get; init; } = 64 << 20;
    internal int Connections { get; init; } = 4;
    internal HttpLimits Limits { get; init; } = new();
    internal Func<string, long> FreeBytes { get; init; } = folder => new DriveInfo(folder).AvailableFreeSpace;

    /// <param name="setting">The value of a configuration key; null where it is not set.</param>
    /// <param name="environment">The value of an environment variable.</param>
    /// <exception cref="FormatException">Names the key.</exception>
    public static SourceSettings Read(Func<string, string?> setting, Func<string, string?>? environment = null)
    {
        environment ??= Environment.GetEnvironmentVariable;
        string? Value(string key, string? variable = null) => setting(key) is { Length: > 0 } set ? set : variable is not null && environment(variable) is { Length: > 0 } named ? named : null;
        var hosts = Enumerable.Range(0, 1000).Select(i => setting($"Hub:AllowedHosts:{i}")).TakeWhile(host => host is not null).OfType<string>().ToList();
        return new SourceSettings
        {
            Enabled = Flag("Hub:Enabled", Value("Hub:Enabled")),
            Endpoint = Address("Hub:Endpoint", Value("Hub:Endpoint", "HF_ENDPOINT")) ?? new Uri(DefaultEndpoint),
            Token = Value("Hub:Token", "HF_TOKEN") is { } token ? CheckToken(token) : null,
            CacheFolder = Path.GetFullPath(Value("Hub:CacheFolder", "HF_HUB_CACHE") ?? DefaultCache(environment)),
            Offline = Flag("Hub:Offline", Value("Hub:Offline", "HF_HUB_OFFLINE")),
            MaxBytes = Value("Hub:MaxBytes") is not { } bytes ? null : long.TryParse(bytes, NumberStyles.None, CultureInfo.InvariantCulture, out var most) && most > 0 ? most
                : throw new FormatException($"Hub:MaxBytes is '{bytes}'; it is a number of bytes"),
            AllowedHosts = hosts.Count > 0 ? CheckHosts(hosts) : null,
            UseProxy = Flag("Hub:UseProxy", Value("Hub:UseProxy")),
            CatalogueFile = Value("Catalogue:File"),
            AnnotatorUrl = Address("Annotator:Url", Value("Annotator:Url")),
            AnnotatorModel = Value("Annotator:Model"),
        };
    }

    private static bool Flag(string key, string? value) => value?.ToLowerInvariant() switch
    {
        null or "false" or "0" or "no" or "off" => false,
        "true" or "1" or "yes" or "on" => true,
        _ => throw new FormatException($"{key} is '{value}'; it is true or false"),
    };

    private static Uri? Address(string key, string? value)
    {
        if (value is null)
            return null;
        return Uri.TryCreate(value.TrimEnd('/'), UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http" && uri.UserInfo.Length == 0 && uri.Query.Length == 0 && uri.Fragment.Length == 0
            ? uri
            : throw new FormatException($"{key} must be an address like https://huggingface.co, without user name or query");
    }

    private static List<string> CheckHosts(List<string> hosts)
    {
        try
        {
            _ = new HostRules([], hosts, false, false);
            return hosts;
        }
        catch (FormatException e)
        {
            throw new FormatException($"Hub:AllowedHosts: {e.Message}", e);
        }
    }

    private static string CheckToken(string token) => token.Length <= 500 && token.All(c => c is > ' ' and < '\x7f') ? token
        : throw new FormatException("Hub:Token (or HF_TOKEN) is no token: it has spaces or control characters, or is too long");

    private static string DefaultCache(Func<string, string?> environment)
    {
        if (environment("HF_HOME") is { Length: > 0 } home)
            return Path.Combine(home, "hub");
        var cache = environment("XDG_CACHE_HOME") is { Length: > 0 } named ? named
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".cache");
        return Path.Combine(cache, "huggingface", "hub");
    }
}
