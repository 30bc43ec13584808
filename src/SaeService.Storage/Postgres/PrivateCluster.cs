using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace SaeService.Storage;

/// <summary>
/// A Postgres cluster of our own, for machines without one: made on first use from the binaries found, on 127.0.0.1 and a free port, with a
/// random password. The folder holds <c>data</c>, <c>password</c> (0600), <c>port</c>, <c>postgres.log</c> and two lock files.
/// </summary>
/// <remarks>
/// As root the server runs as user <c>postgres</c>, else <c>nobody</c>, who must be able to reach the folder: where a parent is closed to
/// others (<c>/root</c> mostly is), the cluster lives in <c>/var/lib/saeservice/</c> under a name derived from the folder asked for.
/// </remarks>
public sealed class PrivateCluster : IAsyncDisposable
{
    private const string User = "sae";
    private const string Database = "sae";
    private const string RootFolder = "/var/lib/saeservice";
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);
    private readonly bool _throwaway;
    private readonly string _downloads;
    private readonly Action<string> _say;
    private ServiceUser? _user;
    private FileStream? _inUse;
    private Process? _watchdog;
    private PostgresPrograms? _programs;

    /// <param name="folder">Of the cluster. Where PostgreSQL has to be fetched, it is kept in <c>postgres-binaries</c> beside this folder.</param>
    /// <param name="say">Told what takes long.</param>
    public PrivateCluster(string folder, Action<string>? say = null)
        : this(Reachable(Path.GetFullPath(folder)), null, say, throwaway: false)
    {
    }

    private PrivateCluster(string folder, string? downloads, Action<string>? say, bool throwaway)
    {
        (Folder, _say, _throwaway) = (folder, say ?? (_ => { }), throwaway);
        _downloads = Path.Combine(downloads ?? Path.GetDirectoryName(folder) ?? folder, "postgres-binaries");
    }

    public string Folder { get; }

    private string Data => Path.Combine(Folder, "data");
    private string Log => Path.Combine(Folder, "postgres.log");

    // Two processes must not make, start or stop the cluster at once.
    private string LockFile => Path.Combine(Folder, "lock");

    // Held shared by every process that uses the cluster, while it lives: whoever stops last stops the server.
    private string InUseFile => Path.Combine(Folder, "in-use");

    /// <summary>
    /// A cluster for tests: in a temporary folder, without durability, removed by <see cref="StopAsync"/>. On Unix a watchdog removes it even
    /// where this process is killed.
    /// </summary>
    public static PrivateCluster Throwaway() =>
        new(Reachable(Directory.CreateTempSubdirectory("sae-postgres-").FullName), OwnFolder, say: null, throwaway: true);

    /// <summary>Makes the cluster where there is none and starts it where it does not run.</summary>
    /// <returns>A connection string to its database.</returns>
    /// <exception cref="PostgresUnavailableException">
    /// No programs, programs of another version, or a server that does not start; the message says what to do.
    /// </exception>
    public async Task<string> EnsureStartedAsync(CancellationToken cancellation = default)
    {
        _user = ServiceUser.ForRoot();
        Directory.CreateDirectory(Folder);
        if (Folder.StartsWith(RootFolder + "/", StringComparison.Ordinal) && !OperatingSystem.IsWindows())
            File.SetUnixFileMode(RootFolder, (UnixFileMode)0b111_101_101);
        await using var alone = await FileLock.TakeAsync(LockFile, s_patience, cancellation);
        var versionFile = Path.Combine(Data, "PG_VERSION");
        int? major = File.Exists(versionFile)
            ? int.Parse((await File.ReadAllTextAsync(versionFile, cancellation)).Trim().Split('.')[0], CultureInfo.InvariantCulture) : null;
        _programs = await PostgresPrograms.FindAsync(major, Folder, _downloads, _say, cancellation);
        if (major is null)
            await InitialiseAsync(cancellation);
        _inUse ??= new FileStream(InUseFile, FileMode.OpenOrCreate, FileAccess.Read, FileShare.Read);
        var port = RunningPort() ?? await StartAsync(cancellation);
        _watchdog ??= StartWatchdog();
        return await EnsureDatabaseAsync(port, cancellation);
    }

    /// <summary>Stops the server unless another process uses it. A server that does not run is no error.</summary>
    public async Task StopAsync(CancellationToken cancellation = default)
    {
        if (_programs is null)
            return;
        await using (var alone = await FileLock.TakeAsync(LockFile, s_patience, cancellation))
        {
            _inUse?.Dispose();
            _inUse = null;
            if (!InUseByOthers() && RunningPort() is not null)
            {
                var (code, output) = await Programs.RunAsync(StopCommand("fast"), _user, cancellation);
                if (code != 0 && RunningPort() is not null)
                    throw new PostgresUnavailableException($"the cluster in {Folder} did not stop: {output}");
            }
        }
        if (_throwaway)
            Directory.Delete(Folder, recursive: true);
        if (_watchdog is not null)
        {
            // A line tells it that all is done; an end without one, that this process was killed.
            try
            {
                await _watchdog.StandardInput.WriteLineAsync();
                _watchdog.StandardInput.Close();
            }
            catch (IOException)
            {
                // Somebody killed it.
            }
            await _watchdog.WaitForExitAsync(cancellation);
            _watchdog.Dispose();
            _watchdog = null;
        }
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    /// <summary>For tests: lets go of everything as the end of a killed process does, and waits until the watchdog has done its part.</summary>
    internal async Task AbandonAsync()
    {
        _inUse?.Dispose();
        _inUse = null;
        _watchdog!.StandardInput.Close();
        await _watchdog.WaitForExitAsync();
        _watchdog.Dispose();
        _watchdog = null;
    }

    private async Task InitialiseAsync(CancellationToken cancellation)
    {
        // Under another name until it is whole: a process killed here leaves no half of a cluster behind.
        var unfinished = Data + ".new";
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);
        if (Directory.Exists(Data))
            throw new PostgresUnavailableException($"{Data} exists and is not a Postgres cluster; move it away");
        var password = Path.Combine(Folder, "password");
        File.Delete(password);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        await using (var file = new FileStream(password, options))
            await file.WriteAsync(Encoding.ASCII.GetBytes(RandomNumberGenerator.GetHexString(48, lowercase: true)), cancellation);
        if (_user is not null)
            await _user.OwnAsync(Folder, cancellation);

        List<string> command =
            [.. _programs!.Command("initdb"), "-D", unfinished, "-U", User, "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--no-locale"];
        if (_throwaway)
            command.Add("--no-sync");
        var (code, output) = await Programs.RunAsync(command, _user, cancellation);
        if (code != 0)
            throw new PostgresUnavailableException($"initdb could not make a cluster in {Folder}:{Environment.NewLine}{output}");
        await File.AppendAllTextAsync(Path.Combine(unfinished, "postgresql.conf"),
            $"""

            listen_addresses = '127.0.0.1'
            unix_socket_directories = ''
            password_encryption = 'scram-sha-256'
            max_connections = 200
            {(_throwaway ? "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n" : "")}
            """, cancellation);
        Directory.Move(unfinished, Data);
    }

    private async Task<int> StartAsync(CancellationToken cancellation)
    {
        var portFile = Path.Combine(Folder, "port");
        int? last = File.Exists(portFile)
            && int.TryParse(await File.ReadAllTextAsync(portFile, cancellation), CultureInfo.InvariantCulture, out var read) ? read : null;
        var output = "";
        for (var attempt = 0; attempt < 5; attempt++)
        {
            var port = attempt == 0 && last is { } old && IsFree(old) ? old : FreePort();
            var begin = File.Exists(Log) ? new FileInfo(Log).Length : 0;
            // Without jit: fetched programs are without its compiler, and our queries are too short to gain by it.
            var options = string.Create(CultureInfo.InvariantCulture, $"-p {port} -c jit=off");
            (var code, output) = await Programs.RunAsync(
                [.. _programs!.Command("pg_ctl"), "-D", Data, "-l", Log, "-o", options, "-w", "-t", "60", "start"], _user, cancellation);
            if (code == 0)
            {
                await File.WriteAllTextAsync(portFile, port.ToString(CultureInfo.InvariantCulture), cancellation);
                return port;
            }
            output += Environment.NewLine + Tail(begin);
            if (!output.Contains("could not bind", StringComparison.Ordinal)
                && !output.Contains("could not create any TCP/IP sockets", StringComparison.Ordinal))
                break;
        }
        throw new PostgresUnavailableException($"PostgreSQL {_programs!.Major} did not start in {Folder}:{Environment.NewLine}{output.Trim()}");
    }

    /// <summary>The port of this cluster's server, or null where it does not run, whatever postmaster.pid says.</summary>
    private int? RunningPort()
    {
        // Lines: process id, data folder, start time, port, ...
        var file = Path.Combine(Data, "postmaster.pid");
        string[] lines;
        try
        {
            lines = File.ReadAllLines(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        if (lines.Length < 4 || !int.TryParse(lines[0], CultureInfo.InvariantCulture, out var id)
            || !int.TryParse(lines[3], CultureInfo.InvariantCulture, out var port))
            return null;
        if (IsServer(id) is not { } ours)
            return null;
        if (ours)
            return port;
        // Left by a server that was killed, and its number has gone to another process, which pg_ctl and postgres would take for the server.
        // Where nobody has the number, the file stays: postgres reads from it whether orphans of the killed server still use its memory.
        File.Delete(file);
        return null;
    }

    /// <returns>Null where there is no such process; false where it is not this cluster's server.</returns>
    private bool? IsServer(int id)
    {
        try
        {
            using var process = Process.GetProcessById(Math.Abs(id));
            if (!process.ProcessName.Contains("postgres", StringComparison.OrdinalIgnoreCase))
                return false;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return null;
        }
        // It may be the server of another cluster; a server stands in its own data folder.
        return !OperatingSystem.IsLinux() || new DirectoryInfo($"/proc/{id}/cwd").LinkTarget is not { } folder || folder == Data;
    }

    private async Task<string> EnsureDatabaseAsync(int port, CancellationToken cancellation)
    {
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = port,
            Username = User,
            Password = (await File.ReadAllTextAsync(Path.Combine(Folder, "password"), cancellation)).Trim(),
            Database = "postgres",
            Pooling = false,
            // Encryption by Kerberos is nothing for a server on loopback, and a machine without its library would be told so on every start.
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        await using (var connection = new NpgsqlConnection(settings.ConnectionString))
        {
            await connection.OpenAsync(cancellation);
            await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection);
            exists.Parameters.Add(new() { Value = Database });
            if (await exists.ExecuteScalarAsync(cancellation) is null)
            {
                await using var create = new NpgsqlCommand($"CREATE DATABASE {Database}", connection);
                await create.ExecuteNonQueryAsync(cancellation);
            }
        }
        settings.Database = Database;
        settings.Remove("Pooling");
        return settings.ConnectionString;
    }

    private IReadOnlyList<string> StopCommand(string mode) => [.. _programs!.Command("pg_ctl"), "-D", Data, "-m", mode, "-w", "-t", "60", "stop"];

    /// <summary>
    /// A shell that blocks until this process is gone, however it went: then the pipe closes, since nothing else inherits its other end. Where
    /// this process was killed, the shell stops the server: a throwaway one at once and with its folder; a durable one after its clients have had
    /// time to leave it in order, unless another process uses it by then. Null where the system cannot do it; then the next start finds the server
    /// running.
    /// </summary>
    private Process? StartWatchdog()
    {
        if (OperatingSystem.IsWindows() || (!_throwaway && Programs.OnPath("flock") is null))
            return null;
        string[] user = [.. _user?.Prefix() ?? []];
        var afterwards = _throwaway
            ? $"{Line([.. user, .. StopCommand("immediate")])}; rm -rf {Quote(Folder)}"
            : $"sleep 5; {Line(["flock", LockFile, "flock", "-n", InUseFile, .. user, .. StopCommand("fast")])}";
        var script = $"trap '' INT TERM HUP; cd /; read -r _ && exit; exec >/dev/null 2>&1; {afterwards}";
        return Process.Start(new ProcessStartInfo("/bin/sh", ["-c", script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        });
    }

    private static string Line(IEnumerable<string> command) => string.Join(' ', command.Select(Quote));

    private static string Quote(string text) => "'" + text.Replace("'", "'\\''") + "'";

    private bool InUseByOthers()
    {
        try
        {
            using var exclusive = new FileStream(InUseFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private string Tail(long begin)
    {
        if (!File.Exists(Log))
            return "";
        using var log = new FileStream(Log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        log.Seek(Math.Max(begin, log.Length - 4096), SeekOrigin.Begin);
        using var reader = new StreamReader(log);
        return reader.ReadToEnd().Trim();
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>For what outlives a throwaway cluster; never the common temporary folder, where anybody could put programs for us to run.</summary>
    private static string OwnFolder =>
        !OperatingSystem.IsWindows() && Environment.IsPrivilegedProcess ? RootFolder
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "saeservice");

    /// <summary>The folder itself where the server's user can get to it, else one that stands for it.</summary>
    private static string Reachable(string folder)
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
            return folder;
        for (var parent = Directory.GetParent(folder); parent is not null; parent = parent.Parent)
            if (parent.Exists && (parent.UnixFileMode & UnixFileMode.OtherExecute) == 0)
                return Path.Combine(RootFolder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)))[..12]);
        return folder;
    }
}
