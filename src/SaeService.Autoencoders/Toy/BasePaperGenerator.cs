namespace SaeService.Autoencoders.Toy;

/// <summary>How the features of the base paper's toy data fire.</summary>
public enum ToyFiring
{
    /// <summary>
    /// Independently, with probability 0.99^i · nonzero / G. As in the paper's code, the decay is not made up for: 0.97 features fire on a row, not 5.
    /// </summary>
    Uncorrelated,

    /// <summary>
    /// With probabilities Φ(z) · 0.99^i, scaled to a mean of nonzero / G, where z ~ N(0, C) is drawn once for a whole block, as in the paper's code: within a
    /// block features fire independently. Rows on which none fires get a random one at strength 1.
    /// </summary>
    Correlated,

    /// <summary>Independently, with the decay made up for: on average exactly nonzero features fire.</summary>
    UncorrelatedFixed,

    /// <summary>
    /// With the same probabilities, and correlated on every row: feature i fires where z_i &lt; Φ⁻¹(p_i), z ~ N(0, R) drawn for the row, R the correlation
    /// matrix of C.
    /// </summary>
    CorrelatedFixed,
}

/// <summary>
/// The toy data of Cunningham et al. 2023 (arXiv 2309.08600, <c>replicate_toy_models.py</c>, after Sharkey et al. 2022): 512 random unit directions in 256
/// dimensions, strengths uniform on (0, 1), no noise. C = (U + Uᵀ) / 2 with U uniform on (0, 1), its diagonal lowered by 1.001 times its smallest eigenvalue
/// (about -9.2), and not scaled to a correlation matrix: z then has a standard deviation of 3, so that Φ(z) is near 0 or 1, and a third of the features are off
/// in a block.
/// </summary>
public sealed class BasePaperGenerator : ToyGenerator
{
    private const double Decay = 0.99;
    private readonly long seed;
    private readonly ToyFiring firing;
    private readonly double share;            // nonzero / G
    private readonly double[] probability;    // [G], unless drawn for a block
    private readonly double[] threshold;      // [G], Φ⁻¹ of them
    private readonly double[]? factor;        // [G, G], Cholesky factor of C or R

    /// <param name="firing">Which of the paper's two modes, or of the two that do what they say.</param>
    /// <param name="seed">Of directions, covariance and rows.</param>
    /// <param name="features">G.</param>
    /// <param name="dim">d.</param>
    /// <param name="nonzero">Features meant to fire on a row.</param>
    public BasePaperGenerator(ToyFiring firing, long seed, int features = 512, int dim = 256, double nonzero = 5)
        : base(NameOf(firing), features, dim, ToyRandom.UnitRows(seed, features, dim), bias: null)
    {
        (this.firing, this.seed, share) = (firing, seed, nonzero / features);
        var decay = Enumerable.Range(0, features).Select(i => Math.Pow(Decay, i)).ToArray();
        var scale = firing is ToyFiring.Uncorrelated ? share : nonzero / decay.Sum();
        probability = firing is ToyFiring.Correlated ? decay : Array.ConvertAll(decay, v => v * scale);
        threshold = Array.ConvertAll(probability, NormalDistribution.Quantile);
        if (firing is ToyFiring.Correlated or ToyFiring.CorrelatedFixed)
            factor = Covariance(seed, features, correlation: firing is ToyFiring.CorrelatedFixed).Cholesky();
    }

    public static string NameOf(ToyFiring firing) => firing switch
    {
        ToyFiring.Uncorrelated => "uncorrelated",
        ToyFiring.Correlated => "correlated",
        ToyFiring.UncorrelatedFixed => "uncorrelated-fixed",
        _ => "correlated-fixed",
    };

    internal static SymmetricMatrix Covariance(long seed, int n, bool correlation)
    {
        var c = new SymmetricMatrix(n);
        double U(int i, int j) => ToyRandom.Uniform(CounterRandom.Key(seed, ToyRandom.Covariance, (ulong)i), (ulong)j);
        for (var i = 0; i < n; i++)
            for (var j = 0; j <= i; j++)
                c[i, j] = (U(i, j) + U(j, i)) / 2;
        var smallest = c.SmallestEigenvalue();
        if (smallest < 0)
            for (var i = 0; i < n; i++)
                c[i, i] -= 1.001 * smallest;
        if (!correlation)
            return c;
        var deviation = Enumerable.Range(0, n).Select(i => Math.Sqrt(c[i, i])).ToArray();
        for (var i = 0; i < n; i++)
            for (var j = 0; j <= i; j++)
                c[i, j] /= deviation[i] * deviation[j];
        return c;
    }

    private protected override void Draw(long block, SparseCodesBuilder codes)
    {
        if (firing is ToyFiring.CorrelatedFixed)
            DrawCopula(block, codes);
        else
            DrawIndependent(block, firing is ToyFiring.Correlated ? BlockProbabilities(block) : probability, codes);
    }

    /// <summary>P(feature fires) throughout a block of the correlated mode.</summary>
    /// <returns>[G]</returns>
    internal double[] BlockProbabilities(long block)
    {
        var normals = new double[Features];
        ToyRandom.Normals(CounterRandom.Key(seed, ToyRandom.BlockSample, (ulong)block), normals);
        var p = new double[Features];
        for (var i = 0; i < Features; i++)
            p[i] = NormalDistribution.Cdf(DoubleVectors.Dot(factor.AsSpan(i * Features, i + 1), normals)) * probability[i];
        var scale = share * Features / p.Sum();
        return Array.ConvertAll(p, v => v * scale);
    }

    private void DrawIndependent(long block, double[] p, SparseCodesBuilder codes)
    {
        var active = new ActiveFeatures(Features);
        for (var row = block * BlockRows; row < (block + 1) * BlockRows; row++)
        {
            var (chance, strength) = (CounterRandom.Key(seed, ToyRandom.Firing, (ulong)row), CounterRandom.Key(seed, ToyRandom.Strength, (ulong)row));
            for (var f = 0; f < Features; f++)
                if (ToyRandom.Uniform(chance, (ulong)f) < p[f])
                    active.Add(f, Strength(strength, f));
            if (active.Count == 0 && firing is ToyFiring.Correlated)
                active.Add((int)(CounterRandom.Key(seed, ToyRandom.Fallback, (ulong)row) % (ulong)Features), 1);
            active.MoveTo(codes);
        }
    }

    private void DrawCopula(long block, SparseCodesBuilder codes)
    {
        const int Group = 8;   // rows that share one reading of the factor
        var normals = new double[Group * Features];   // [rows, G]
        var fires = new bool[Group * Features];       // [rows, G]
        var active = new ActiveFeatures(Features);
        for (var first = block * BlockRows; first < (block + 1) * BlockRows; first += Group)
        {
            for (var r = 0; r < Group; r++)
                ToyRandom.Normals(CounterRandom.Key(seed, ToyRandom.Firing, (ulong)(first + r)), normals.AsSpan(r * Features, Features));
            for (var f = 0; f < Features; f++)
            {
                var row = factor.AsSpan(f * Features, f + 1);
                for (var r = 0; r < Group; r++)
                    fires[r * Features + f] = DoubleVectors.Dot(row, normals.AsSpan(r * Features, f + 1)) < threshold[f];
            }
            for (var r = 0; r < Group; r++)
            {
                var strength = CounterRandom.Key(seed, ToyRandom.Strength, (ulong)(first + r));
                for (var f = 0; f < Features; f++)
                    if (fires[r * Features + f])
                        active.Add(f, Strength(strength, f));
                active.MoveTo(codes);
            }
        }
    }

    /// <summary>Uniform on (0, 1].</summary>
    private static float Strength(ulong key, int feature) => (float)(1 - ToyRandom.Uniform(key, (ulong)feature));
}
