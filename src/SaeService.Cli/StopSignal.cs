using System.Runtime.InteropServices;

namespace SaeService.Cli;

/// <summary>
/// Ctrl-C, SIGTERM and SIGHUP cancel what runs instead of ending the process: what was started is stopped first. The one place that takes
/// signals; System.CommandLine's own handler blocks the thread on which a signal's other handlers would run until the command has ended.
/// </summary>
public sealed class StopSignal : IDisposable
{
    // Never disposed: a second signal may still be on its way to the handler when the command ends, and the process ends with it.
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    public StopSignal()
    {
        foreach (var signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP })
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                _source.Cancel();
            }));
    }

    public CancellationToken Token => _source.Token;

    public void Dispose() => _registrations.ForEach(r => r.Dispose());
}
