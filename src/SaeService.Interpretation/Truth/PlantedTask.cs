using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Truth;

/// <summary>A task of the planted language: labels with their prior, their means in coordinates of the task's own, and how strong these are by layer.</summary>
internal sealed class PlantedTask
{
    public const int MostForms = 200;

    private readonly double[] _prior;
    private readonly double[][] _means; // [labels][width]
    private readonly double[] _alpha;   // [layers]
    private readonly int _from;

    private PlantedTask(string name, string[] labels, double[] weights, IReadOnlySet<int> excluded, double[] alpha, int from, int width, double spread, long seed)
    {
        (Name, Labels, Excluded, _alpha, _from) = (name, labels, excluded, alpha, from);
        _prior = [.. weights.Select(w => w / weights.Sum())];
        var random = new CounterRandom(seed, -1 - from);
        _means = [.. labels.Select(_ => Enumerable.Range(0, width).Select(_ => spread * random.NextNormal()).ToArray())];
    }

    /// <summary>Dimensions of all tasks together.</summary>
    public static int Dimension => 64;

    /// <summary>Layers of which <see cref="All"/> gives the strengths: 0, which knows no context, to 4.</summary>
    public static int Layers => 5;
    public string Name { get; }
    public string[] Labels { get; }
    public IReadOnlySet<int> Excluded { get; }
    public IReadOnlyList<double> Prior => _prior;

    /// <summary>
    /// Parts of speech as frequent as in UD LinES (method 0), fading with depth; dependency relations, strongest in the middle and absent at layer 0; entities of
    /// which nine words in ten are none, rising to the top.
    /// </summary>
    public static PlantedTask[] All(int seed) =>
    [
        new("pos", ["NOUN", "PUNCT", "VERB", "PRON", "ADP", "DET", "ADJ", "ADV", "AUX", "PROPN", "CCONJ", "PART", "SCONJ", "NUM", "INTJ", "X", "SYM"],
            [0.177, 0.125, 0.115, 0.1, 0.09, 0.08, 0.065, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02, 0.01, 0.007, 0.004, 0.002],
            new HashSet<int>(), [1, 0.9, 0.7, 0.5, 0.4], 0, 32, 0.33, seed),
        new("dep", ["nsubj", "obj", "obl", "root", "amod", "nmod", "advmod", "conj", "xcomp", "mark", "appos", "iobj"],
            [0.16, 0.12, 0.14, 0.13, 0.1, 0.09, 0.08, 0.07, 0.04, 0.04, 0.02, 0.01], new HashSet<int>(), [0, 0.5, 1, 0.8, 0.4], 32, 24, 0.45, seed),
        new("ner", ["O", "PER", "LOC", "ORG"], [0.9, 0.04, 0.03, 0.03], new HashSet<int> { 0 }, [0, 0.2, 0.5, 0.8, 1], 56, 8, 1.2, seed),
    ];

    /// <summary>Forms of a part of speech: many of the frequent, open ones, few of the rest.</summary>
    public static int FormsOf(int pos) => Math.Max(2, MostForms >> (pos / 2 + (pos % 2 == 0 ? 0 : 4)));

    public int Draw(double at)
    {
        var label = 0;
        for (; label < _prior.Length - 1 && (at -= _prior[label]) >= 0; label++)
        {
        }
        return label;
    }

    /// <summary>Sets the task's coordinates of <paramref name="h"/> to α(layer) μ.</summary>
    public void AddMean(int label, int layer, Span<float> h)
    {
        var mean = _means[label];
        for (var j = 0; j < mean.Length; j++)
            h[_from + j] = (float)(_alpha[layer] * mean[j]);
    }

    /// <summary>ln p(label | h) / p(label), of the mixture's own densities: other tasks' coordinates are independent of the label and cancel.</summary>
    public double LogPosteriorOverPrior(int label, ReadOnlySpan<float> h, int layer, double sigma)
    {
        var log = new double[_prior.Length];
        for (var y = 0; y < log.Length; y++)
            for (var j = 0; j < _means[y].Length; j++)
            {
                var off = h[_from + j] - _alpha[layer] * _means[y][j];
                log[y] -= off * off / (2 * sigma * sigma);
            }
        var top = log.Max();
        var evidence = 0.0;
        for (var y = 0; y < log.Length; y++)
            evidence += _prior[y] * Math.Exp(log[y] - top);
        return log[label] - top - Math.Log(evidence);
    }
}
