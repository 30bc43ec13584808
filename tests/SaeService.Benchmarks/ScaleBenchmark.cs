using System.Diagnostics;
using SaeService.Interpretation.Truth;

namespace SaeService.Benchmarks;

/// <summary>
/// How an analysis grows: labels, controls, information and conclusion of <see cref="Study"/> by words, features and layers, and the exponents of seconds and of memory.
/// The words as numbers and the codes are in memory in whole, some 200 bytes a word at 8 latents: memory that grows with the words is held against that.
/// </summary>
internal static class ScaleBenchmark
{
    /// <param name="What">A measurement, or <c>exponent of words</c> and the like: the slope of log seconds over log size, between the largest sizes.</param>
    /// <param name="PeakMb">Highest working set above that before the words were made.</param>
    /// <param name="InherentMb">Words, codes of one layer, the same by feature, and those of the random directions.</param>
    public sealed record Row(string What, string Data, int Words, int Features, int Layers, double LabelS, double ControlS, double InformS, double ConcludeS, double TotalS,
        double PeakMb, double InherentMb);

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
        var treebank = new RepeatedTreebank(words);
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
        var study = Study.Run(treebank.Words, asked, RepeatedTreebank.Dimension, StudyRules.Default, begins: Begins);
        Begins("");
        GC.KeepAlive(study);
        var nonZeros = asked.Sum(l => l.Codes.NonZeros) + 2 * asked[0].Codes.NonZeros;
        return new Row("measured", treebank.Name, words, features, layers, Round(seconds["label"]), Round(seconds["control"]), Round(seconds["inform"]), Round(seconds["conclude"]),
            Round(seconds.Values.Sum()), Round(memory.Peak / 1e6), Round((24.0 * words + 8.0 * (asked.Length + 2) * words + 8.0 * nonZeros) / 1e6));
    }

    /// <summary>Between the last two sizes, where constant costs weigh least; of what takes less than a hundredth of a second, nothing can be said: 0.</summary>
    private static Row Exponents(string of, Row[] rows, Func<Row, double> size)
    {
        double Slope(Func<Row, double> value) => value(rows[^2]) < 0.01 ? 0 : Round(Math.Log(value(rows[^1]) / value(rows[^2])) / Math.Log(size(rows[^1]) / size(rows[^2])));
        return new Row($"exponent of {of}", rows[0].Data, rows[^1].Words, rows[^1].Features, rows[^1].Layers, Slope(r => r.LabelS), Slope(r => r.ControlS), Slope(r => r.InformS),
            Slope(r => r.ConcludeS), Slope(r => r.TotalS),
            // Later measurements find the pages of earlier ones: only words are measured from the smallest up.
            of == "words" ? Slope(r => r.PeakMb) : 0, of == "words" ? Slope(r => r.InherentMb) : 0);
    }

    private static double Round(double value) => Math.Round(value, 3);

    /// <summary>The highest working set of this process since it was made, above that when it was made; looked at every 10 ms.</summary>
    private sealed class PeakMemory : IDisposable
    {
        private readonly long _before = Environment.WorkingSet;
        private readonly Timer _timer;
        private long _peak;

        public PeakMemory() => _timer = new Timer(_ => _peak = Math.Max(_peak, Environment.WorkingSet), null, 0, 10);

        public double Peak => Math.Max(0, Math.Max(_peak, Environment.WorkingSet) - _before);

        public void Dispose() => _timer.Dispose();
    }
}
