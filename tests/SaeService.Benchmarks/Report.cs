using System.Text.Encodings.Web;
using System.Text.Json;

namespace SaeService.Benchmarks;

/// <summary>Rows of figures, as a line each on the console and as JSON in a file.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Write<T>(IReadOnlyList<T> rows, string? file)
    {
        foreach (var row in rows)
            Console.WriteLine(string.Join("  ", JsonSerializer.SerializeToElement(row, Json).EnumerateObject().Select(p => $"{p.Name} {p.Value}")));
        if (file is not null)
            File.WriteAllText(file, JsonSerializer.Serialize(rows, Json));
    }

    /// <summary>
    /// The median of each measurement over rounds in which they take turns, so that what the machine does meanwhile falls on all alike. In its turn each is called twice
    /// and timed the second time: wherever it is used it comes after itself, not after another's threads that still spin and in caches that another has filled. Milliseconds.
    /// </summary>
    public static double[] Interleaved(int rounds, params Action[] measurements) => Interleaved(rounds, null, measurements);

    /// <param name="settle">Waits for what a measurement has only begun; called before the clock is read.</param>
    public static double[] Interleaved(int rounds, Action? settle, Action[] measurements)
    {
        var times = measurements.Select(_ => new List<double>()).ToArray();
        foreach (var measurement in measurements)
            measurement(); // warm: pages, kernels, caches
        for (var round = 0; round < rounds; round++)
            for (var m = 0; m < measurements.Length; m++)
            {
                measurements[m]();
                settle?.Invoke();
                var start = TimeProvider.System.GetTimestamp();
                measurements[m]();
                settle?.Invoke();
                times[m].Add(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
            }
        return [.. times.Select(t => t.Order().ElementAt(t.Count / 2))];
    }
}
