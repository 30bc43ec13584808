using System.Diagnostics;
using SaeService.Checkpoints;
using SaeService.TestSupport;

namespace SaeService.Benchmarks;

/// <summary>How fast one thread encodes, with each tokenizer of the shared data.</summary>
/// <param name="LoadSeconds">To read the tokenizer's files.</param>
/// <param name="Tokens">That the English text comes to.</param>
/// <param name="MegabytesPerSecond">Of the English text in one call; the median of five, after one that fills the caches.</param>
/// <param name="FirstMegabytesPerSecond">Of the first call, in which every word is new.</param>
/// <param name="SlowestRunSeconds">The longest time for a million characters that no one writes: one letter, spaces, line ends, Chinese.</param>
internal sealed record TokenizerSpeed(string Name, double LoadSeconds, int Tokens, double MegabytesPerSecond, double FirstMegabytesPerSecond, double SlowestRunSeconds)
{
    private const int Repeats = 5, RunLength = 1_000_000;

    public static List<TokenizerSpeed> Measure()
    {
        var shared = SharedData.Root ?? throw new DirectoryNotFoundException("no shared data beside this checkout (set SAE_SHARED to its folder)");
        var text = File.ReadAllText(Path.Combine(shared, "data/text/tiny-shakespeare.txt"));
        string[] folders = [.. Directory.GetDirectories(Path.Combine(shared, "data/tokenizers")).Order(), .. new[] { "stories260K", "stories3M" }.Select(m => Path.Combine(shared, "data/models", m))];
        // The first tokenizer would pay for compiling all of them.
        foreach (var folder in folders)
            Tokenizer.Load(folder).Encode(text[..20_000], addSpecialTokens: false);
        Console.WriteLine($"{"tokenizer",-20} {"load s",8} {"tokens",8} {"MB/s",8} {"first",8} {"worst s",8}");
        return [.. folders.Select(folder => Row(folder, text))];
    }

    private static TokenizerSpeed Row(string folder, string text)
    {
        var (tokenizer, load) = Timed(() => Tokenizer.Load(folder));
        var megabytes = System.Text.Encoding.UTF8.GetByteCount(text) / 1e6;
        var (encoding, first) = Timed(() => tokenizer.Encode(text, addSpecialTokens: false));
        double[] times = [.. Enumerable.Range(0, Repeats).Select(_ => Timed(() => tokenizer.Encode(text, addSpecialTokens: false)).Seconds).Order()];
        string[] runs = [new('a', RunLength), new(' ', RunLength), new('\n', RunLength), string.Concat(Enumerable.Repeat("\u4E2D\u6587", RunLength / 2))];
        var worst = runs.Max(run => Timed(() => tokenizer.Encode(run, addSpecialTokens: false)).Seconds);
        var row = new TokenizerSpeed(Path.GetFileName(folder), load, encoding.Ids.Length, megabytes / times[Repeats / 2], megabytes / first, worst);
        Console.WriteLine($"{row.Name,-20} {row.LoadSeconds,8:F2} {row.Tokens,8} {row.MegabytesPerSecond,8:F1} {row.FirstMegabytesPerSecond,8:F1} {row.SlowestRunSeconds,8:F2}");
        return row;
    }

    private static (T Result, double Seconds) Timed<T>(Func<T> action)
    {
        var watch = Stopwatch.StartNew();
        var result = action();
        return (result, watch.Elapsed.TotalSeconds);
    }
}
