using System.Globalization;
using System.Text.RegularExpressions;

namespace SaeService.Storage;

/// <summary>
/// PostgreSQL for a Debian or Ubuntu machine without one: its own packages, fetched by its own apt and unpacked into a folder of ours. Nothing
/// of the system changes and no privilege is needed: apt works with lists, cache and configuration of our own, no package is installed, no
/// maintainer script and no hook of apt's runs. apt checks signatures and hashes as ever.
/// </summary>
internal static partial class PostgresDownload
{
    public static bool IsPossible =>
        OperatingSystem.IsLinux() && File.Exists("/var/lib/dpkg/status")
        && new[] { "apt-get", "apt-cache", "apt-config", "dpkg-deb" }.All(x => Programs.OnPath(x) is not null);

    /// <summary>What was fetched before, newest version first: folders of programs, each with its value of LD_LIBRARY_PATH.</summary>
    public static IEnumerable<(string Programs, string Libraries)> Fetched(string folder) =>
        !Directory.Exists(folder) ? [] : Directory.EnumerateDirectories(folder)
            .Select(x => int.TryParse(Path.GetFileName(x), NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : 0)
            .Where(x => x > 0).OrderDescending()
            .Select(x => (Root: PlaceOf(folder, x), Major: x)).Select(x => (ProgramsIn(x.Root, x.Major), string.Join(':', LibrariesIn(x.Root))));

    /// <summary>
    /// Fetches PostgreSQL into <paramref name="folder"/>, under the name of its major version. The caller lets no other process do so meanwhile.
    /// </summary>
    /// <param name="major">The version that is needed; null: the newest that the machine's package sources have.</param>
    /// <param name="say">Told what is going on, since it takes from seconds to minutes.</param>
    /// <exception cref="PostgresUnavailableException">apt cannot give it; the message has apt's own words.</exception>
    public static async Task FetchAsync(string folder, int? major, Action<string> say, CancellationToken cancellation)
    {
        // As root, the programs are run by another user.
        MakeOpen(folder);
        var unfinished = Path.Combine(folder, "unfinished");
        DeleteIfThere(unfinished);
        try
        {
            say($"No PostgreSQL on this machine: fetching one from its package sources into {folder} (about 20 MB, once; nothing is installed)");
            var root = Path.Combine(unfinished, "root");
            MakeOpen(root);
            var apt = await ConfigureAsync(Path.Combine(unfinished, "apt"), cancellation);

            // One source of several that does not answer is no obstacle; whether the lists are enough shows next.
            var (_, update) = await Programs.RunAsync([.. apt, "apt-get", "-qq", "update"], null, cancellation);
            var (_, search) = await Programs.RunAsync([.. apt, "apt-cache", "search", "--names-only", "^postgresql-[0-9]+$"], null, cancellation);
            var wanted = major is null ? "PostgreSQL" : $"PostgreSQL {major}, which made the cluster";
            var version = Select(search, major)
                ?? throw new PostgresUnavailableException($"the package sources of this machine have no {wanted}. {Tail(update)}".Trim());
            string[] install = ["apt-get", "install", "--simulate", "--reinstall", "-y", "--no-install-recommends", $"postgresql-{version}"];
            var packages = Needed(await DoAsync([.. apt, .. install]), version);
            say($"  PostgreSQL {version}: {packages.Count} packages");
            var archives = Directory.CreateDirectory(Path.Combine(unfinished, "archives")).FullName;
            await DoAsync(["env", "-C", archives, .. apt[1..], "apt-get", "-qq", "download", .. packages]);
            foreach (var archive in Directory.EnumerateFiles(archives, "*.deb").Order(StringComparer.Ordinal))
                await DoAsync(["dpkg-deb", "-x", archive, root]);
            if (!Directory.Exists(ProgramsIn(root, version)))
                throw new PostgresUnavailableException($"package postgresql-{version} has no programs at {ProgramsIn("/", version)}");

            // Under its name only once it is whole. What has that name already does not work, or nobody would have come here.
            var place = PlaceOf(folder, version);
            DeleteIfThere(place);
            Directory.Move(root, place);
        }
        finally
        {
            DeleteIfThere(unfinished);
        }

        async Task<string> DoAsync(IReadOnlyList<string> command)
        {
            var (code, output) = await Programs.RunAsync(command, null, cancellation);
            return code == 0 ? output
                : throw new PostgresUnavailableException($"{string.Join(' ', command.Where(x => !x.Contains('/')))} failed: {Tail(output)}");
        }
    }

    /// <summary>The version to take, of the packages that a search found; null where it is not among them.</summary>
    internal static int? Select(string search, int? major)
    {
        var versions = ServerPackage().Matches(search).Select(x => int.Parse(x.Groups[1].Value, CultureInfo.InvariantCulture)).ToList();
        return major is null ? versions.Cast<int?>().Max() : versions.Contains(major.Value) ? major : null;
    }

    /// <summary>
    /// Of all that apt would install (it leaves out what the machine has), the server and the libraries it is linked with, as
    /// <c>name=version</c>. Left out are the system's management of clusters, Perl, which that needs, and the compiler for jit, which is off
    /// in our clusters (LLVM with Z3); and libc, which belongs to the system's loader.
    /// </summary>
    internal static IReadOnlyList<string> Needed(string simulation, int major) =>
        [.. Installation().Matches(simulation).Select(x => (Name: x.Groups[1].Value, Version: x.Groups[2].Value))
            .Where(x => x.Name == $"postgresql-{major}" || (x.Name.StartsWith("lib", StringComparison.Ordinal) && !NotLinked().IsMatch(x.Name)))
            .Select(x => $"{x.Name}={x.Version}").Distinct()];

    /// <returns>The beginning of a command line that runs a program of apt's on its own configuration, in a folder of its own.</returns>
    private static async Task<string[]> ConfigureAsync(string folder, CancellationToken cancellation)
    {
        foreach (var part in new[] { "state/lists/partial", "cache/archives/partial", "log" })
            Directory.CreateDirectory(Path.Combine(folder, part));
        // Of the machine's own configuration only the way out (proxies and the like) is kept: its hooks would run after an update, on the
        // system's lists and caches, and with the rights of this process.
        var (_, dump) = await Programs.RunAsync(["apt-config", "dump"], null, cancellation);
        var file = Path.Combine(folder, "apt.conf");
        await File.WriteAllTextAsync(file,
            $"""
            Dir::Etc::parts "/dev/null";
            Dir::Etc::main "/dev/null";
            Dir::State "{folder}/state/";
            Dir::State::status "/var/lib/dpkg/status";
            Dir::Cache "{folder}/cache/";
            Dir::Log "{folder}/log/";
            Debug::NoLocking "true";
            APT::Sandbox::User "root";
            Acquire::Languages "none";
            Acquire::Retries "1";
            Acquire::http::Timeout "20";
            {string.Join('\n', dump.Split('\n').Where(x => WayOut().IsMatch(x)))}

            """, cancellation);
        return ["env", $"APT_CONFIG={file}"];
    }

    private static string PlaceOf(string folder, int major) => Path.Combine(folder, major.ToString(CultureInfo.InvariantCulture));

    private static string ProgramsIn(string root, int major) =>
        Path.Combine(root, "usr", "lib", "postgresql", major.ToString(CultureInfo.InvariantCulture), "bin");

    private static IEnumerable<string> LibrariesIn(string root) =>
        new[] { "usr/lib", "lib" }.Select(x => Path.Combine(root, x)).Where(Directory.Exists)
            .SelectMany(x => Directory.EnumerateDirectories(x, "*-linux-*").Append(x)).Order(StringComparer.Ordinal);

    private static void MakeOpen(string folder)
    {
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
    }

    private static void DeleteIfThere(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    private static string Tail(string output) => output.Length <= 1000 ? output : "..." + output[^1000..];

    [GeneratedRegex(@"^postgresql-(\d+) ", RegexOptions.Multiline)]
    private static partial Regex ServerPackage();

    // "Inst libpq5 (15.13-0+deb12u1 Debian:12.11/stable [amd64])", with the installed version in brackets before it where there is one.
    [GeneratedRegex(@"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ", RegexOptions.Multiline)]
    private static partial Regex Installation();

    [GeneratedRegex("^(libc6|libc-|libllvm|libz3-|libperl)|-perl$")]
    private static partial Regex NotLinked();

    [GeneratedRegex("""^Acquire::(https?|Force|Proxy)[^" ]* "[^"]*";$""")]
    private static partial Regex WayOut();
}
