using System.Globalization;

namespace SaeService.EndToEnd.Tests;

/// <summary>What a job takes up, looked at from the outside: the most that its files had on disk at one time, and that a process had of memory.</summary>
internal sealed class ResourceWatch : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watching;

    /// <param name="folder">All of whose files are counted, also those without a name that <paramref name="processes"/> have mapped.</param>
    public ResourceWatch(string folder, Func<IEnumerable<int>> processes) => _watching = Task.Run(async () =>
    {
        while (!_stop.IsCancellationRequested)
        {
            PeakDiskBytes = Math.Max(PeakDiskBytes, BytesIn(folder) + processes().Sum(NamelessBytes));
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

    private static long NamelessBytes(int process)
    {
        try
        {
            return File.ReadLines($"/proc/{process}/maps").Where(line => line.EndsWith(".scratch (deleted)", StringComparison.Ordinal))
                .Select(line => line[..line.IndexOf(' ', StringComparison.Ordinal)].Split('-').Select(a => long.Parse(a, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray())
                .Sum(range => range[1] - range[0]);
        }
        catch (IOException)
        {
            // It has ended since.
            return 0;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }
}
