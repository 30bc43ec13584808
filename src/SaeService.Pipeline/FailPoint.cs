using System.Diagnostics;
using SaeService.Contracts;

namespace SaeService.Pipeline;

/// <summary>
/// Places where a test can have the worker die as if by <c>kill -9</c>: SAE_FAILPOINT names a file with lines like <c>before-publish:train</c>.
/// The line goes with the worker, and the file with its last line, so that the next worker passes. Does nothing otherwise.
/// </summary>
internal static class FailPoint
{
    private static readonly string? s_file = Environment.GetEnvironmentVariable("SAE_FAILPOINT");

    public static void Pass(string place, StageKind stage) => Pass(place, stage.Name());

    /// <param name="of">What is at work there.</param>
    public static void Pass(string place, string of)
    {
        if (s_file is null || !File.Exists(s_file))
            return;
        var lines = File.ReadAllLines(s_file);
        var left = lines.Where(line => line.Trim() != $"{place}:{of}").ToArray();
        if (left.Length == lines.Length)
            return;
        if (left.Length == 0)
            File.Delete(s_file);
        else
            File.WriteAllLines(s_file, left);
        // Not Environment.Exit: nothing may be cleaned up.
        Process.GetCurrentProcess().Kill();
        Thread.Sleep(Timeout.Infinite);
    }
}
