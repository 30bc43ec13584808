namespace SaeService.Autoencoders.Toy;

/// <summary>What a synthetic model of SynthSAEBench is made of; the defaults are its 16k model scaled down to 1/16 of the features.</summary>
/// <param name="Features">G: 16384 there.</param>
/// <param name="Dim">d: 768 there.</param>
/// <param name="Roots">Trees of features: 128 there. Here 32, so that with 4 children each, 3 levels deep, all features are in one.</param>
public sealed record SynthSettings(int Features = 1024, int Dim = 96, int Roots = 32)
{
    public int Branching { get; init; } = 4;
    public int Depth { get; init; } = 3;

    /// <summary>Firing probabilities fall with rank as r^-Exponent, scaled into [LeastProbability, GreatestProbability].</summary>
    public double Exponent { get; init; } = 0.5;
    public double LeastProbability { get; init; } = 5e-4;
    public double GreatestProbability { get; init; } = 0.4;

    /// <summary>Rank and scale of the factor of the correlations.</summary>
    public int Rank { get; init; } = 25;
    public double CorrelationScale { get; init; } = 0.1;

    /// <summary>Mean strength of the most and of the least frequent feature; between them it falls linearly.</summary>
    public double FirstMean { get; init; } = 5;
    public double LastMean { get; init; } = 4;

    /// <summary>A feature's strength spreads by |N(SpreadMean, SpreadDeviation²)|, drawn once.</summary>
    public double SpreadMean { get; init; } = 0.5;
    public double SpreadDeviation { get; init; } = 0.5;

    public double BiasNorm { get; init; } = 0.5;
    public int OrthogonalSteps { get; init; } = 100;
    public double OrthogonalRate { get; init; } = 3e-4;
}

/// <summary>
/// The generator of SynthSAEBench (Chanin and Garriga-Alonso 2026, arXiv 2602.14687), sized for a CPU: correlated features in trees whose children fire only
/// with their parent, one at a time, with strengths in proportion to the parent's, in superposition.
/// </summary>
public sealed class SynthGenerator : ToyGenerator
{
    public const string ScaledName = "synthsaebench-1k";
    private readonly long seed;
    private readonly SynthSettings settings;
    private readonly FeatureTree tree;
    private readonly double[] loadings;      // [G, rank], F
    private readonly double[] own;           // [G], standard deviation of what is a feature's own: sqrt(1 - sum F²)
    private readonly double[] threshold;     // [G], Φ⁻¹(1 - p) of the compensated probabilities
    private readonly double[] mean, spread;  // [G]

    /// <param name="seed">Of the model and of the rows.</param>
    /// <param name="settings">The model.</param>
    public SynthGenerator(long seed, SynthSettings settings)
        : base(ScaledName, settings.Features, settings.Dim, OrthogonalRows(seed, settings), Bias(seed, settings))
    {
        var s = settings;
        (this.seed, this.settings) = (seed, s);
        tree = new(s.Features, s.Roots, s.Branching, s.Depth);
        var probability = Zipf(s);
        FiringProbability = probability;
        threshold = Array.ConvertAll(tree.Compensated(probability), p => -NormalDistribution.Quantile(p));
        (loadings, own) = (new double[s.Features * s.Rank], new double[s.Features]);
        (mean, spread) = (new double[s.Features], new double[s.Features]);
        var spreadKey = CounterRandom.Key(seed, ToyRandom.Spread, 0);
        for (var f = 0; f < s.Features; f++)
        {
            var row = loadings.AsSpan(f * s.Rank, s.Rank);
            ToyRandom.Normals(CounterRandom.Key(seed, ToyRandom.Loading, (ulong)f), row);
            foreach (ref var value in row)
                value *= s.CorrelationScale;
            var common = DoubleVectors.Dot(row, row);
            if (common >= 1)
                throw new ArgumentException($"CorrelationScale {s.CorrelationScale} at Rank {s.Rank} leaves feature {f} no variance of its own", nameof(settings));
            own[f] = Math.Sqrt(1 - common);
            mean[f] = s.FirstMean + (s.LastMean - s.FirstMean) * f / Math.Max(1, s.Features - 1);
            spread[f] = Math.Abs(s.SpreadMean + s.SpreadDeviation * CounterRandom.Normal(spreadKey, (ulong)f));
        }
    }

    /// <summary>P(feature fires), before correlations and trees disturb it. [G]</summary>
    public IReadOnlyList<double> FiringProbability { get; }

    /// <summary>
    /// Adam with PyTorch's defaults on sum over i ≠ j of ⟨w_i, w_j⟩² + G sum (‖w_i‖² - 1)², from random unit rows, which are scaled to length 1 again.
    /// </summary>
    private static double[] OrthogonalRows(long seed, SynthSettings s)
    {
        const double Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8;
        var (g, d, lanes) = (s.Features, s.Dim, new Lanes());
        var w = ToyRandom.UnitRows(seed, g, d);
        double[] gradient = new double[w.Length], first = new double[w.Length], second = new double[w.Length];
        for (var step = 1; step <= s.OrthogonalSteps; step++)
        {
            lanes.For(g, (i, _) =>
            {
                Span<double> row = w.AsSpan(i * d, d), target = gradient.AsSpan(i * d, d);
                target.Clear();
                for (var j = 0; j < g; j++)
                {
                    var other = w.AsSpan(j * d, d);
                    var dot = DoubleVectors.Dot(row, other);
                    DoubleVectors.AddScaled(target, 4 * (i == j ? g * (dot - 1) : dot), other);
                }
            });
            var (c1, c2) = (1 - Math.Pow(Beta1, step), 1 - Math.Pow(Beta2, step));
            for (var i = 0; i < w.Length; i++)
            {
                first[i] = Beta1 * first[i] + (1 - Beta1) * gradient[i];
                second[i] = Beta2 * second[i] + (1 - Beta2) * gradient[i] * gradient[i];
                w[i] -= s.OrthogonalRate * first[i] / c1 / (Math.Sqrt(second[i] / c2) + Epsilon);
            }
        }
        for (var i = 0; i < g; i++)
            DoubleVectors.Normalise(w.AsSpan(i * d, d));
        return w;
    }

    private static double[] Bias(long seed, SynthSettings s)
    {
        var bias = new double[s.Dim];
        ToyRandom.Normals(CounterRandom.Key(seed, ToyRandom.Bias, 0), bias);
        DoubleVectors.Normalise(bias);
        return Array.ConvertAll(bias, v => v * s.BiasNorm);
    }

    private static double[] Zipf(SynthSettings s)
    {
        var least = Math.Pow(s.Features, -s.Exponent);
        return [.. Enumerable.Range(1, s.Features).Select(rank =>
            s.LeastProbability + (s.GreatestProbability - s.LeastProbability) * (Math.Pow(rank, -s.Exponent) - least) / (1 - least))];
    }

    private protected override void Draw(long block, SparseCodesBuilder codes)
    {
        var active = new ActiveFeatures(Features);
        var factor = new double[settings.Rank];
        Span<(int Feature, double Value)> siblings = new (int, double)[settings.Branching];
        for (var row = block * BlockRows; row < (block + 1) * BlockRows; row++)
        {
            ToyRandom.Normals(CounterRandom.Key(seed, ToyRandom.Factor, (ulong)row), factor);
            var keys = (CounterRandom.Key(seed, ToyRandom.Firing, (ulong)row), CounterRandom.Key(seed, ToyRandom.Strength, (ulong)row));
            var winner = CounterRandom.Key(seed, ToyRandom.Winner, (ulong)row);
            for (var root = 0; root < tree.Roots; root++)
                AddIfAny(active, root, Strength(root, factor, keys));
            // Breadth first: whoever is added here has its turn as a parent later. Only children of active features are drawn.
            for (var a = 0; a < active.Count; a++)
            {
                var parent = active.Feature(a);
                var (first, count) = tree.Children(parent);
                var firing = 0;
                for (var child = first; child < first + count; child++)
                    if (Strength(child, factor, keys) is > 0 and var strength)
                        siblings[firing++] = (child, strength);
                if (firing == 0)
                    continue;
                var (feature, value) = siblings[(int)(CounterRandom.Mix(winner ^ (ulong)parent) % (ulong)firing)];
                AddIfAny(active, feature, value * active.Value(a) / mean[parent]);
            }
            for (var free = tree.Size; free < Features; free++)
                AddIfAny(active, free, Strength(free, factor, keys));
            active.MoveTo(codes);
        }
    }

    /// <summary>Strength of a feature on a row before its tree is heard: ReLU(N(mean, spread²)) where z = F g + own ε passes the threshold, else 0.</summary>
    private double Strength(int f, ReadOnlySpan<double> factor, (ulong Firing, ulong Strength) keys)
    {
        var z = DoubleVectors.Dot(loadings.AsSpan(f * settings.Rank, settings.Rank), factor) + own[f] * CounterRandom.Normal(keys.Firing, (ulong)f);
        return z > threshold[f] ? Math.Max(0, mean[f] + spread[f] * CounterRandom.Normal(keys.Strength, (ulong)f)) : 0;
    }

    private static void AddIfAny(ActiveFeatures active, int feature, double strength)
    {
        if ((float)strength > 0)
            active.Add(feature, (float)strength);
    }
}
