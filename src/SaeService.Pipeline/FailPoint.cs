using System.Diagnostics;
using SaeService.Contracts;

namespace SaeService.Pipeline;

/// <summary>
/// Places where a test can have the worker die as if by <c>kill -9</c>: <c>SAE_FAILPOINT=before-publish:train</c>, once a process. Does nothing
/// otherwise.
/// </summary>
internal static class FailPoint
{
    private static readonly string? s_armed = Environment.GetEnvironmentVariable("SAE_FAILPOINT");

    public static void Pass(string place, StageKind stage)
    {
        if (s_armed is null || s_armed != $"{place}:{stage.ToString().ToLowerInvariant()}")
            return;
        // Not Environment.Exit: nothing may be cleaned up.
        Process.GetCurrentProcess().Kill();
        Thread.Sleep(Timeout.Infinite);
    }
}
