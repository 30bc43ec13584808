using System.Globalization;

namespace SaeService.EndToEnd.Tests;

/// <summary>What a job takes up, looked at from the outside: the most that its files had on disk at one time, and that a process had of memory.</summary>
internal sealed class ResourceWatch : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watching;

    /// <param name="folder">All of whose files are counted.</param>
    public ResourceWatch(string folder) => _watching = Task.Run(async () =>
    {
        while (!_stop.IsCancellationRequested)
        {
            PeakDiskBytes = Math.Max(PeakDiskBytes, BytesIn(folder));
            await Task.Delay(100, CancellationToken.None);
        }
    });

    public long PeakDiskBytes { get; private set; }

    /// <summary>VmHWM of a process that still runs.</summary>
    public static long PeakMemoryBytes(int process)
    {
        const string Key = "VmHWM:";
        var line = File.ReadLines($"/proc/{process}/status").First(l => l.StartsWith(Key, StringComparison.Ordinal));
        return long.Parse(line[Key.Length..].Replace("kB", "").Trim(), CultureInfo.InvariantCulture) << 10;
    }

    private static readonly EnumerationOptions s_all = new() { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = 0 };

    private static long BytesIn(string folder)
    {
        var bytes = 0L;
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*", s_all))
            try
            {
                bytes += file.Length;
            }
            catch (IOException)
            {
                // Renamed or deleted since it was listed.
            }
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }
}
