using System.Numerics;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

/// <summary>Statistics by their definitions; against the values of others they are held by <see cref="TruthTests"/>.</summary>
public sealed class StatisticsTests
{
    [Theory]
    [InlineData(5, 5, 0.566)]
    [InlineData(270, 300, 0.861)]
    public void Wilson_bounds_small_samples_hard(int hits, int n, double low) => Assert.Equal(low, Contingency.WilsonInterval(hits, n).Low, 3);

    [Fact]
    public void Expected_information_is_the_mean_over_permutations()
    {
        int[] labels = [.. Enumerable.Repeat(0, 60), .. Enumerable.Repeat(1, 30), .. Enumerable.Repeat(2, 10)];
        var random = new CounterRandom(5, 0);
        var sum = 0.0;
        const int repeats = 4000;
        for (var repeat = 0; repeat < repeats; repeat++)
        {
            random.Shuffle<int>(labels);
            var table = new int[6];
            for (var i = 0; i < labels.Length; i++)
                table[(i < 20 ? 0 : 3) + labels[i]]++;
            sum += DiscreteInformation.MutualInformationBits(table, 2, 3);
        }
        Assert.Equal(DiscreteInformation.ExpectedMutualInformationBits([20, 80], [60, 30, 10]), sum / repeats, 3e-3 * 0.2);
    }

    [Fact]
    public void Hypergeometric_tails_equal_exact_fractions()
    {
        const int total = 40, labelled = 15;
        foreach (var active in new[] { 0, 1, 7, 20, 33, 40 })
            for (var hits = 0; hits <= Math.Min(active, labelled) + 1; hits++)
            {
                BigInteger ways = 0;
                for (var x = hits; x <= Math.Min(active, labelled); x++)
                    ways += Choose(labelled, x) * Choose(total - labelled, active - x);
                var exact = ways.IsZero ? double.NegativeInfinity : BigInteger.Log10(ways) - BigInteger.Log10(Choose(total, active));
                var computed = Hypergeometric.Log10UpperTail(hits, active, labelled, total);
                if (double.IsInfinity(exact))
                    Assert.Equal(exact, computed);
                else
                    Assert.Equal(exact, computed, 1e-10);
            }
    }

    [Fact]
    public void A_tail_that_underflows_is_beyond_doubt() => Assert.Equal([0.0, 1.0], MultipleTests.BenjaminiHochberg([-5000, 0]));

    [Fact]
    public void Pure_noise_is_seldom_discovered()
    {
        // 200 families of 50 features that fire at random: the chance of any discovery in a family is at most the level.
        var discovered = 0;
        for (var family = 0; family < 200; family++)
        {
            var random = new CounterRandom(11, family);
            var log10P = new double[50];
            for (var feature = 0; feature < log10P.Length; feature++)
            {
                var hits = 0;
                int left = 2000, labels = 300;
                for (var draw = 0; draw < 80; draw++, left--)
                    if (random.Next(left) < labels)
                    {
                        hits++;
                        labels--;
                    }
                log10P[feature] = Hypergeometric.Log10UpperTail(hits, 80, 300, 2000);
            }
            discovered += MultipleTests.BenjaminiHochberg(log10P).Any(q => q < 0.05) ? 1 : 0;
        }
        Assert.InRange(discovered, 0, 10);
    }

    [Theory]
    [InlineData(3.841458820694124, 1, 0.05)]
    [InlineData(0.1, 3, 0.9918374288706)]
    [InlineData(50, 10, 2.669083e-7)]
    public void Chi_squared_tails_equal_those_of_tables(double statistic, int freedom, double p) =>
        Assert.Equal(Math.Log10(p), SpecialFunctions.Log10ChiSquaredTail(statistic, freedom), 1e-6);

    [Fact]
    public void Log_factorials_meet_where_the_table_ends()
    {
        Assert.Equal(SpecialFunctions.LogGamma(65_536.0), SpecialFunctions.LogFactorial(65_535), 1e-8);
        Assert.Equal(SpecialFunctions.LogFactorial(65_535) + Math.Log(65_536), SpecialFunctions.LogFactorial(65_536), 1e-8);
    }

    private static BigInteger Choose(int n, int k)
    {
        if (k < 0 || k > n)
            return 0;
        BigInteger ways = 1;
        for (var i = 1; i <= k; i++)
            ways = ways * (n - k + i) / i;
        return ways;
    }
}
