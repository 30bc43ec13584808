using System.Globalization;

namespace SaeService.Estimates;

/// <summary>What this machine has: of memory, what the kernel and the process's control group (a container's limit) leave; of disk, what is free.</summary>
public static class MachineLimits
{
    // Version 2 of control groups, then version 1: the limit, what is charged, and the statistics, whose files that nobody reads can be dropped.
    private static readonly (string Limit, string Used, string Statistics, string Droppable)[] s_groups =
    [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file "),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat",
            "total_inactive_file "),
    ];

    /// <summary>Bytes of memory in all: of the machine, or of the container where that is less.</summary>
    public static long TotalMemory => Math.Min(MemoryInfo("MemTotal:") ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, Group?.Limit ?? long.MaxValue);

    /// <summary>Bytes that this process may have now: what is free, and what it holds itself.</summary>
    public static long AvailableMemory
    {
        get
        {
            var own = Environment.WorkingSet;
            var free = MemoryInfo("MemAvailable:") ?? Math.Max(0, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - own);
            return own + (Group is { } group ? Math.Clamp(group.Limit - group.Used, 0, free) : free);
        }
    }

    /// <summary>Bytes free on the drive of a folder.</summary>
    public static long FreeDisk(string folder) => new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;

    private static (long Limit, long Used)? Group
    {
        get
        {
            foreach (var group in s_groups)
                if (Number(ReadAll(group.Limit)) is { } limit && Number(ReadAll(group.Used)) is { } used)
                    return (limit, used - (Line(group.Statistics, group.Droppable) ?? 0));
            return null;
        }
    }

    private static long? MemoryInfo(string key) => Line("/proc/meminfo", key) << 10;

    /// <summary>The number behind a key at the start of a line.</summary>
    private static long? Line(string file, string key) =>
        ReadAll(file)?.Split('\n').FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal)) is { } line
            ? Number(line[key.Length..].Replace("kB", "")) : null;

    // "max" where there is no limit.
    private static long? Number(string? text) => long.TryParse(text?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string? ReadAll(string file) => File.Exists(file) ? File.ReadAllText(file) : null;
}
