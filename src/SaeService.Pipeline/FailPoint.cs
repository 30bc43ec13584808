using System.Diagnostics;
using SaeService.Contracts;

namespace SaeService.Pipeline;

/// <summary>
/// Places where a test can have the worker die as if by <c>kill -9</c>: SAE_FAILPOINT names a file that holds <c>before-publish:train</c>, say.
/// The file goes with the worker, so that the next one passes. Does nothing otherwise.
/// </summary>
internal static class FailPoint
{
    private static readonly string? s_file = Environment.GetEnvironmentVariable("SAE_FAILPOINT");

    public static void Pass(string place, StageKind stage) => Pass(place, stage.Name());

    /// <param name="of">What is at work there.</param>
    public static void Pass(string place, string of)
    {
        if (s_file is null || !File.Exists(s_file) || File.ReadAllText(s_file).Trim() != $"{place}:{of}")
            return;
        File.Delete(s_file);
        // Not Environment.Exit: nothing may be cleaned up.
        Process.GetCurrentProcess().Kill();
        Thread.Sleep(Timeout.Infinite);
    }
}
