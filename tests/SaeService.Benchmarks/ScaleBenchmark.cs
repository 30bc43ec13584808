using System.Diagnostics;
using System.Globalization;
using SaeService.Columns;
using SaeService.Interpretation.Truth;
using SaeService.TestSupport;

namespace SaeService.Benchmarks;

/// <summary>
/// How an analysis grows: labels, controls, information and conclusion of <see cref="Study"/> by words, features and layers, and the exponents of seconds and of memory.
/// What grows with the words lies in mapped files, as in a job: the memory of the process itself, which no other can have, stands beside all that it touches.
/// </summary>
internal static class ScaleBenchmark
{
    /// <param name="What">A measurement, or <c>exponent of words</c> and the like: the slope of log seconds over log size, between the largest sizes.</param>
    /// <param name="PeakMb">Most of the process's own memory, above that before the words were made. Of another system than Linux, the working set.</param>
    /// <param name="MappedMb">Highest working set, above the same: with the pages of the mapped files, which the system takes back where it needs them.</param>
    public sealed record Row(string What, string Data, int Words, int Features, int Layers, double LabelS, double ControlS, double InformS, double ConcludeS, double TotalS,
        double PeakMb, double MappedMb);

    private const int Features = 256, Layers = 2, Words = 100_000;

    public static IReadOnlyList<Row> Run()
    {
        Measure(10_000, Features, Layers); // warm
        var words = new[] { 10_000, 100_000, 1_000_000 }.Select(n => Measure(n, Features, Layers)).ToArray();
        var features = new[] { 256, 1024, 4096 }.Select(n => n == Features ? words[1] : Measure(Words, n, Layers)).ToArray();
        var layers = new[] { 2, 4, 8 }.Select(n => n == Layers ? words[1] : Measure(Words, Features, n)).ToArray();
        return
        [
            .. words, .. features[1..], .. layers[1..],
            Exponents("words", words, r => r.Words), Exponents("features", features, r => r.Features), Exponents("layers", layers, r => r.Layers),
        ];
    }

    private static Row Measure(int words, int features, int layers)
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        using var memory = new PeakMemory();
        using var scratch = new ScratchSpace(Path.Combine(SharedData.RepositoryRoot, "artifacts", "scratch"));
        var treebank = new RepeatedTreebank(words, scratch);
        // Codes are made as they are asked for in the product too: a layer's at a time would not change the peak, for all are alike.
        var seconds = new Dictionary<string, double>();
        var (step, since) = ("", 0L);
        void Begins(string name)
        {
            if (step.Length > 0)
                seconds[step] = seconds.GetValueOrDefault(step) + Stopwatch.GetElapsedTime(since).TotalSeconds;
            (step, since) = (name, Stopwatch.GetTimestamp());
        }
        var asked = Enumerable.Range(0, layers).Select(layer => new StudyLayer(layer, treebank.Codes(layer, features), treebank.Vectors(layer))).ToArray();
        var study = Study.Run(treebank.Words, asked, RepeatedTreebank.Dimension, StudyRules.Default.With(Environment.ProcessorCount), begins: Begins, scratch: scratch);
        Begins("");
        GC.KeepAlive(study);
        return new Row("measured", treebank.Name, words, features, layers, Round(seconds["label"]), Round(seconds["control"]), Round(seconds["inform"]), Round(seconds["conclude"]),
            Round(seconds.Values.Sum()), Round(memory.Own / 1e6), Round(memory.All / 1e6));
    }

    /// <summary>Between the last two sizes, where constant costs weigh least; of what takes less than a hundredth of a second, nothing can be said: 0.</summary>
    private static Row Exponents(string of, Row[] rows, Func<Row, double> size)
    {
        double Slope(Func<Row, double> value) => value(rows[^2]) < 0.01 ? 0 : Round(Math.Log(value(rows[^1]) / value(rows[^2])) / Math.Log(size(rows[^1]) / size(rows[^2])));
        return new Row($"exponent of {of}", rows[0].Data, rows[^1].Words, rows[^1].Features, rows[^1].Layers, Slope(r => r.LabelS), Slope(r => r.ControlS), Slope(r => r.InformS),
            Slope(r => r.ConcludeS), Slope(r => r.TotalS),
            // Later measurements find the pages of earlier ones: only words are measured from the smallest up.
            of == "words" ? Slope(r => r.PeakMb) : 0, of == "words" ? Slope(r => r.MappedMb) : 0);
    }

    private static double Round(double value) => Math.Round(value, 3);

    /// <summary>The most memory since it was made, above that when it was made; looked at every 10 ms.</summary>
    private sealed class PeakMemory : IDisposable
    {
        private readonly long _allBefore = Environment.WorkingSet, _ownBefore = OwnMemory();
        private readonly Timer _timer;
        private long _all, _own;

        public PeakMemory() => _timer = new Timer(_ => Look(), null, 0, 10);

        public double Own => Math.Max(0, Look().Own - _ownBefore);
        public double All => Math.Max(0, Look().All - _allBefore);

        public void Dispose() => _timer.Dispose();

        private (long Own, long All) Look() => (_own = Math.Max(_own, OwnMemory()), _all = Math.Max(_all, Environment.WorkingSet));

        /// <summary>Pages of no file.</summary>
        private static long OwnMemory()
        {
            const string Name = "RssAnon:";
            if (!OperatingSystem.IsLinux())
                return Environment.WorkingSet;
            var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(Name, StringComparison.Ordinal));
            return 1024 * long.Parse(line[Name.Length..^"kB".Length], CultureInfo.InvariantCulture);
        }
    }
}
