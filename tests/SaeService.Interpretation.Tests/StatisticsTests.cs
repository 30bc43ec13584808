using System.Numerics;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class StatisticsTests
{
    [Fact]
    public void Two_by_two_tables_equal_the_golden_values()
    {
        foreach (var golden in Golden.Linguistics.GetProperty("feature_label_2x2").EnumerateArray())
        {
            double Of(string name) => golden.GetProperty(name).GetDouble();
            var table = new Contingency((int)Of("hits"), (int)Of("active"), (int)Of("label_count"), (int)Of("N"));
            Close(Of("precision"), table.Precision);
            Close(Of("recall"), table.Recall);
            Close(Of("f1"), table.F1);
            Close(Of("base_rate"), table.BaseRate);
            Close(Of("lift"), table.Lift);
            Close(Of("mcc"), table.Mcc);
            Close(Of("kappa_purity"), table.Kappa);
            Close(Of("mi_bits"), table.MutualInformationBits);
            Close(Of("log10_p_hypergeom_upper"), table.Log10P, 1e-9);
            var wilson = golden.GetProperty("wilson95").Numbers();
            Close(wilson[0], table.Wilson.Low);
            Close(wilson[1], table.Wilson.High);
            int[] cells = [table.Hits, table.Active - table.Hits, table.Labelled - table.Hits, table.Total - table.Active - table.Labelled + table.Hits];
            Close(Of("g_statistic"), DiscreteInformation.GTest(cells, 2, 2).G);
        }
    }

    [Theory]
    [InlineData(5, 5, 0.566)]
    [InlineData(270, 300, 0.861)]
    public void Wilson_bounds_small_samples_hard(int hits, int n, double low) => Assert.Equal(low, Contingency.WilsonInterval(hits, n).Low, 3);

    [Fact]
    public void Discrete_information_equals_the_golden_values()
    {
        var golden = Golden.Linguistics.GetProperty("discrete_mi");
        var a = golden.GetProperty("a").EnumerateArray().Select(e => e.GetInt32()).ToArray();
        var b = golden.GetProperty("b").EnumerateArray().Select(e => "NVD".IndexOf(e.GetString()!, StringComparison.Ordinal)).ToArray();
        var table = new int[2 * 3];
        for (var i = 0; i < a.Length; i++)
            table[a[i] * 3 + b[i]]++;
        double Nats(double bits) => bits * Math.Log(2);
        double Of(string name) => golden.GetProperty(name).GetDouble();
        Close(Of("mi_bits"), DiscreteInformation.MutualInformationBits(table, 2, 3));
        Close(Of("miller_madow_mi_nats"), Nats(DiscreteInformation.MillerMadowBits(table, 2, 3)));
        Close(Of("expected_mi_nats_hypergeometric"), Nats(DiscreteInformation.ExpectedMutualInformationBits([6, 4], [4, 4, 2])));
        Close(Of("ami_arithmetic"), DiscreteInformation.AdjustedMutualInformation(table, 2, 3));
        Close(Of("ami_max"), DiscreteInformation.AdjustedMutualInformation(table, 2, 3, max: true));
        Close(Of("nmi_arithmetic"), DiscreteInformation.NormalisedMutualInformation(table, 2, 3));
        Close(Of("h_a_nats"), Nats(DiscreteInformation.EntropyBits([6, 4])));
        Close(Of("h_b_nats"), Nats(DiscreteInformation.EntropyBits([4, 4, 2])));
    }

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
    public void Benjamini_hochberg_equals_the_golden_values_in_any_order()
    {
        var golden = Golden.Linguistics.GetProperty("benjamini_hochberg");
        double[] p = golden.GetProperty("p").Numbers(), q = golden.GetProperty("q").Numbers();
        int[] order = [3, 9, 0, 5, 1, 8, 2, 7, 4, 6];
        var computed = MultipleTests.BenjaminiHochberg(Array.ConvertAll(order, i => Math.Log10(p[i])));
        for (var n = 0; n < order.Length; n++)
            Close(q[order[n]], computed[n]);
        Assert.Equal([0.0, 1.0], MultipleTests.BenjaminiHochberg([-5000, 0]));
    }

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

    [Fact]
    public void Digamma_equals_the_golden_values()
    {
        foreach (var golden in Golden.Linguistics.GetProperty("digamma").EnumerateObject())
            Close(golden.Value.GetDouble(), SpecialFunctions.Digamma(double.Parse(golden.Name, System.Globalization.CultureInfo.InvariantCulture)));
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

    [Fact]
    public void Ross_equals_scikit_learn()
    {
        var x = Enumerable.Range(0, 60).Select(i => i * 7919 % 1000 / 1000.0 + i % 3 * 0.35).ToArray();
        var y = Enumerable.Range(0, 60).Select(i => i % 3).ToArray();
        foreach (var golden in Golden.Linguistics.GetProperty("ross2014").GetProperty("mi_nats").EnumerateObject())
        {
            var k = int.Parse(golden.Name, System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(golden.Value.GetDouble(), NearestNeighbourInformation.Nats(x, y, k), 1e-9);
        }
    }

    [Fact]
    public void Expected_layers_equal_those_of_Tenneys_curves()
    {
        foreach (var task in Golden.Linguistics.GetProperty("tenney2019_dev_cumulative_scores").GetProperty("tasks").EnumerateObject())
            foreach (var model in task.Value.EnumerateObject())
            {
                var curve = model.Value.GetProperty("cumulative_f1_layer0_to_L").Numbers();
                int[] layers = [.. Enumerable.Range(0, curve.Length)];
                // The curves are printed to four places; the signed ratio of DPR, which hardly gains, magnifies that.
                Assert.Equal(model.Value.GetProperty("expected_layer_signed").GetDouble(), DepthProfile.ExpectedLayer(curve, layers), 5e-3);
                Assert.Equal(model.Value.GetProperty("expected_layer_running_max").GetDouble(),
                    DepthProfile.ExpectedLayer(DepthProfile.RunningMaximum(curve), layers), 1e-3);
                Assert.Equal(model.Value.GetProperty("kl_uniform_bits_of_positive_deltas").GetDouble(), DepthProfile.ConcentrationOfGainsBits(curve), 1e-3);
                Assert.Equal(model.Value.GetProperty("contextual_headroom").GetDouble(), DepthProfile.Headroom(curve), 1e-3);
            }
    }

    [Fact]
    public void Centres_of_gravity_equal_those_of_Tenneys_mixing_weights()
    {
        foreach (var task in Golden.Linguistics.GetProperty("tenney2019_bert_large_scalar_mix").EnumerateObject())
        {
            if (task.Value.ValueKind != System.Text.Json.JsonValueKind.Object)
                continue;
            var weights = task.Value.GetProperty("weights_layer0_to_24").Numbers();
            Assert.Equal(task.Value.GetProperty("center_of_gravity").GetDouble(), DepthProfile.CentreOfGravity(weights, [.. Enumerable.Range(0, 25)]), 1e-3);
            Assert.Equal(task.Value.GetProperty("kl_uniform_bits").GetDouble(), DepthProfile.ConcentrationBits(weights), 1e-3);
        }
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

    private static void Close(double expected, double actual, double relative = 1e-10) =>
        Assert.Equal(expected, actual, Math.Max(1e-15, Math.Abs(expected) * relative));
}
