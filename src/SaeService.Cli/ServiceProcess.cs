using System.Diagnostics;
using System.Runtime.InteropServices;

namespace SaeService.Cli;

/// <summary>
/// An executable of the service as a child of this one: its output goes to a log file, it is told to end with its parent, and it is started
/// again when it dies (a native abort of the worker costs one attempt of one stage, not the service).
/// </summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    private const int SigTerm = 15;
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(20);
    private readonly string _name;
    private readonly string _assembly;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly string _logFile;
    private readonly Action<string> _notify;
    private readonly CancellationTokenSource _stopping = new();
    private Process? _process;
    private Task _supervision = Task.CompletedTask;

    private ServiceProcess(string name, string assembly, IReadOnlyDictionary<string, string> environment, string logFile, Action<string> notify) =>
        (_name, _assembly, _environment, _logFile, _notify) = (name, assembly, environment, logFile, notify);

    public int? ProcessId => _process is { HasExited: false } running ? running.Id : null;

    /// <param name="notify">Told in a line when the process had to be started again.</param>
    public static ServiceProcess Start(string name, string assembly, IReadOnlyDictionary<string, string> environment, string logFile, Action<string> notify)
    {
        var service = new ServiceProcess(name, assembly, environment, logFile, notify);
        service.Launch();
        service._supervision = Task.Run(service.SuperviseAsync);
        return service;
    }

    public bool Exited => _process is null or { HasExited: true };

    private void Launch()
    {
        var start = Sibling.Start(_assembly);
        start.RedirectStandardOutput = start.RedirectStandardError = start.RedirectStandardInput = true;
        start.WorkingDirectory = Path.GetDirectoryName(_assembly)!;
        foreach (var (key, value) in _environment)
            start.Environment[key] = value;
        start.Environment["SAE_PARENT_PID"] = Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);

        var log = new StreamWriter(new FileStream(_logFile, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        void Write(string? line)
        {
            if (line is null)
                return;
            lock (log)
                log.WriteLine(line);
        }
        process.OutputDataReceived += (_, e) => Write(e.Data);
        process.ErrorDataReceived += (_, e) => Write(e.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _process = process;
    }

    private async Task SuperviseAsync()
    {
        var quickDeaths = 0;
        while (!_stopping.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            try
            {
                await _process!.WaitForExitAsync(_stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            quickDeaths = Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5) ? quickDeaths + 1 : 0;
            if (quickDeaths >= 5)
            {
                _notify($"the {_name} keeps ending (exit status {_process.ExitCode}); its log is {_logFile}");
                return;
            }
            _notify($"the {_name} ended with status {_process.ExitCode}; starting it again");
            await Task.Delay(TimeSpan.FromSeconds(quickDeaths), CancellationToken.None);
            if (!_stopping.IsCancellationRequested)
                Launch();
        }
    }

    /// <summary>Asks the process to end, waits for its grace period, then kills it.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _supervision;
        if (_process is { HasExited: false } running)
        {
            if (OperatingSystem.IsWindows())
                running.Kill(entireProcessTree: true);
            else
                _ = kill(running.Id, SigTerm);
            using var patience = new CancellationTokenSource(s_grace);
            try
            {
                await running.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                running.Kill(entireProcessTree: true);
            }
        }
        _process?.Dispose();
        _stopping.Dispose();
    }

    // .NET can only kill. A minimal system has no kill program either.
    [DllImport("libc")]
    private static extern int kill(int process, int signal);
}
