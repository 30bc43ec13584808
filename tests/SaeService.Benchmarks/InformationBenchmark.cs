using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;

namespace SaeService.Benchmarks;

/// <summary>
/// The estimators of information at the size of a layer of a small model: 20 000 words x 768 dimensions x 17 labels. The probe's optimum and time stand beside
/// those of scikit-learn's LogisticRegression at the same penalty, where Debian's python3 has it.
/// </summary>
internal static class InformationBenchmark
{
    private const int TrainWords = 20_000, Others = 7000, Dimension = 768, Types = 3000, Directions = 2048;

    /// <summary>About the frequencies of parts of speech in running English.</summary>
    private static readonly double[] Prior = [0.177, 0.125, 0.115, 0.1, 0.09, 0.08, 0.065, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02, 0.01, 0.007, 0.004, 0.002];

    /// <param name="Objective">Mean cross-entropy in nats with the penalty, of a fit; the smaller, the nearer to the optimum.</param>
    public sealed record Row(string What, double Seconds, double? Lambda = null, double? Objective = null, int? Steps = null);

    public static IReadOnlyList<Row> Run()
    {
        var sample = new Sample();
        var rules = new InformationRules { BootstrapSamples = 1000 };
        var chosen = ProbeWords.Choose(sample.Words, sample.Task, TrainWords, rules.Seed);
        var rows = new List<Row>();
        T Timed<T>(Func<T> what, Func<T, double, Row> row)
        {
            var start = TimeProvider.System.GetTimestamp();
            var result = what();
            rows.Add(row(result, Math.Round(TimeProvider.System.GetElapsedTime(start).TotalSeconds, 2)));
            return result;
        }

        double[] lambdas = [1e-2, 1e-3, 1e-4];
        var labels = Array.ConvertAll(chosen.Train, word => sample.Task.Of[word]);
        foreach (var lambda in lambdas)
        {
            var design = Design(sample, chosen.Train, rules.Threads);
            Timed(() => LinearProbe.Fit(design, labels, Prior.Length, lambda), (probe, s) => new("linear probe, cold", s, lambda, probe.Objective, probe.Steps));
        }
        var choice = Timed(() => VInformation.ChooseLambda(sample.Words, sample.Task, chosen, Dimension, sample.Gather, rules),
            (c, s) => new("choice of the penalty", s, c.Lambda));
        Timed(() => VInformation.Measure(sample.Words, sample.Task, chosen, 0, Dimension, sample.Gather, choice.Lambda, rules),
            (_, s) => new("V-information of a layer and task with its controls", s, choice.Lambda));
        Timed(() => DimensionRanking.Measure(sample.Task, chosen, Dimension, sample.Gather, rules), (_, s) => new("every dimension by nearest neighbours, and shuffled", s));
        Timed(() => new ClusterMeasure(sample.Words, Dimension, sample.Gather, rules), (c, s) => new($"{c.K} clusters", s));
        Timed(() => OnlineCodeLength.Measure(sample.Words, sample.Task, chosen, Dimension, sample.Gather, choice.Lambda, rules), (_, s) => new("online code, task and control", s));
        Timed(() => MlpInformation.Measure(sample.Words, sample.Task, chosen, Dimension, sample.Gather, rules), (_, s) => new("hidden layer, task and control, three seeds each", s));
        rows.AddRange(Sklearn(sample, chosen.Train, labels, lambdas));
        return rows;
    }

    private static ProbeDesign Design(Sample sample, int[] words, int threads)
    {
        var x = new float[ProbeDesign.RowsAllocated(words.Length) * ProbeDesign.StrideOf(Dimension)];
        sample.Gather(words, x.AsSpan(0, words.Length * Dimension));
        return new ProbeDesign(x, words.Length, Dimension, threads);
    }

    private static IEnumerable<Row> Sklearn(Sample sample, int[] words, int[] labels, double[] lambdas)
    {
        const string Script = """
            import json, sys, time
            import numpy as np
            from sklearn.linear_model import LogisticRegression
            from sklearn.feature_selection import mutual_info_classif
            from sklearn.preprocessing import StandardScaler
            folder, d = sys.argv[1], int(sys.argv[2])
            x = np.fromfile(folder + '/x.f32', dtype='<f4').reshape(-1, d).astype(np.float64)
            y = np.fromfile(folder + '/y.i32', dtype='<i4')
            x = StandardScaler().fit_transform(x)
            rows = []
            for l in [float(a) for a in sys.argv[3:]]:
                start = time.time()
                probe = LogisticRegression(C=1 / (len(y) * l), max_iter=1000).fit(x, y)
                seconds = time.time() - start
                p = probe.predict_proba(x)[np.arange(len(y)), np.searchsorted(probe.classes_, y)]
                rows.append({'What': 'scikit-learn LogisticRegression', 'Seconds': round(seconds, 2), 'Lambda': l, 'Steps': int(probe.n_iter_[0]),
                    'Objective': float(-np.log(p).mean() + l / 2 * (probe.coef_ ** 2).sum())})
            start = time.time()
            mutual_info_classif(x[:, :32], y, random_state=0)
            rows.append({'What': 'scikit-learn mutual_info_classif, from 32 dimensions', 'Seconds': round((time.time() - start) * d / 32, 2)})
            print(json.dumps(rows))
            """;
        const string Python = "/usr/bin/python3";
        if (!File.Exists(Python))
            return [];
        var folder = Directory.CreateTempSubdirectory("information-bench-").FullName;
        try
        {
            var x = new float[words.Length * Dimension];
            sample.Gather(words, x);
            File.WriteAllBytes(Path.Combine(folder, "x.f32"), MemoryMarshal.AsBytes(x.AsSpan()).ToArray());
            File.WriteAllBytes(Path.Combine(folder, "y.i32"), MemoryMarshal.AsBytes(labels.AsSpan()).ToArray());
            var arguments = new[] { "-c", Script, folder, Dimension.ToString(CultureInfo.InvariantCulture) }.Concat(lambdas.Select(l => l.ToString(CultureInfo.InvariantCulture)));
            using var process = Process.Start(new ProcessStartInfo(Python, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var errors = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode == 0)
                return JsonSerializer.Deserialize<List<Row>>(output)!;
            Console.Error.WriteLine($"scikit-learn is left out: {errors.Result.Trim().Split('\n')[^1]}");
            return [];
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// Vectors as a residual stream has them: sums of directions of falling strength, so that the spectrum decays, with a common offset, a few rogue dimensions,
    /// a direction for the word's form and one for its label.
    /// </summary>
    private sealed class Sample
    {
        private readonly float[] _vectors;

        public Sample()
        {
            var count = TrainWords + Others;
            var random = new CounterRandom(1, 0);
            float[][] directions = Normals(Directions, 2), ofType = Normals(Types, 3), ofLabel = Normals(Prior.Length, 4);
            _vectors = new float[count * Dimension];
            int[] labels = new int[count], document = new int[count], type = new int[count];
            var total = Prior.Sum();
            for (var word = 0; word < count; word++)
            {
                document[word] = word / 40;
                // Frequent forms are frequent, and most have one label.
                type[word] = (int)(Types * Math.Pow(random.NextDouble(), 3));
                var at = (random.NextDouble() < 0.8 ? new CounterRandom(5, type[word]).NextDouble() : random.NextDouble()) * total;
                while (labels[word] < Prior.Length - 1 && (at -= Prior[labels[word]]) >= 0)
                    labels[word]++;
                var v = _vectors.AsSpan(word * Dimension, Dimension);
                for (var a = 0; a < 24; a++)
                {
                    var direction = random.Next(Directions);
                    Add(v, directions[direction], 3 * random.NextDouble() / Math.Sqrt(1 + direction / 16.0));
                }
                Add(v, ofType[type[word]], 0.3);
                Add(v, ofLabel[labels[word]], 0.08);
                for (var j = 0; j < Dimension; j++)
                    v[j] += (float)(1 + 0.3 * random.NextNormal()) * (j is 37 or 411 ? 60 : 1);
            }
            var parts = Enumerable.Range(0, document[^1] + 1).Select(d => (d % 10) switch { 8 => Interpretation.Part.Dev, 9 => Interpretation.Part.Test, _ => Interpretation.Part.Train }).ToArray();
            Task = new("pos", [.. Prior.Select((_, c) => $"L{c}")], labels, new HashSet<int>());
            Words = new(document, document, type, parts, [Task]);
        }

        public Interpretation.TaskLabels Task { get; }
        public Interpretation.LabelledWords Words { get; }

        public void Gather(ReadOnlySpan<int> words, Span<float> into)
        {
            for (var i = 0; i < words.Length; i++)
                _vectors.AsSpan(words[i] * Dimension, Dimension).CopyTo(into[(i * Dimension)..]);
        }

        private static void Add(Span<float> into, float[] direction, double scale)
        {
            for (var j = 0; j < into.Length; j++)
                into[j] += (float)scale * direction[j];
        }

        private static float[][] Normals(int count, int stream)
        {
            var random = new CounterRandom(1, stream);
            return [.. Enumerable.Range(0, count).Select(_ => Enumerable.Range(0, Dimension).Select(_ => (float)random.NextNormal()).ToArray())];
        }
    }
}
