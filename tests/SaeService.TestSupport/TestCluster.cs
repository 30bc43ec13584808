using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using SaeService.Storage;
using Xunit;

namespace SaeService.TestSupport;

/// <summary>
/// A real Postgres for tests: one throwaway cluster a test process, or the server that <c>SAE_TEST_POSTGRES</c> (a connection string of a
/// user who may create databases) names. Each test gets a database of its own, copied from one that was migrated once.
/// </summary>
public static class TestCluster
{
    private static readonly Lazy<Task<string>> s_server = new(StartAsync);
    private static readonly ConcurrentDictionary<string, Lazy<Task<string>>> s_templates = new();
    private static int s_databases;

    /// <summary>A fresh database with the schema that <paramref name="migrate"/> makes; it is gone with the disposal.</summary>
    /// <param name="migrate">Called once a test process and method; pass a method group, <c>HangfireSetup.MigrateAsync</c>.</param>
    public static async Task<TestDatabase> CreateDatabaseAsync(Func<string, CancellationToken, Task> migrate)
    {
        var method = $"{migrate.Method.DeclaringType?.FullName}.{migrate.Method.Name}";
        var template = await s_templates.GetOrAdd(method, _ => new(() => MakeTemplateAsync(migrate))).Value;
        return await NewDatabaseAsync($"TEMPLATE {template}");
    }

    /// <summary>A fresh, empty database.</summary>
    public static Task<TestDatabase> CreateEmptyDatabaseAsync() => NewDatabaseAsync("");

    private static async Task<TestDatabase> NewDatabaseAsync(string clause)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"t_{Environment.ProcessId}_{Interlocked.Increment(ref s_databases)}_{Guid.NewGuid():N}");
        await ExecuteAsync($"CREATE DATABASE {name} {clause}");
        // Patient: the machine may be busy with a build or with other tests.
        var settings = new NpgsqlConnectionStringBuilder(await s_server.Value) { Database = name, MaxPoolSize = 50, Timeout = 60, CommandTimeout = 120 };
        return new TestDatabase(settings.ConnectionString, () => ExecuteAsync($"DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    private static async Task<string> MakeTemplateAsync(Func<string, CancellationToken, Task> migrate)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"template_{Environment.ProcessId}_{Interlocked.Increment(ref s_databases)}_{Guid.NewGuid():N}");
        await ExecuteAsync($"CREATE DATABASE {name}");
        var settings = new NpgsqlConnectionStringBuilder(await s_server.Value) { Database = name };
        await migrate(settings.ConnectionString, CancellationToken.None);
        // A database that somebody is connected to can not be copied.
        NpgsqlConnection.ClearAllPools();
        await ExecuteAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        return name;
    }

    private static async Task DropTemplatesAsync()
    {
        foreach (var template in s_templates.Values)
            if (template.Value.IsCompletedSuccessfully)
                await ExecuteAsync($"DROP DATABASE IF EXISTS {template.Value.Result} WITH (FORCE)");
    }

    private static async Task ExecuteAsync(string sql)
    {
        var settings = new NpgsqlConnectionStringBuilder(await s_server.Value) { Pooling = false };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<string> StartAsync()
    {
        if (Environment.GetEnvironmentVariable("SAE_TEST_POSTGRES") is { Length: > 0 } named)
        {
            AppDomain.CurrentDomain.ProcessExit += (_, _) => DropTemplatesAsync().GetAwaiter().GetResult();
            return named;
        }
        var cluster = PrivateCluster.Throwaway();
        try
        {
            var connection = await cluster.EnsureStartedAsync();
            AppDomain.CurrentDomain.ProcessExit += (_, _) => cluster.StopAsync().GetAwaiter().GetResult();
            return connection;
        }
        catch (PostgresUnavailableException error)
        {
            Assert.Skip(error.Message);
            throw;
        }
    }
}

/// <summary>A database that is one test's own.</summary>
public sealed class TestDatabase(string connectionString, Func<Task> drop) : IAsyncDisposable
{
    public string ConnectionString { get; } = connectionString;

    public async ValueTask DisposeAsync() => await drop();
}
