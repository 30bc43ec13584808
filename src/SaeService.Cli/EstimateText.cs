using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Cli;

/// <summary>An estimate in a line.</summary>
internal static class EstimateText
{
    public static string Of(JobEstimate estimate) => estimate.Reason is { } reason ? $"not estimated yet: {reason}"
        : string.Create(CultureInfo.InvariantCulture,
            $"needs about {Size(estimate.MemoryBytes!.Value)} of memory{(estimate.GpuMemoryBytes is { } gpu ? $", {Size(gpu)} of a GPU's memory" : "")} and {Size(estimate.DiskBytes!.Value)} of disk, " +
            $"and takes {Time(estimate.Seconds!.Value)} on one worker");

    private static string Size(long bytes) => bytes >= 1_000_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB") : string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0} MB");

    private static string Time(double seconds) => seconds >= 5400 ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0.0} h")
        : seconds >= 90 ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0} min") : string.Create(CultureInfo.InvariantCulture, $"{seconds:0} s");
}
