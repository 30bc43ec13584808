using SaeService.Autoencoders;
using SaeService.Interpretation;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using CounterRandom = SaeService.Interpretation.Statistics.CounterRandom;

namespace SaeService.Benchmarks;

/// <summary>
/// The pass from sparse codes to labelled features: 60,000 words, 16,384 features, 32 of them on each word, three tasks. The codes are made up, with the skew of
/// real ones: a third of the latents follow a word form, a third a dependency relation, the rest come by a power law, and activations are log-normal.
/// </summary>
internal static class LabelBenchmark
{
    private const int Words = 60_000, Features = 16_384, L0 = 32, Documents = 400, SentenceLength = 17;

    /// <param name="Milliseconds">
    /// Of the whole pass, all tasks: turning codes to feature-major, choosing thresholds, counting, every measure of every feature, q, bootstrap intervals, gates,
    /// detection, halves, unions and the best feature of each label. Not in it: reading codes, writing rows.
    /// </param>
    /// <param name="CpuMilliseconds">The same in time of all cores together, which what else the machine does hardly changes.</param>
    public sealed record Row(string Pass, int Threads, double Milliseconds, double CpuMilliseconds, int Consistent, long NonZeros);

    public static IReadOnlyList<Row> Run()
    {
        var words = MakeWords();
        var codes = MakeCodes(words);
        var rows = new List<Row>();
        foreach (var threads in new[] { Environment.ProcessorCount, 1 })
        {
            FeatureLabelling? labelling = null;
            var (wall, cpu) = Time(7, () => labelling = FeatureLabeller.Run(codes, words, new LabelRules(), threads));
            rows.Add(new("label", threads, wall, cpu, labelling!.Layer.Tasks.Sum(t => t.Consistent.Count), codes.NonZeros));
        }
        var (probesWall, probesCpu) = Time(3, () => SparseProbes.Run(codes, words));
        rows.Add(new("sparse probes", Environment.ProcessorCount, probesWall, probesCpu, 0, codes.NonZeros));
        var (matchWall, matchCpu) = MatchSeeds();
        rows.Add(new("seed matching, 24576 x 24576 x 768", Environment.ProcessorCount, matchWall, matchCpu, 0, 0));
        return rows;
    }

    /// <summary>Two dictionaries of the width that GPT-2's small layers are given, half of the second a turned copy of the first.</summary>
    private static (double Wall, double Cpu) MatchSeeds()
    {
        const int Width = 24_576, Dimension = 768;
        float[] first = new float[Width * Dimension], second = new float[Width * Dimension];
        Parallel.For(0, Width, feature =>
        {
            var random = new CounterRandom(3, feature);
            for (var i = feature * Dimension; i < (feature + 1) * Dimension; i++)
            {
                first[i] = (float)random.NextNormal();
                second[i] = (feature % 2 == 0 ? first[i] : 0) + 0.4f * (float)random.NextNormal();
            }
        });
        var labels = new Dictionary<string, IReadOnlyList<string?>> { ["pos"] = [.. Enumerable.Range(0, Width).Select(f => f % 3 == 0 ? null : $"L{f % 17}")] };
        var start = TimeProvider.System.GetTimestamp();
        var cpu = Environment.CpuUsage.TotalTime;
        var compared = SeedMatching.Compare(new(0, first, Dimension, labels), new(1, second, Dimension, labels));
        if (compared.Matched is < 0.49 or > 0.51)
            throw new InvalidOperationException($"{compared.Matched} of the latents have a match, and half were made to");
        return (Math.Round(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds), Math.Round((Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds));
    }

    /// <summary>Medians of wall time and of processor time.</summary>
    private static (double Wall, double Cpu) Time(int rounds, Action measurement)
    {
        measurement(); // warm
        var times = Enumerable.Range(0, rounds).Select(_ =>
        {
            var start = TimeProvider.System.GetTimestamp();
            var cpu = Environment.CpuUsage.TotalTime;
            measurement();
            return (Wall: TimeProvider.System.GetElapsedTime(start).TotalMilliseconds, Cpu: (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds);
        }).ToArray();
        return (Math.Round(times.Select(t => t.Wall).Order().ElementAt(rounds / 2), 1), Math.Round(times.Select(t => t.Cpu).Order().ElementAt(rounds / 2), 1));
    }

    private static LabelledWords MakeWords()
    {
        var random = new CounterRandom(1, 1);
        int[] document = new int[Words], sentence = new int[Words], type = new int[Words], pos = new int[Words], dep = new int[Words], ner = new int[Words];
        for (var word = 0; word < Words; word++)
        {
            sentence[word] = word / SentenceLength;
            document[word] = (int)((long)word / SentenceLength * Documents / ((Words / SentenceLength) + 1));
            type[word] = Zipf(ref random, 8000);
            // Most forms have one part of speech, a seventh have two.
            pos[word] = (type[word] * 7 % 17 + (type[word] % 7 == 0 && random.NextDouble() < 0.4 ? 1 : 0)) % 17;
            dep[word] = random.NextDouble() < 0.5 ? pos[word] * 2 : Zipf(ref random, 34);
            ner[word] = pos[word] == 3 && random.NextDouble() < 0.7 ? 1 + type[word] % 3 : 0;
        }
        var parts = Enumerable.Range(0, Documents).Select(d => (d % 5) switch { 3 => Part.Dev, 4 => Part.Test, _ => Part.Train }).ToArray();
        return new LabelledWords(document, sentence, type, parts,
        [
            new TaskLabels("pos", Names(17), pos, new HashSet<int>()),
            new TaskLabels("dep", Names(34), dep, new HashSet<int>()),
            new TaskLabels("ner", Names(4), ner, new HashSet<int> { 0 }),
        ]);

        static string[] Names(int count) => [.. Enumerable.Range(0, count).Select(n => $"L{n}")];
    }

    private static SparseCodes MakeCodes(LabelledWords words)
    {
        var built = new SparseCodesBuilder(Features);
        var dep = words.Tasks[1].Of;
        var chosen = new SortedSet<int>();
        for (var word = 0; word < Words; word++)
        {
            var random = new CounterRandom(2, word);
            chosen.Clear();
            while (chosen.Count < L0)
                chosen.Add(random.Next(3) switch
                {
                    0 => (int)((uint)(words.Type[word] * 40503 + random.Next(24)) % (Features / 3)),
                    1 => Features / 3 + dep[word] * 120 + Zipf(ref random, 120),
                    _ => 2 * Features / 3 + Zipf(ref random, Features / 3),
                });
            int[] index = [.. chosen];
            built.Add(index, Array.ConvertAll(index, _ => (float)Math.Exp(0.6 * random.NextNormal())));
        }
        return built.Build();
    }

    /// <summary>A rank below <paramref name="count"/>, the n-th about as likely as 1 / (n + 3).</summary>
    private static int Zipf(ref CounterRandom random, int count) => Math.Min(count - 1, (int)(3 * (Math.Pow((count + 3) / 3.0, random.NextDouble()) - 1)));
}
