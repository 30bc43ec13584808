using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>The dictionaries of the literature: what they find in planted data, how sparse they are made, and what scikit-learn makes of the same numbers.</summary>
public sealed class ComparisonTests
{
    private const int D = 12, N = 6000;

    /// <summary>
    /// Independent sources of rising kurtosis, mixed by a random matrix, and a last dimension that is the sum of two others: the rank is D - 1.
    /// </summary>
    private sealed class Mixture
    {
        public readonly double[,] Sources = new double[N, D - 1];
        public readonly float[] X = new float[N * D];

        public Mixture()
        {
            var mixing = new double[D - 1, D - 1];
            var of = new CounterRandom(5, 0);
            for (var i = 0; i < D - 1; i++)
                for (var j = 0; j < D - 1; j++)
                    mixing[i, j] = of.NextNormal();
            for (var row = 0; row < N; row++)
            {
                var random = new CounterRandom(6, row);
                for (var j = 0; j < D - 1; j++)
                {
                    // Uniform, or rarely on: below and above a normal distribution's kurtosis.
                    var uniform = (random.NextDouble() - 0.5) * Math.Sqrt(12);
                    var rare = random.NextDouble() < 0.1 ? random.NextNormal() * 3 : random.NextNormal() * 0.1;
                    Sources[row, j] = j % 2 == 0 ? uniform : rare;
                }
                for (var i = 0; i < D - 1; i++)
                {
                    var sum = 3.0 * i;
                    for (var j = 0; j < D - 1; j++)
                        sum += mixing[i, j] * Sources[row, j];
                    X[row * D + i] = (float)sum;
                }
                X[row * D + D - 1] = X[row * D] + X[row * D + 1];
            }
        }

        public void Read(int first, Span<float> into) => X.AsSpan(first * D, into.Length).CopyTo(into);
    }

    private static readonly Mixture Mixed = new();
    private static readonly PrincipalComponents Principal = PrincipalComponents.Of(Mixed.Read, N, D);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static IndependentComponents Independent(int threads = -1) => IndependentComponents.Fit(Principal, Mixed.Read, N, seed: 3, threads, Cancel);

    [Fact]
    public void Principal_components_are_orthogonal_directions_of_falling_variance_and_leave_out_what_does_not_vary()
    {
        Assert.Equal(D - 1, Principal.Components);
        Assert.Equal(Principal.Variance.OrderDescending(), Principal.Variance);
        for (var a = 0; a < Principal.Components; a++)
        {
            var row = Principal.Directions.AsSpan(a * D, D).ToArray();
            // The variance along the direction, of the data themselves.
            var along = Enumerable.Range(0, N).Select(n => Enumerable.Range(0, D).Sum(i => row[i] * (Mixed.X[n * D + i] - Principal.Mean[i]))).ToArray();
            Assert.Equal(0, along.Average(), 1e-6);
            Assert.Equal(Principal.Variance[a], along.Sum(x => x * x) / (N - 1), 1e-6 * Principal.Variance[0]);
            for (var b = 0; b <= a; b++)
                Assert.Equal(a == b ? 1 : 0, row.Zip(Principal.Directions.AsSpan(b * D, D).ToArray(), (x, y) => x * y).Sum(), 1e-10);
        }
    }

    [Fact]
    public void Independent_components_are_the_planted_sources_and_principal_ones_are_not()
    {
        var found = Independent();
        Assert.True(found.Converged, $"{found.Change} after {found.Iterations}");
        Assert.Equal(D - 1, found.Components);
        var independent = Best(found.Directions.ToArray());
        Assert.All(independent, r => Assert.True(r > 0.98, $"{r}"));
        Assert.Equal(D - 1, independent.Length);
        Assert.Contains(Best(Array.ConvertAll(Principal.Directions, x => (float)x)), r => r < 0.9);

        var again = Independent(threads: 1);
        Assert.Equal(found.Directions.ToArray(), again.Directions.ToArray());
    }

    [Fact]
    public void What_has_no_independent_sources_does_not_converge_and_says_so()
    {
        // Of a normal distribution every rotation is as good as any other.
        void Normal(int first, Span<float> into)
        {
            for (var at = 0; at < into.Length; at++)
                into[at] = (float)new CounterRandom(11, first * 30 + at).NextNormal();
        }

        var principal = PrincipalComponents.Of(Normal, 4000, 30, cancel: Cancel);
        var found = IndependentComponents.Fit(principal, Normal, 4000, seed: 1, cancel: Cancel);
        Assert.False(found.Converged);
        Assert.Equal(IndependentComponents.MostIterations, found.Iterations);
        Assert.True(found.Change > IndependentComponents.Tolerance);
    }

    [Fact]
    public void Gaussian_vectors_have_the_moments_and_nothing_else()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "gaussian.f32");
        GaussianVectors.Write(path, Principal, 40_000, seed: 2, cancel: Cancel);
        using var file = ActivationFile.Open(path, D);
        var of = PrincipalComponents.Of((first, into) => file.Read(first, into), 40_000, D, cancel: Cancel);
        Assert.Equal(Principal.Components, of.Components);
        foreach (var (expected, actual) in Principal.Variance.Zip(of.Variance))
            Assert.InRange(actual / expected, 0.95, 1.05);
        foreach (var (i, expected) in Principal.Mean.Index())
            Assert.Equal(expected, of.Mean[i], 5 * Math.Sqrt(Principal.NeuronVariance[i] / 40_000));

        // The sources' directions show no kurtosis any more.
        var sources = Independent().Directions.ToArray();
        var all = new float[40_000 * D];
        file.Read(0, all);
        Assert.True(Kurtoses(sources, Mixed.X, N).Max() > 5);
        Assert.All(Kurtoses(sources, all, 40_000), k => Assert.InRange(k, -0.2, 0.2));

        var other = path + "2";
        GaussianVectors.Write(other, Principal, 40_000, seed: 2, threads: 1, Cancel);
        Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(other));
    }

    [Fact]
    public void Identity_is_every_neuron_up_and_down_in_its_own_units()
    {
        var identity = DenseDictionary.Identity([4, 0.25, 0]);
        Assert.Equal([0.5f, 0, 0, 0, 2, 0, 0, 0, 0, -0.5f, 0, 0, 0, -2, 0, 0, 0, 0], identity.Directions(0, 6).Select(x => x + 0f));
        Assert.Equal(identity.Directions(0, 6)[6..12], identity.Directions(2, 2));
    }

    [Fact]
    public void Matched_by_word_the_highest_k_projections_fire_and_none_below_zero()
    {
        var codes = MatchedCodes.ByTopK(Principal.Dictionary, Centred, D, N, k: 4, bytes: 4 * 2 * D * 100);
        Assert.Equal(2 * Principal.Components, codes.Width);
        var x = new float[D];
        for (var row = 0; row < N; row += 97)
        {
            Centred(row, x);
            var projections = Principal.Dictionary.Directions(0, codes.Width).Chunk(D).Select(w => w.Zip(x, (a, b) => (double)a * b).Sum()).ToArray();
            var expected = Enumerable.Range(0, codes.Width).OrderByDescending(j => projections[j]).Take(4).Order();
            Assert.Equal(expected, codes.RowIndex(row).ToArray());
        }
        Assert.True(MatchedCodes.ByTopK(Principal.Dictionary, Centred, D, N, k: 2 * D).NonZeros <= (long)N * Principal.Components); // one sign of each
    }

    [Fact]
    public void Matched_by_feature_the_densities_are_quantiles_of_those_of_the_latents_that_fire()
    {
        // A hundred latents, of which half are dead and the others fire on 10, 20, .. 500 words.
        var matched = new SparseCodesBuilder(100);
        for (var row = 0; row < N; row++)
        {
            int[] fires = [.. Enumerable.Range(0, 50).Where(j => row < 10 * (j + 1)).Select(j => 2 * j)];
            matched.Add(fires, [.. fires.Select(_ => 1f)]);
        }
        var densities = MatchedCodes.Densities(matched.Build(), 10, seed: 1);
        Assert.Equal([30, 80, 130, 180, 230, 280, 330, 380, 430, 480], densities.Order());
        Assert.NotEqual(densities.Order(), densities);
        var codes = MatchedCodes.ByDensity(DenseDictionary.Random(10, D, 1), Centred, D, N, densities);
        Assert.Equal(densities, MatchedCodes.Densities(codes));
    }

    [Fact]
    public void Components_equal_those_of_scikit_learn()
    {
        ScikitLearnTests.Require();
        var output = ScikitLearnTests.Run("""
            import json, sys
            import numpy as np
            from sklearn.decomposition import PCA, FastICA
            x = np.array(json.load(sys.stdin)).reshape(-1, 12)
            pca = PCA(11, svd_solver='full').fit(x)
            ica = FastICA(11, whiten='unit-variance', fun='logcosh', tol=1e-4, max_iter=200, random_state=0).fit(x)
            json.dump({'variance': pca.explained_variance_.tolist(), 'directions': pca.components_.tolist(), 'ica': ica.components_.tolist(),
                       'iterations': ica.n_iter_}, sys.stdout)
            """, JsonSerializer.Serialize(Mixed.X))!;
        var golden = JsonDocument.Parse(output).RootElement;
        foreach (var (expected, actual) in golden.GetProperty("variance").Numbers().Zip(Principal.Variance))
            Assert.Equal(1, actual / expected, 1e-6);
        var directions = golden.GetProperty("directions").EnumerateArray().Select(row => row.Numbers().ToArray()).ToArray();
        for (var a = 0; a < directions.Length; a++)
            Assert.Equal(1, Math.Abs(directions[a].Zip(Principal.Directions.AsSpan(a * D, D).ToArray(), (x, y) => x * y).Sum()), 1e-6);

        var found = Independent();
        var rows = found.Directions.ToArray().Chunk(D).Select(row => row.Select(x => (double)x).ToArray()).ToArray();
        foreach (var theirs in golden.GetProperty("ica").EnumerateArray().Select(row => row.Numbers().ToArray()))
            Assert.True(rows.Max(ours => Math.Abs(Correlation(ours, theirs))) > 0.9995);

        // The correlation of two sources, over the data.
        static double Correlation(double[] a, double[] b)
        {
            var (s, t) = (Along(a), Along(b));
            return s.Zip(t, (x, y) => x * y).Sum() / Math.Sqrt(s.Sum(x => x * x) * t.Sum(x => x * x));
        }

        static double[] Along(double[] row) =>
            [.. Enumerable.Range(0, N).Select(n => Enumerable.Range(0, D).Sum(i => row[i] * (Mixed.X[n * D + i] - Principal.Mean[i])))];
    }

    private static void Centred(int first, Span<float> into)
    {
        Mixed.Read(first, into);
        for (var at = 0; at < into.Length; at++)
            into[at] -= (float)Principal.Mean[at % D];
    }

    /// <summary>Of each planted source, its highest correlation with a direction's projections.</summary>
    private static double[] Best(float[] directions)
    {
        var projections = directions.Chunk(D).Select(row =>
            Enumerable.Range(0, N).Select(n => Enumerable.Range(0, D).Sum(i => row[i] * (Mixed.X[n * D + i] - Principal.Mean[i]))).ToArray()).ToArray();
        return [.. Enumerable.Range(0, D - 1).Select(j =>
        {
            var source = Enumerable.Range(0, N).Select(n => Mixed.Sources[n, j]).ToArray();
            var mean = source.Average();
            return projections.Max(p => Math.Abs(p.Zip(source, (x, y) => x * (y - mean)).Sum())
                / Math.Sqrt(p.Sum(x => x * x) * source.Sum(y => (y - mean) * (y - mean))));
        })];
    }

    private static double[] Kurtoses(float[] directions, float[] x, int rows) =>
    [
        .. directions.Chunk(D).Select(row =>
        {
            var s = Enumerable.Range(0, rows).Select(n => Enumerable.Range(0, D).Sum(i => row[i] * (x[n * D + i] - Principal.Mean[i]))).ToArray();
            var square = s.Average(v => v * v);
            return s.Average(v => v * v * v * v) / (square * square) - 3;
        }),
    ];
}
