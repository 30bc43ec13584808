using System.Net;
using System.Net.Sockets;
using System.Reflection;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Cli;

/// <param name="Home">Where the private cluster, artifacts and logs live.</param>
/// <param name="Port">Of the interface; 0 takes a free one.</param>
/// <param name="Models">Folders whose sub-folders can be named as models.</param>
/// <param name="Datasets">Folders whose entries can be named as data sets.</param>
public sealed record LocalOptions(string Home, int Port, IReadOnlyList<string> Models, IReadOnlyList<string> Datasets, int Workers = 1);

/// <summary>
/// The whole service on this machine: Postgres (the one that is named, the compose file's, or a private cluster), one Api on loopback without
/// keys, and the Workers. Everything started here ends with it.
/// </summary>
public sealed class LocalService : IAsyncDisposable
{
    private readonly List<ServiceProcess> _processes = [];
    private PrivateCluster? _cluster;

    public Uri Address { get; private set; } = null!;
    public string ConnectionString { get; private set; } = null!;
    public string Home { get; private set; } = null!;
    public IEnumerable<int> WorkerProcessIds => _processes.Skip(1).Select(p => p.ProcessId).OfType<int>();

    public static async Task<LocalService> StartAsync(LocalOptions options, Action<string> say, CancellationToken ct)
    {
        var service = new LocalService { Home = options.Home };
        try
        {
            await service.StartCoreAsync(options, say, ct);
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    private async Task StartCoreAsync(LocalOptions options, Action<string> say, CancellationToken ct)
    {
        var logs = Directory.CreateDirectory(Path.Combine(options.Home, "logs")).FullName;
        var artifacts = Directory.CreateDirectory(Path.Combine(options.Home, "artifacts")).FullName;
        (ConnectionString, var origin) = await DatabaseAsync(options.Home, say, ct);
        say($"Postgres: {origin}");
        await HangfireSetup.MigrateAsync(ConnectionString, ct);

        var port = options.Port == 0 ? FreePort() : options.Port;
        Address = new Uri($"http://127.0.0.1:{port}");
        var environment = new Dictionary<string, string>
        {
            ["ConnectionStrings__Default"] = ConnectionString,
            ["Artifacts__Root"] = artifacts,
            ["Bundled__Root"] = Path.Combine(AppContext.BaseDirectory, "bundle"),
            ["DOTNET_ENVIRONMENT"] = "Production",
            // One's own machine: what one names may be fetched. HF_HUB_OFFLINE, HF_TOKEN and the like are inherited.
            ["Hub__Enabled"] = Environment.GetEnvironmentVariable("Hub__Enabled") ?? "true",
        };
        for (var i = 0; i < options.Models.Count; i++)
            environment[$"Models__Roots__{i}"] = Path.GetFullPath(options.Models[i]);
        for (var i = 0; i < options.Datasets.Count; i++)
            environment[$"Datasets__Roots__{i}"] = Path.GetFullPath(options.Datasets[i]);

        _processes.Add(ServiceProcess.Start("interface", Sibling.Find("Api"),
            new Dictionary<string, string>(environment) { ["ASPNETCORE_URLS"] = Address.ToString().TrimEnd('/'), ["Access__Mode"] = "open" },
            Path.Combine(logs, "api.log"), say));
        for (var worker = 0; worker < options.Workers; worker++)
            _processes.Add(ServiceProcess.Start("worker", Sibling.Find("Worker"),
                new Dictionary<string, string>(environment)
                {
                    ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                    ["Worker__Name"] = $"local-{worker}",
                    ["Worker__Threads"] = Math.Max(1, Environment.ProcessorCount / options.Workers).ToString(System.Globalization.CultureInfo.InvariantCulture),
                },
                Path.Combine(logs, $"worker-{worker}.log"), say));
        await WaitForInterfaceAsync(Path.Combine(logs, "api.log"), ct);
    }

    /// <summary>In this order: the connection string that is set, the compose file's database if it answers, a private cluster.</summary>
    private async Task<(string ConnectionString, string Origin)> DatabaseAsync(string home, Action<string> say, CancellationToken ct)
    {
        if (Environment.GetEnvironmentVariable("ConnectionStrings__Default") is { Length: > 0 } named)
            return (named, "the one ConnectionStrings__Default names");
        if (await ComposeDatabase.FindAsync(ct) is { } compose)
            return (compose, "the compose file's, on 127.0.0.1:54329");
        _cluster = new PrivateCluster(Path.Combine(home, "postgres"), say);
        try
        {
            return (await _cluster.EnsureStartedAsync(ct), $"a private cluster in {_cluster.Folder}");
        }
        catch (PostgresUnavailableException e)
        {
            throw new CliException(e.Message, e);
        }
    }

    private async Task WaitForInterfaceAsync(string log, CancellationToken ct)
    {
        using var http = new HttpClient { BaseAddress = Address, Timeout = TimeSpan.FromSeconds(2) };
        for (var i = 0; i < 300; i++)
        {
            ct.ThrowIfCancellationRequested();
            if (_processes[0].Exited)
                throw new CliException($"the interface did not start:{Environment.NewLine}{LastLines(log)}");
            try
            {
                using var answer = await http.GetAsync("/healthz/live", ct);
                if (answer.IsSuccessStatusCode)
                    return;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !ct.IsCancellationRequested)
            {
            }
            await Task.Delay(100, ct);
        }
        throw new CliException($"the interface did not answer within 30 seconds; its log is {log}");
    }

    private static string LastLines(string file) => File.Exists(file) ? string.Join(Environment.NewLine, File.ReadLines(file).TakeLast(8)) : "(no log)";

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public static string DefaultHome =>
        Environment.GetEnvironmentVariable("SAE_HOME") is { Length: > 0 } home ? home
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "saeservice");

    public static string Version => typeof(LocalService).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_processes.Select(p => p.DisposeAsync().AsTask()));
        if (_cluster is not null)
            await _cluster.StopAsync();
    }
}
