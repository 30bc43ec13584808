using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class DocumentBootstrapTests
{
    [Fact]
    public void Every_sample_draws_as_many_documents_as_there_are()
    {
        var bootstrap = new DocumentBootstrap(37, 101, 3);
        var ones = new double[37];
        Array.Fill(ones, 1);
        Assert.All(bootstrap.Sums(ones), sum => Assert.Equal(37, sum));
    }

    [Fact]
    public void Sums_equal_those_by_multiplicity()
    {
        var bootstrap = new DocumentBootstrap(23, 77, 4);
        var values = Enumerable.Range(0, 23).Select(i => Math.Sin(i)).ToArray();
        var slow = bootstrap.Statistics(multiplicity =>
        {
            var sum = 0.0;
            for (var document = 0; document < 23; document++)
                sum += multiplicity[document] * values[document];
            return sum;
        });
        var fast = bootstrap.Sums(values);
        for (var sample = 0; sample < slow.Length; sample++)
            Assert.Equal(slow[sample], fast[sample], 1e-12);
    }

    [Fact]
    public void The_seed_decides()
    {
        double[] values = [1, 2, 3, 4, 5, 6, 7, 8];
        Assert.Equal(new DocumentBootstrap(8, 50, 9).Sums(values), new DocumentBootstrap(8, 50, 9).Sums(values));
        Assert.NotEqual(new DocumentBootstrap(8, 50, 9).Sums(values), new DocumentBootstrap(8, 50, 10).Sums(values));
    }

    [Fact]
    public void The_interval_of_a_mean_is_that_of_theory()
    {
        var random = new CounterRandom(1, 0);
        var values = new double[400];
        for (var i = 0; i < values.Length; i++)
            values[i] = random.NextNormal();
        var ones = new double[400];
        Array.Fill(ones, 1);
        var mean = values.Average();
        var error = Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / 400 / 400);
        var interval = DocumentBootstrap.Interval(new DocumentBootstrap(400, 4000, 1).Ratios(values, ones));
        Assert.Equal(mean - 1.96 * error, interval[0], 0.006);
        Assert.Equal(mean + 1.96 * error, interval[1], 0.006);
    }

    [Fact]
    public void Percentiles_are_interpolated() => Assert.Equal([0.25, 9.75], DocumentBootstrap.Interval([10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]));

    [Fact]
    public void Percentiles_are_those_of_the_sorted_values()
    {
        var random = new CounterRandom(5, 0);
        for (var count = 1; count < 400; count += 1 + count / 7)
            foreach (var kind in Enumerable.Range(0, 5))
            {
                var values = new double[count];
                for (var i = 0; i < count; i++)
                    values[i] = kind switch { 0 => random.NextNormal(), 1 => random.Next(4), 2 => i, 3 => -i, _ => 7 };
                var sorted = values.Order().ToArray();
                double At(double share)
                {
                    var at = share * (count - 1);
                    var (below, above) = (sorted[(int)at], sorted[Math.Min(count - 1, (int)at + 1)]);
                    return below + ((at - (int)at) * (above - below));
                }
                double[] before = [.. values];
                Assert.Equal([At(0.025), At(0.975)], DocumentBootstrap.Interval(values));
                Assert.Equal(before, values);
            }
    }
}
