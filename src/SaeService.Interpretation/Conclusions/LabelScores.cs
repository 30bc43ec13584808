using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Conclusions;

/// <summary>
/// One label over the layers: union F1, that of the baselines, and what is left above the best of them, each with its resampled values. All
/// share the resampled documents, so differences between layers and from baselines are paired.
/// </summary>
internal sealed class LabelScores
{
    private readonly double[][] _above; // [layers][samples] excess over the best baseline of the same sample
    private readonly double[][] _f1;    // [layers][samples]

    /// <param name="autoencoder">The label at each layer.</param>
    /// <param name="random">The label under random directions, by layer and seed.</param>
    /// <param name="untrained">The label at the layers of untrained models, by layer and model; none where none was run.</param>
    public LabelScores(IReadOnlyList<LabelUnion> autoencoder, IReadOnlyList<IReadOnlyList<LabelUnion>> random, LabelUnion tokenTypes,
        IReadOnlyList<IReadOnlyList<LabelUnion>> untrained, DocumentBootstrap bootstrap)
    {
        var layers = autoencoder.Count;
        Unions = autoencoder;
        Random = new double[layers];
        TokenType = tokenTypes.Union?.F1 ?? 0;
        Untrained = new double?[layers];
        Excess = new double[layers];
        OverRandom = new double[layers][];
        OverTokenType = new double[layers][];
        OverUntrained = new double[]?[layers];
        _above = new double[layers][];
        _f1 = new double[layers][];
        var ofTypes = Samples(tokenTypes.Union, bootstrap);
        for (var layer = 0; layer < layers; layer++)
        {
            Random[layer] = random[layer].Max(r => r.Union?.F1 ?? 0);
            Untrained[layer] = untrained[layer].Count == 0 ? null : untrained[layer].Max(u => u.Union?.F1 ?? 0);
            Excess[layer] = (autoencoder[layer].Union?.F1 ?? 0) - Math.Max(Math.Max(Random[layer], TokenType), Untrained[layer] ?? 0);
            var (ofRandom, ofUntrained) = (Best(random[layer], bootstrap), Best(untrained[layer], bootstrap));
            _f1[layer] = Samples(autoencoder[layer].Union, bootstrap);
            _above[layer] = Combine(_f1[layer], Combine(Combine(ofRandom, ofTypes, Math.Max), ofUntrained, Math.Max), (a, b) => a - b);
            OverRandom[layer] = DocumentBootstrap.Interval(Combine(_f1[layer], ofRandom, (a, b) => a - b));
            OverTokenType[layer] = DocumentBootstrap.Interval(Combine(_f1[layer], ofTypes, (a, b) => a - b));
            OverUntrained[layer] = untrained[layer].Count == 0 ? null : DocumentBootstrap.Interval(Combine(_f1[layer], ofUntrained, (a, b) => a - b));
        }
    }

    public IReadOnlyList<LabelUnion> Unions { get; }

    /// <summary>Union F1 of the best seed of random directions, by layer.</summary>
    public double[] Random { get; }
    public double TokenType { get; }

    /// <summary>Of the best untrained model, by layer; null where none was run.</summary>
    public double?[] Untrained { get; }

    /// <summary>Union F1 minus the best baseline's, by layer; below 0 where a baseline is better.</summary>
    public double[] Excess { get; }

    /// <summary>95 % intervals of the union F1 minus each baseline's: [layers][2].</summary>
    public double[][] OverRandom { get; }
    public double[][] OverTokenType { get; }
    public double[]?[] OverUntrained { get; }

    /// <summary>S: the excess, 0 where it is negative.</summary>
    public double[] Score => Array.ConvertAll(Excess, e => Math.Max(0, e));
    public double[] F1Interval(int layer) => DocumentBootstrap.Interval(_f1[layer]);
    public double[] ExcessInterval(int layer) => DocumentBootstrap.Interval(_above[layer]);

    /// <summary>S of every layer in one sample.</summary>
    public double[] ScoreSample(int sample) => Array.ConvertAll(_above, layer => Math.Max(0, layer[sample]));

    /// <summary>S minus its mean over layers, with its interval.</summary>
    public (double Value, double[] Ci95) FromMean(int layer)
    {
        var samples = new double[_above[layer].Length];
        for (var sample = 0; sample < samples.Length; sample++)
        {
            var scores = ScoreSample(sample);
            samples[sample] = scores[layer] - scores.Average();
        }
        return (Score[layer] - Score.Average(), DocumentBootstrap.Interval(samples));
    }

    /// <summary>Layers whose S is not significantly below that of the best one: positions, ascending. Empty where S is 0 everywhere.</summary>
    public IEnumerable<int> PeakSet() => PeakSets.Of(Score, Array.ConvertAll(_above, layer => Array.ConvertAll(layer, above => Math.Max(0, above))));

    /// <summary>In every sample the best of them; 0 without any.</summary>
    private static double[] Best(IReadOnlyList<LabelUnion> unions, DocumentBootstrap bootstrap)
    {
        var best = new double[bootstrap.Samples];
        foreach (var union in unions)
            best = Combine(best, Samples(union.Union, bootstrap), Math.Max);
        return best;
    }

    private static double[] Samples(UnionCounts? union, DocumentBootstrap bootstrap)
    {
        if (union is null)
            return new double[bootstrap.Samples];
        double[] hits = bootstrap.Sums(union.TruePositives), misfires = bootstrap.Sums(union.FalsePositives), misses = bootstrap.Sums(union.FalseNegatives);
        var f1 = new double[hits.Length];
        for (var sample = 0; sample < f1.Length; sample++)
            f1[sample] = hits[sample] == 0 ? 0 : 2 * hits[sample] / (2 * hits[sample] + misfires[sample] + misses[sample]);
        return f1;
    }

    private static double[] Combine(double[] a, double[] b, Func<double, double, double> by)
    {
        var combined = new double[a.Length];
        for (var sample = 0; sample < a.Length; sample++)
            combined[sample] = by(a[sample], b[sample]);
        return combined;
    }
}
