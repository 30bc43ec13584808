using System.Diagnostics;
using System.Text;
using SaeService.TestSupport;

namespace SaeService.EndToEnd.Tests;

/// <summary>The command line as a user runs it: a process of its own, in a home of its own, which is deleted afterwards.</summary>
public sealed class SaeCommand : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private SaeCommand(Process process, string home) => (_process, Home) = (process, home);

    public string Home { get; }

    /// <summary>For a home that another command takes over.</summary>
    public bool KeepHome { get; init; }
    public int ProcessId => _process.Id;
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    public static string NewHome() => Directory.CreateTempSubdirectory("sae-e2e-").FullName;

    public static SaeCommand Start(string home, string[] arguments, bool keepHome = false, IReadOnlyDictionary<string, string>? environment = null)
    {
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        start.ArgumentList.Add(Path.Combine(SharedData.RepositoryRoot, "artifacts", "bin", "SaeService.Cli", configuration, "sae.dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["SAE_HOME"] = home;
        start.Environment["Worker__CheckpointSeconds"] = "1";
        start.Environment.Remove("ConnectionStrings__Default");
        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
            start.Environment[key] = value;
        start.Environment["SAE_FAILPOINT"] = Path.Combine(home, "failpoint");
        var command = new SaeCommand(new Process { StartInfo = start, EnableRaisingEvents = true }, home) { KeepHome = keepHome };
        void Keep(string? line)
        {
            if (line is not null)
                lock (command._output)
                    command._output.AppendLine(line);
        }
        command._process.OutputDataReceived += (_, e) => Keep(e.Data);
        command._process.ErrorDataReceived += (_, e) => Keep(e.Data);
        command._process.Start();
        command._process.BeginOutputReadLine();
        command._process.BeginErrorReadLine();
        return command;
    }

    /// <summary><c>sae up</c> at a port of its own, once it answers.</summary>
    public static async Task<(SaeCommand Service, string Address)> UpAsync(string home, CancellationToken ct, bool keepHome = false, IReadOnlyDictionary<string, string>? environment = null,
        params string[] arguments)
    {
        var service = Start(home, ["up", "--port", "0", .. arguments], keepHome, environment);
        var output = await service.WaitForOutputAsync("Ctrl-C stops it", ct);
        var line = output.Split('\n').Select(l => l.Trim()).First(l => l.StartsWith("Swagger UI", StringComparison.Ordinal));
        return (service, line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2].Replace("/swagger", ""));
    }

    public async Task<int> WaitForExitAsync(CancellationToken ct)
    {
        await _process.WaitForExitAsync(ct);
        return _process.ExitCode;
    }

    public async Task<string> WaitForOutputAsync(string text, CancellationToken ct)
    {
        while (!Output.Contains(text, StringComparison.Ordinal))
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"ended with status {_process.ExitCode} before it said '{text}':{Environment.NewLine}{Output}");
            await Task.Delay(100, ct);
        }
        return Output;
    }

    /// <summary>Processes of the service that this command started, by the executable's name.</summary>
    public IReadOnlyList<int> Children(string executable) => ServiceProcesses(ProcessId).Where(p => p.CommandLine.Contains(executable, StringComparison.Ordinal)).Select(p => p.Id).ToList();

    /// <summary>Everything still running that was started by the process, or that works in this command's home.</summary>
    public IReadOnlyList<string> LeftBehind() =>
        AllProcesses().Where(p => p.Id != Environment.ProcessId && (p.ParentTag == ProcessId || p.CommandLine.Contains(Home, StringComparison.Ordinal))).Select(p => $"{p.Id} {p.CommandLine}").ToList();

    private static IEnumerable<(int Id, string CommandLine, int? ParentTag)> ServiceProcesses(int parent) => AllProcesses().Where(p => p.ParentTag == parent);

    private static IEnumerable<(int Id, string CommandLine, int? ParentTag)> AllProcesses()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var id))
                continue;
            string commandLine, environment;
            try
            {
                commandLine = File.ReadAllText(Path.Combine(folder, "cmdline")).Replace('\0', ' ').Trim();
                environment = File.ReadAllText(Path.Combine(folder, "environ"));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                continue;
            }
            if (commandLine.Length == 0)
                continue; // a zombie, or a thread of the kernel
            var tag = environment.Split('\0').FirstOrDefault(v => v.StartsWith("SAE_PARENT_PID=", StringComparison.Ordinal));
            yield return (id, commandLine, tag is null ? null : int.Parse(tag["SAE_PARENT_PID=".Length..], System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    /// <summary>What Ctrl-C sends; where the tests themselves run with SIGINT ignored, as in the background of a script, their children do too, and it is SIGTERM.</summary>
    public static string CtrlC
    {
        get
        {
            var ignored = File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal))["SigIgn:".Length..].Trim();
            return (ulong.Parse(ignored, System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture) & 1ul << 1) == 0 ? "INT" : "TERM";
        }
    }

    public static void Signal(int process, string signal)
    {
        using var kill = Process.Start(new ProcessStartInfo("kill", [$"-{signal}", process.ToString(System.Globalization.CultureInfo.InvariantCulture)]))!;
        kill.WaitForExit();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Signal(ProcessId, "TERM");
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            try
            {
                await _process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill(entireProcessTree: true);
            }
        }
        _process.Dispose();
        if (!KeepHome)
            Directory.Delete(Home, recursive: true);
    }
}
