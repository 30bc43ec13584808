using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Xunit;

namespace SaeService.Storage.Tests;

/// <summary>With a durable cluster, as a machine without Postgres would have it. Skips where no binaries are found.</summary>
public sealed class PrivateClusterTests : IAsyncLifetime
{
    private readonly string _parent = Directory.CreateTempSubdirectory("sae-cluster-").FullName;
    private readonly List<PrivateCluster> _clusters = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        // As root the server's user must get through; otherwise the cluster would be elsewhere.
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_parent, File.GetUnixFileMode(_parent) | UnixFileMode.OtherExecute | UnixFileMode.OtherRead);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in _clusters)
            await cluster.StopAsync(CancellationToken.None);
        Directory.Delete(_parent, recursive: true);
    }

    [Fact]
    public async Task It_starts_stops_and_keeps_what_was_written()
    {
        var cluster = await OpenAsync();
        var first = await cluster.EnsureStartedAsync(Token);
        Assert.Equal(first, await cluster.EnsureStartedAsync(Token));
        await ExecuteAsync(first, "CREATE TABLE kept AS SELECT 42 AS x");
        await cluster.StopAsync(Token);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => ExecuteAsync(first, "SELECT 1"));

        var second = await cluster.EnsureStartedAsync(Token);
        Assert.Equal(42, await ScalarAsync(second, "SELECT x FROM kept"));
        const string sockets = "SELECT current_setting('listen_addresses') || '|' || current_setting('unix_socket_directories')";
        Assert.Equal("127.0.0.1|", await ScalarAsync(second, sockets));
        var wrong = new NpgsqlConnectionStringBuilder(second) { Password = "guess", Pooling = false }.ConnectionString;
        await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(wrong, "SELECT 1"));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(cluster.Folder, "password")));
    }

    [Fact]
    public async Task Two_processes_share_it_and_the_last_to_leave_stops_it()
    {
        var here = await OpenAsync();
        var there = new PrivateCluster(here.Folder);
        _clusters.Add(there);
        var connections = await Task.WhenAll(here.EnsureStartedAsync(Token), there.EnsureStartedAsync(Token));
        Assert.Equal(connections[0], connections[1]);
        await here.StopAsync(Token);
        await ExecuteAsync(connections[1], "SELECT 1");
        await there.StopAsync(Token);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => ExecuteAsync(connections[1], "SELECT 1"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_server_that_was_killed_is_started_again(bool numberReused)
    {
        var cluster = await OpenAsync();
        await cluster.EnsureStartedAsync(Token);
        var file = Path.Combine(cluster.Folder, "data", "postmaster.pid");
        var lines = await File.ReadAllLinesAsync(file, Token);
        using (var server = Process.GetProcessById(int.Parse(lines[0], CultureInfo.InvariantCulture)))
        {
            server.Kill();
            await server.WaitForExitAsync(Token);
        }
        // Orphans of a killed server leave within moments; until then postgres refuses to start, rightly.
        await Task.Delay(500, Token);
        if (numberReused)
            await File.WriteAllLinesAsync(file, [Environment.ProcessId.ToString(CultureInfo.InvariantCulture), .. lines.Skip(1)], Token);
        await ExecuteAsync(await cluster.EnsureStartedAsync(Token), "SELECT 1");
    }

    [Fact]
    public async Task The_server_ends_with_the_last_process_that_uses_it_even_where_that_is_killed()
    {
        if (!OperatingSystem.IsLinux() || Programs.OnPath("flock") is null)
            Assert.Skip("needs flock");
        var cluster = await OpenAsync();
        var connection = await cluster.EnsureStartedAsync(Token);
        using var server = Process.GetProcessById(int.Parse(
            (await File.ReadAllLinesAsync(Path.Combine(cluster.Folder, "data", "postmaster.pid"), Token))[0], CultureInfo.InvariantCulture));
        // As if killed: the watchdog's pipe and the shared lock close without a word.
        var watchdog = cluster.AbandonAsync();
        var successor = new PrivateCluster(cluster.Folder);
        _clusters.Add(successor);
        Assert.Equal(connection, await successor.EnsureStartedAsync(Token));
        await watchdog;
        await ExecuteAsync(connection, "SELECT 1");
        Assert.False(server.HasExited);

        await successor.AbandonAsync();
        await server.WaitForExitAsync(Token);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => ExecuteAsync(connection, "SELECT 1"));
    }

    [Fact]
    public async Task A_cluster_of_another_version_is_refused_and_left_alone()
    {
        var cluster = await OpenAsync();
        await cluster.EnsureStartedAsync(Token);
        await cluster.StopAsync(Token);
        var version = Path.Combine(cluster.Folder, "data", "PG_VERSION");
        var real = await File.ReadAllTextAsync(version, Token);
        await File.WriteAllTextAsync(version, "9\n", Token);
        var error = await Assert.ThrowsAsync<PostgresUnavailableException>(() => cluster.EnsureStartedAsync(Token));
        Assert.Contains("made by PostgreSQL 9", error.Message);
        Assert.Contains("pg_dumpall", error.Message);
        await File.WriteAllTextAsync(version, real, Token);
        await ExecuteAsync(await cluster.EnsureStartedAsync(Token), "SELECT 1");
    }

    [Fact]
    public async Task A_cluster_whose_making_was_interrupted_is_made_anew()
    {
        var cluster = await OpenAsync();
        Directory.CreateDirectory(Path.Combine(cluster.Folder, "data.new", "base"));
        await File.WriteAllTextAsync(Path.Combine(cluster.Folder, "password"), "old", Token);
        await ExecuteAsync(await cluster.EnsureStartedAsync(Token), "SELECT 1");
    }

    [Fact]
    public async Task An_ordinary_user_has_one_too()
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
            Assert.Skip("only root can become another user; every other test of this class has run as an ordinary one");
        if (Programs.OnPath("setpriv") is not { } setpriv)
        {
            Assert.Skip("needs setpriv");
            return;
        }
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if ((folder.UnixFileMode & UnixFileMode.OtherExecute) == 0)
                Assert.Skip($"{folder} is closed to other users");
        var start = new ProcessStartInfo(setpriv, ["--reuid=65534", "--regid=65534", "--clear-groups", "--", Environment.ProcessPath!,
            .. Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? new[] { typeof(PrivateClusterTests).Assembly.Location } : [],
            "-method", "*PrivateClusterTests.It_starts*"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["HOME"] = "/nonexistent";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(Token);
        var error = process.StandardError.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        Assert.True(process.ExitCode == 0, await output + await error);
        Assert.Contains("Total: 1", await output);
    }

    private async Task<PrivateCluster> OpenAsync()
    {
        try
        {
            await PostgresPrograms.FindAsync(null, _parent, Path.Combine(_parent, "postgres-binaries"), _ => { }, Token);
        }
        catch (PostgresUnavailableException error)
        {
            Assert.Skip(error.Message);
        }
        var cluster = new PrivateCluster(Path.Combine(_parent, "pg"));
        Assert.Equal(Path.Combine(_parent, "pg"), cluster.Folder);
        _clusters.Add(cluster);
        return cluster;
    }

    private static async Task ExecuteAsync(string connectionString, string sql) => await ScalarAsync(connectionString, sql);

    private static async Task<object?> ScalarAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Token);
    }
}
