using System.Globalization;
using System.Text.RegularExpressions;

namespace SaeService.Storage;

/// <summary>No Postgres can be started, and what can be done about it.</summary>
public sealed class PostgresUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A folder with <c>initdb</c>, <c>pg_ctl</c> and <c>postgres</c> of one version.</summary>
/// <param name="Libraries">LD_LIBRARY_PATH for programs that were not installed; null: they find their libraries.</param>
internal sealed partial record PostgresPrograms(string Folder, string? Libraries, int Major)
{
    private static readonly string s_suffix = OperatingSystem.IsWindows() ? ".exe" : "";

    /// <summary>The beginning of a command line. By <c>env</c>, since <c>sudo</c> drops variables that the loader reads.</summary>
    public IReadOnlyList<string> Command(string program) => CommandIn(Folder, Libraries, program);

    /// <summary>
    /// The first found in the order of <see cref="Places"/> that can open a cluster of version <paramref name="major"/> (null: any). Where none
    /// of any version is found, one is fetched if that is possible.
    /// </summary>
    /// <param name="downloads">Where fetched programs are kept.</param>
    /// <param name="say">Told that they are being fetched.</param>
    /// <exception cref="PostgresUnavailableException">There is none.</exception>
    public static async Task<PostgresPrograms> FindAsync(int? major, string clusterFolder, string downloads, Action<string> say, CancellationToken cancellation)
    {
        var found = await OpenAllAsync(Places(downloads), cancellation);
        PostgresUnavailableException? failure = null;
        if (found.Count == 0 && NamedFolder is null && PostgresDownload.IsPossible)
            try
            {
                Directory.CreateDirectory(downloads);
                await using var alone = await FileLock.TakeAsync(Path.Combine(downloads, "lock"), TimeSpan.FromMinutes(10), cancellation);
                // Another process may have fetched them while this one waited.
                found = await OpenAllAsync(Fetched(downloads), cancellation);
                if (found.Count == 0)
                {
                    await PostgresDownload.FetchAsync(downloads, major, say, cancellation);
                    found = await OpenAllAsync(Fetched(downloads), cancellation);
                }
            }
            catch (Exception e) when (e is PostgresUnavailableException or IOException or UnauthorizedAccessException)
            {
                failure = e as PostgresUnavailableException ?? new PostgresUnavailableException(e.Message, e);
            }
        if (found.FirstOrDefault(x => major is null || x.Major == major) is { } programs)
            return programs;
        var others = string.Join(", ", found.Select(x => $"{x.Major} in {x.Folder}"));
        if (found.Count > 0)
            throw new PostgresUnavailableException(
                $"""
                The cluster in {clusterFolder} was made by PostgreSQL {major}, and only {others} was found.
                Install PostgreSQL {major} (or name its bin folder in PG_BIN), or move its data over with that version's pg_dumpall and restore them,
                or move {clusterFolder} away to begin with an empty cluster. Nothing was changed.
                """);
        var why = NamedFolder is { } bin ? $" (PG_BIN names {bin}, where initdb, pg_ctl and postgres do not all work)"
            : failure is not null ? $", and none could be fetched: {failure.Message.TrimEnd('.')}" : "";
        throw new PostgresUnavailableException(
            $"""
            No PostgreSQL was found{why}.
            One of these gives one:
              docker compose up -d postgres
              {Install()}
            or set PG_BIN to the folder of initdb, pg_ctl and postgres, or ConnectionStrings__Default to a server that runs already.
            """, failure);
    }

    private static string? NamedFolder => Environment.GetEnvironmentVariable("PG_BIN") is { Length: > 0 } named ? named : null;

    /// <summary>PG_BIN alone where it is set; else PATH, the places of installers, and what was fetched before.</summary>
    private static IEnumerable<(string Folder, string? Libraries)> Places(string downloads)
    {
        if (NamedFolder is { } named)
            return [(named, null)];
        var folders = new List<string>();
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            var program = Path.Combine(folder, "pg_ctl" + s_suffix);
            // A link into the real folder: the programs look for each other and for their library beside themselves.
            if (File.Exists(program))
                folders.Add(Path.GetDirectoryName(File.ResolveLinkTarget(program, returnFinalTarget: true)?.FullName ?? program)!);
        }
        folders.AddRange(Newest("/usr/lib/postgresql", "*", "bin"));
        folders.AddRange(Newest("/usr", "pgsql-*", "bin"));
        folders.AddRange(Newest("/opt/homebrew/opt", "postgresql@*", "bin"));
        folders.AddRange(Newest("/usr/local/opt", "postgresql@*", "bin"));
        if (OperatingSystem.IsWindows())
            folders.AddRange(Newest(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "PostgreSQL"), "*", "bin"));
        return folders.Distinct().Select(x => (x, (string?)null)).Concat(Fetched(downloads));
    }

    private static IEnumerable<(string Folder, string? Libraries)> Fetched(string downloads) =>
        PostgresDownload.Fetched(downloads).Select(x => (x.Programs, (string?)x.Libraries));

    private static async Task<List<PostgresPrograms>> OpenAllAsync(IEnumerable<(string Folder, string? Libraries)> places, CancellationToken cancellation)
    {
        var found = new List<PostgresPrograms>();
        foreach (var (folder, libraries) in places)
            if (await TryOpenAsync(folder, libraries, cancellation) is { } programs)
                found.Add(programs);
        return found;
    }

    private static IEnumerable<string> Newest(string root, string pattern, string below) =>
        !Directory.Exists(root) ? [] : Directory.EnumerateDirectories(root, pattern)
            .OrderByDescending(x => int.TryParse(Number().Match(Path.GetFileName(x)).Value, CultureInfo.InvariantCulture, out var major) ? major : 0)
            .Select(x => Path.Combine(x, below)).Where(Directory.Exists);

    private static async Task<PostgresPrograms?> TryOpenAsync(string folder, string? libraries, CancellationToken cancellation)
    {
        if (!new[] { "initdb", "pg_ctl", "postgres" }.All(x => File.Exists(Path.Combine(folder, x + s_suffix))))
            return null;
        try
        {
            var (code, output) = await Programs.RunAsync([.. CommandIn(folder, libraries, "postgres"), "--version"], null, cancellation);
            return code == 0 && int.TryParse(Number().Match(output).Value, CultureInfo.InvariantCulture, out var major)
                ? new PostgresPrograms(folder, libraries, major) : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static IReadOnlyList<string> CommandIn(string folder, string? libraries, string program) =>
        [.. libraries is null ? Array.Empty<string>() : ["env", "LD_LIBRARY_PATH=" + libraries], Path.Combine(folder, program + s_suffix)];

    private static string Install() =>
        OperatingSystem.IsWindows() ? "winget install PostgreSQL.PostgreSQL.17"
        : OperatingSystem.IsMacOS() ? "brew install postgresql@17"
        : Programs.OnPath("apt-get") is not null ? "apt-get update && apt-get install -y postgresql (as root)"
        : Programs.OnPath("dnf") is not null ? "dnf install postgresql-server (as root)"
        : Programs.OnPath("pacman") is not null ? "pacman -S postgresql (as root)"
        : "the package of the PostgreSQL server, by this system's package manager";

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();
}
