using Hangfire;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SaeService.Contracts;
using SaeService.Storage;
using SaeService.TestSupport;

namespace SaeService.Queueing.Tests;

/// <summary>The queue as a process would have it, on a database of its own; hosted services are not started.</summary>
public sealed class QueueFixture : IAsyncDisposable
{
    private readonly TestDatabase _database;
    private readonly ServiceProvider _services;
    private readonly string _artifacts = Directory.CreateTempSubdirectory("sae-queue-").FullName;

    private QueueFixture(TestDatabase database, QueueOptions options)
    {
        _database = database;
        _services = new ServiceCollection()
            .AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning).AddProvider(new TestOutput()))
            .AddSaeStorage(database.ConnectionString).AddSaeArtifacts(_artifacts).AddSaeHangfireClient(database.ConnectionString)
            .AddSaeQueueing(options).AddSaeJobSignals().AddSingleton<Reconciler>().BuildServiceProvider();
    }

    public static CancellationToken Token => Xunit.TestContext.Current.CancellationToken;
    public string ConnectionString => _database.ConnectionString;
    public JobQueue Queue => Get<JobQueue>();
    public JobReader Reader => Get<JobReader>();
    public StageLeases Leases => Get<StageLeases>();
    public Reconciler Reconciler => Get<Reconciler>();
    public ArtifactStore Artifacts => Get<ArtifactStore>();
    public T Get<T>() where T : notnull => _services.GetRequiredService<T>();

    public static async Task<QueueFixture> CreateAsync(QueueOptions? options = null) =>
        new(await TestCluster.CreateDatabaseAsync(HangfireSetup.MigrateAsync), options ?? new QueueOptions());

    public static JobRequest Request(string? webhook = null) => new()
    {
        Model = new("tiny"),
        Dataset = new("ewt"),
        Layers = new([0, 1]),
        Webhook = webhook is null ? null : new(webhook, "whsec_secret"),
    };

    public async Task<Guid> SubmitAsync(int layers = 2, string? webhook = null) =>
        (await Queue.SubmitAsync(Request(webhook), [.. Enumerable.Range(0, layers)], null, cancellation: Token)).Job.Id;

    public SaeDbContext Open() => Get<IDbContextFactory<SaeDbContext>>().CreateDbContext();

    public async Task<List<StageRow>> StagesAsync(Guid job)
    {
        await using var db = Open();
        return await db.Stages.AsNoTracking().Where(x => x.JobId == job).OrderBy(x => x.Ordinal).ToListAsync(Token);
    }

    public async Task<StageRow> StageAsync(Guid job, StageKind kind, int? layer = null) =>
        (await StagesAsync(job)).Single(x => x.Kind == kind && x.Layer == layer);

    public async Task<JobRow> JobAsync(Guid job)
    {
        await using var db = Open();
        return await db.Jobs.AsNoTracking().SingleAsync(x => x.Id == job, Token);
    }

    public async Task<List<string>> EventsAsync(Guid job) => [.. (await Reader.EventsAsync(job, 0, 1000, Token)).Select(x => x.Type)];

    /// <summary>Claims the stage; it must be granted.</summary>
    public async Task<StageLease> ClaimAsync(Guid job, StageKind kind, int? layer = null, string owner = "worker", CancellationTokenSource? shutdown = null)
    {
        var lease = await Leases.TryClaimAsync((await StageAsync(job, kind, layer)).Id, owner, shutdown?.Token ?? default);
        Xunit.Assert.NotNull(lease);
        return lease;
    }

    public async Task CompleteAsync(Guid job, StageKind kind, int? layer = null)
    {
        using var lease = await ClaimAsync(job, kind, layer);
        Xunit.Assert.True(await lease.SucceedAsync([], cancellation: Token));
    }

    /// <summary>As if the worker's last heartbeat had been long ago.</summary>
    public async Task ExpireAsync(Guid stage)
    {
        await using var db = Open();
        await db.Database.ExecuteSqlAsync($"UPDATE stages SET lease_expires_at = now() - interval '1 minute' WHERE id = {stage}", Token);
    }

    public async Task DueAsync(Guid stage)
    {
        await using var db = Open();
        await db.Database.ExecuteSqlAsync($"UPDATE stages SET not_before = now() - interval '1 second' WHERE id = {stage}", Token);
    }

    /// <summary>Stage ids that Hangfire has queued, with repetitions.</summary>
    public List<Guid> Rung() => [.. Get<JobStorage>().GetMonitoringApi().EnqueuedJobs(HangfireSetup.Queue, 0, 1000).Select(x => (Guid)x.Value.Job.Args[0])];

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await _database.DisposeAsync();
        Directory.Delete(_artifacts, recursive: true);
    }

    /// <summary>What goes wrong behind a call that bears it, a ring that is not heard, say, is read in the test's output.</summary>
    private sealed class TestOutput : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Xunit.TestContext.Current.TestOutputHelper?.WriteLine($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
