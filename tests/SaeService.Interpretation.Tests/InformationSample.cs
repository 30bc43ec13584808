using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using SaeService.Interpretation.Statistics;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>Words whose vectors are drawn from a Gaussian mixture with known means, so that the true information is known too.</summary>
internal sealed class InformationSample
{
    /// <summary>About the frequencies of parts of speech in running English.</summary>
    private static readonly double[] UposLike =
        [0.177, 0.125, 0.115, 0.1, 0.09, 0.08, 0.065, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02, 0.01, 0.007, 0.004, 0.002];

    private readonly double[][] _means; // [classes][dimension]
    private readonly double[] _prior;
    private readonly double _sigma;

    /// <param name="spread">Standard deviation of the means' coordinates.</param>
    public InformationSample(int count, int dimension, double spread, double sigma, int seed, double[]? prior = null, int types = 400)
    {
        _prior = prior ?? [.. UposLike.Select(p => p / UposLike.Sum())];
        (_sigma, Dimension) = (sigma, dimension);
        var random = new CounterRandom(seed, 0);
        _means = [.. _prior.Select(_ => Enumerable.Range(0, dimension).Select(_ => spread * random.NextNormal()).ToArray())];
        Vectors = new float[count * dimension];
        int[] labels = new int[count], document = new int[count], type = new int[count];
        for (var word = 0; word < count; word++)
        {
            labels[word] = Draw(random.NextDouble());
            document[word] = word / 40;
            type[word] = random.Next(types);
            for (var j = 0; j < dimension; j++)
                Vectors[word * dimension + j] = (float)(_means[labels[word]][j] + sigma * random.NextNormal());
        }
        var parts = Enumerable.Range(0, document[^1] + 1).Select(d => (d % 10) switch { 8 => Part.Dev, 9 => Part.Test, _ => Part.Train }).ToArray();
        Task = new("pos", [.. _prior.Select((_, c) => $"L{c:00}")], labels, new HashSet<int>());
        Words = new(document, document, type, parts, [Task]);
    }

    public int Dimension { get; }
    public float[] Vectors { get; }
    public TaskLabels Task { get; }
    public LabelledWords Words { get; }

    public void Gather(ReadOnlySpan<int> words, Span<float> into)
    {
        for (var i = 0; i < words.Length; i++)
            Vectors.AsSpan(words[i] * Dimension, Dimension).CopyTo(into[(i * Dimension)..]);
    }

    /// <summary>E[log2 p(y|h)/p(y)] over the sample, with the mixture's own densities: bits.</summary>
    public double TrueInformation()
    {
        var sum = 0.0;
        for (var word = 0; word < Words.Count; word++)
        {
            var log = new double[_prior.Length];
            for (var c = 0; c < log.Length; c++)
            {
                for (var j = 0; j < Dimension; j++)
                    log[c] -= Math.Pow(Vectors[word * Dimension + j] - _means[c][j], 2) / (2 * _sigma * _sigma);
            }
            var top = log.Max();
            var evidence = log.Select((l, c) => _prior[c] * Math.Exp(l - top)).Sum();
            sum += (log[Task.Of[word]] - top - Math.Log(evidence)) / Math.Log(2);
        }
        return sum / Words.Count;
    }

    private int Draw(double at)
    {
        var c = 0;
        for (; c < _prior.Length - 1 && (at -= _prior[c]) >= 0; c++)
        {
        }
        return c;
    }
}

/// <summary>The same quantities by scikit-learn, where Debian's python3 has it.</summary>
internal static class Sklearn
{
    private const string Python = "/usr/bin/python3";

    public sealed record Answer(double Objective, double MarginalBits, double InformationBits, double Accuracy, double MacroF1);

    public static Answer Information(int dimension, double lambda, float[] trainX, int[] trainY, float[] testX, int[] testY)
    {
        if (!File.Exists(Python) || Run("-c", "import sklearn").ExitCode != 0)
            Assert.Skip($"needs {Python} with scikit-learn (apt-get install python3-sklearn)");
        var folder = Directory.CreateTempSubdirectory("information-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "meta.json"), JsonSerializer.Serialize(new { dimension, lambda }));
            Write<float>("train.X.f32", trainX);
            Write<int>("train.y.i32", trainY);
            Write<float>("test.X.f32", testX);
            Write<int>("test.y.i32", testY);
            var script = Path.Combine(SharedData.RepositoryRoot, "tests/SaeService.Interpretation.Tests/scripts/information_by_sklearn.py");
            var (code, output, errors) = Run(script, folder);
            Assert.True(code == 0, errors);
            return JsonSerializer.Deserialize<Answer>(output, JsonSerializerOptions.Web)!;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        void Write<T>(string name, T[] values) where T : unmanaged =>
            File.WriteAllBytes(Path.Combine(folder, name), MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
    }

    private static (int ExitCode, string Output, string Errors) Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(Python, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }
}
