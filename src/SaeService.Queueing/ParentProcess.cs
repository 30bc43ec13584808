using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Hosting;

namespace SaeService.Queueing;

/// <summary>
/// Ends this process with the one that started it, when that one says so by SAE_PARENT_PID: a command line that is killed can not stop its
/// children itself.
/// </summary>
public sealed class ParentProcess(IHostApplicationLifetime lifetime) : BackgroundService
{
    public const string Variable = "SAE_PARENT_PID";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            return;
        try
        {
            // A handle taken once: a later process with the same number is not mistaken for the parent.
            using var parent = Process.GetProcessById(id);
            await parent.WaitForExitAsync(stoppingToken);
        }
        catch (ArgumentException)
        {
            // It has ended already.
        }
        if (!stoppingToken.IsCancellationRequested)
            lifetime.StopApplication();
    }
}
