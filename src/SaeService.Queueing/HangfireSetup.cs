using System.Text.RegularExpressions;
using Hangfire;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// Hangfire with the settings that long jobs need. It is a doorbell: our own stage rows decide what runs, so a job delivered twice or lost
/// does no harm.
/// </summary>
public static partial class HangfireSetup
{
    public const string Schema = "hangfire";
    public const string Queue = "stages";

    /// <summary>Migrates our tables and Hangfire's, under one lock. Idempotent; any number of processes may call it at once.</summary>
    public static Task MigrateAsync(string connectionString, CancellationToken cancellation = default) =>
        Migrator.MigrateAsync(connectionString, static (connection, stopping) =>
        {
            stopping.ThrowIfCancellationRequested();
            var options = StorageOptions(prepareSchema: true);
            // The constructor installs the schema.
            _ = new PostgreSqlStorage(new NpgsqlConnectionFactory(connection, options), options);
            return Task.CompletedTask;
        }, cancellation);

    /// <summary>Storage, client and dashboard services; enough to enqueue.</summary>
    public static IServiceCollection AddSaeHangfireClient(this IServiceCollection services, string connectionString) =>
        services.AddHangfire(configuration => configuration
            .SetDataCompatibilityLevel(CompatibilityLevel.Version_180)
            .UseSimpleAssemblyNameTypeSerializer()
            .UseRecommendedSerializerSettings()
            .UsePostgreSqlStorage(postgres => postgres.UseNpgsqlConnection(connectionString), StorageOptions(prepareSchema: false))
            .WithJobExpirationTimeout(TimeSpan.FromDays(7)));

    /// <summary>
    /// A server that works stages off, one at a time. Needs <see cref="AddSaeHangfireClient"/> and a scoped <see cref="IStageRunner"/>.
    /// </summary>
    /// <param name="nodeName">Shown in the dashboard; characters that Hangfire refuses become '-'.</param>
    /// <param name="shutdownTimeout">How long a stage may take to write its checkpoint once asked to stop. The host must allow more.</param>
    public static IServiceCollection AddSaeHangfireServer(this IServiceCollection services, string nodeName, TimeSpan? shutdownTimeout = null) =>
        services.AddHangfireServer(server =>
        {
            server.ServerName = NotInNames().Replace(nodeName.ToLowerInvariant(), "-");
            server.Queues = [Queue];
            server.WorkerCount = 1;
            server.IsLightweightServer = false;
            server.CancellationCheckInterval = TimeSpan.FromSeconds(2);
            server.HeartbeatInterval = TimeSpan.FromSeconds(30);
            server.ServerTimeout = TimeSpan.FromMinutes(10);
            server.ServerCheckInterval = TimeSpan.FromMinutes(5);
            server.StopTimeout = TimeSpan.FromMilliseconds(500);
            server.ShutdownTimeout = shutdownTimeout ?? TimeSpan.FromSeconds(60);
            server.SchedulePollingInterval = TimeSpan.FromSeconds(15);
        });

    /// <summary>Job queue, leases, views and reconciler over <c>AddSaeStorage</c>, <c>AddSaeArtifacts</c> and <see cref="AddSaeHangfireClient"/>.</summary>
    public static IServiceCollection AddSaeQueueing(this IServiceCollection services, QueueOptions? options = null)
    {
        services.TryAddSingleton(options ?? new QueueOptions());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<Doorbell>();
        services.TryAddSingleton<JobQueue>();
        services.TryAddSingleton<JobReader>();
        services.TryAddSingleton<StageLeases>();
        services.AddHostedService<Reconciler>();
        return services;
    }

    /// <summary>Wakes who follows a job's events or waits for an inspection; for the process that answers clients.</summary>
    public static IServiceCollection AddSaeJobSignals(this IServiceCollection services)
    {
        services.TryAddSingleton<JobSignals>();
        services.TryAddSingleton<Inspections>();
        services.AddHostedService(provider => provider.GetRequiredService<JobSignals>());
        return services;
    }

    internal static PostgreSqlStorageOptions StorageOptions(bool prepareSchema) => new()
    {
        SchemaName = Schema,
        PrepareSchemaIfNecessary = prepareSchema,
        AllowDegradedModeWithoutStorage = false,
        // Without this, every job longer than the invisibility timeout is delivered a second time.
        UseSlidingInvisibilityTimeout = true,
        InvisibilityTimeout = TimeSpan.FromMinutes(3),
        QueuePollInterval = TimeSpan.FromMilliseconds(500),
        DistributedLockTimeout = TimeSpan.FromMinutes(1),
        // Long polling would hold a second connection per waiting worker.
        EnableLongPolling = false,
    };

    [GeneratedRegex("[^a-z0-9_-]")]
    private static partial Regex NotInNames();
}
