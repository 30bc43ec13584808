using System.Diagnostics;
using System.Globalization;

namespace SaeService.Storage;

/// <summary>An ordinary account that root runs Postgres as: Postgres refuses to run as root.</summary>
internal sealed record ServiceUser(string Name, int Uid, int Gid)
{
    /// <summary>A command line that runs a program as this user.</summary>
    public IReadOnlyList<string> Prefix() =>
        Programs.OnPath("setpriv") is { } setpriv ? [setpriv, $"--reuid={Uid}", $"--regid={Gid}", "--clear-groups", "--"]
        : Programs.OnPath("runuser") is { } runuser ? [runuser, "-u", Name, "--"]
        : Programs.OnPath("sudo") is { } sudo ? [sudo, "-n", "-u", Name, "--"]
        : throw new PostgresUnavailableException(
            "PostgreSQL does not run as root, and neither setpriv, runuser nor sudo is here to run it as another user; start this service as an ordinary user");

    /// <summary>Gives a folder and all in it to this user.</summary>
    public async Task OwnAsync(string path, CancellationToken cancellation)
    {
        var (code, output) = await Programs.RunAsync(["chown", "-R", string.Create(CultureInfo.InvariantCulture, $"{Uid}:{Gid}"), path], null, cancellation);
        if (code != 0)
            throw new PostgresUnavailableException($"could not give {path} to user {Name}: {output}");
    }

    /// <summary>
    /// <c>postgres</c> where the system has that account, else <c>nobody</c>: initdb needs one with a name. Null where this process is not root.
    /// </summary>
    public static ServiceUser? ForRoot()
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
            return null;
        var accounts = File.ReadLines("/etc/passwd").Select(x => x.Split(':'))
            .Where(x => x.Length >= 4 && x[0] is "postgres" or "nobody").OrderByDescending(x => x[0]);
        foreach (var fields in accounts)
            if (int.TryParse(fields[2], CultureInfo.InvariantCulture, out var uid) && uid > 0
                && int.TryParse(fields[3], CultureInfo.InvariantCulture, out var gid))
                return new ServiceUser(fields[0], uid, gid);
        throw new PostgresUnavailableException(
            "PostgreSQL does not run as root, and /etc/passwd has neither 'postgres' nor 'nobody' to run it as; start this service as an ordinary user");
    }
}

/// <summary>Runs a program to its end.</summary>
internal static class Programs
{
    /// <param name="command">The program and its arguments.</param>
    /// <param name="user">Who runs it; null: the user of this process.</param>
    /// <returns>Its exit code, and what it wrote to both streams.</returns>
    public static async Task<(int Code, string Output)> RunAsync(IReadOnlyList<string> command, ServiceUser? user, CancellationToken cancellation)
    {
        List<string> line = [.. user?.Prefix() ?? [], .. command];
        var start = new ProcessStartInfo(line[0], line.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            // Wherever this process stands, the other user may not be allowed to be.
            WorkingDirectory = user is null ? "" : "/",
        };
        // Only what is on the command line decides.
        foreach (var variable in new[] { "PGDATA", "PGPORT", "PGHOST", "PGOPTIONS", "PGUSER", "PGPASSWORD" })
            start.Environment.Remove(variable);
        start.Environment["LC_ALL"] = "C";
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} did not start");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        var error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
        // A server that the program left running may have inherited the pipes: their end must not be waited for.
        await Task.WhenAny(Task.WhenAll(output, error), Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None));
        var text = (output.IsCompletedSuccessfully ? output.Result : "") + (error.IsCompletedSuccessfully ? error.Result : "");
        return (process.ExitCode, text.Trim());
    }

    public static string? OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Append("/usr/sbin").Append("/usr/bin").Append("/sbin").Select(x => Path.Combine(x, program)).FirstOrDefault(File.Exists);
}

/// <summary>A file that one process at a time holds, until it disposes of it or ends.</summary>
internal static class FileLock
{
    /// <exception cref="IOException">Another process has held it for all of <paramref name="patience"/>.</exception>
    public static async Task<FileStream> TakeAsync(string file, TimeSpan patience, CancellationToken cancellation)
    {
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (waited.Elapsed < patience && e is not DirectoryNotFoundException)
            {
                await Task.Delay(50, cancellation);
            }
        }
    }
}
