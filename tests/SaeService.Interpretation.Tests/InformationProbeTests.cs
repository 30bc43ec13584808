using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;
using Xunit;

namespace SaeService.Interpretation.Tests;

public class InformationProbeTests
{
    private const int Rows = 1203, Dimension = 21;

    [Theory]
    [InlineData(2, 1e-2)]
    [InlineData(8, 1e-1)]
    [InlineData(9, 1e-3)]
    [InlineData(31, 1e-2)]
    [InlineData(50, 1e-4)]
    public void A_fit_ends_where_the_gradient_of_the_objective_vanishes(int classes, double lambda)
    {
        var (x, y) = Sample(classes);
        var design = Design(x);
        var probe = LinearProbe.Fit(design, y, classes, lambda);

        var (value, gradient) = Objective(Standardised(x), y, classes, lambda, probe.Parameters);
        Assert.Equal(value, probe.Objective, 1e-5 * value);
        // λ-strong convexity: the optimum lies at most |g|²/2λ below.
        Assert.True(gradient.Take(Dimension * classes).Sum(g => g * g) / (2 * lambda) < 1e-4 * value);
        Assert.True(gradient.Max(Math.Abs) < 1e-3, $"gradient {gradient.Max(Math.Abs):g3}");
    }

    [Theory]
    [InlineData(5, 1e-3)]
    [InlineData(17, 1e-4)]
    public void The_optimum_is_that_of_scikit_learn(int classes, double lambda)
    {
        var (x, y) = Sample(classes);
        var expected = Sklearn.Information(Dimension, lambda, x, y, x, y);
        var probe = LinearProbe.Fit(Design(x), y, classes, lambda);
        Assert.Equal(expected.Objective, probe.Objective, 1e-5 * expected.Objective);
    }

    [Fact]
    public void Predictions_are_distributions_and_those_of_the_parameters()
    {
        var (x, y) = Sample(11);
        var design = Design(x);
        var probe = LinearProbe.Fit(design, y, 11, 1e-2);
        var block = Padded(x);
        design.Standardise(block, Rows);
        var log = new double[Rows * 11];
        probe.LogProbabilities(block, Rows, log);
        var z = Standardised(x);
        for (var row = 0; row < Rows; row++)
        {
            var p = log.AsSpan(row * 11, 11).ToArray().Select(Math.Exp).ToArray();
            Assert.Equal(1, p.Sum(), 1e-9);
            var expected = Softmax(z.AsSpan(row * Dimension, Dimension), 11, probe.Parameters);
            for (var c = 0; c < 11; c++)
                Assert.Equal(expected[c], p[c], 1e-5);
        }
    }

    [Fact]
    public void The_number_of_threads_changes_no_bit()
    {
        var (x, y) = Sample(23);
        var one = LinearProbe.Fit(Design(x, threads: 1), y, 23, 1e-3);
        var many = LinearProbe.Fit(Design(x, threads: 8), y, 23, 1e-3);
        Assert.Equal(one.Steps, many.Steps);
        Assert.True(one.Parameters.SequenceEqual(many.Parameters));
    }

    [Fact]
    public void A_start_at_a_neighbouring_penalty_ends_at_the_same_optimum_sooner()
    {
        var (x, y) = Sample(9);
        var design = Design(x);
        var cold = LinearProbe.Fit(design, y, 9, 1e-3);
        var warm = LinearProbe.Fit(design, y, 9, 1e-3, start: LinearProbe.Fit(design, y, 9, 2e-3));
        Assert.Equal(cold.Objective, warm.Objective, 1e-5 * cold.Objective);
        Assert.True(warm.Steps <= cold.Steps, $"{warm.Steps} against {cold.Steps}");
    }

    [Fact]
    public void A_constant_dimension_says_nothing_and_a_rogue_one_does_not_drown_the_others()
    {
        var (x, y) = Sample(5);
        var plain = LinearProbe.Fit(Design(x), y, 5, 1e-2).Objective;
        var changed = (float[])x.Clone();
        for (var row = 0; row < Rows; row++)
            changed[row * Dimension + 3] = changed[row * Dimension + 3] * 1e4f + 3e5f;
        Assert.Equal(plain, LinearProbe.Fit(Design(changed), y, 5, 1e-2).Objective, 1e-4);
        for (var row = 0; row < Rows; row++)
            changed[row * Dimension + 3] = 0.1f;
        var probe = LinearProbe.Fit(Design(changed), y, 5, 1e-2);
        Assert.True(probe.Objective > plain);
        Assert.Equal(new double[5], probe.Parameters.Slice(3 * 5, 5).ToArray());
    }

    [Fact]
    public void A_number_that_is_not_finite_is_refused_by_name()
    {
        var (x, _) = Sample(3);
        x[7 * Dimension + 5] = float.NaN;
        Assert.Contains("dimension 5", Assert.Throws<InvalidDataException>(() => Design(x)).Message);
    }

    private static (float[] X, int[] Y) Sample(int classes)
    {
        var random = new CounterRandom(classes, 7);
        var x = new float[Rows * Dimension];
        var y = new int[Rows];
        for (var row = 0; row < Rows; row++)
        {
            y[row] = Math.Min(random.Next(classes), random.Next(classes));
            double shared = random.NextNormal();
            for (var j = 0; j < Dimension; j++)
                x[row * Dimension + j] = (float)((1 + j) * (random.NextNormal() + 0.7 * shared + 1.5 * Math.Sin(y[row] * (j + 1))) + j);
        }
        return (x, y);
    }

    private static ProbeDesign Design(float[] x, int threads = 2) => new(Padded(x), Rows, Dimension, threads, TestContext.Current.CancellationToken);

    private static float[] Padded(float[] x)
    {
        var stride = ProbeDesign.StrideOf(Dimension);
        var padded = new float[ProbeDesign.RowsAllocated(Rows) * stride];
        for (var row = 0; row < Rows; row++)
            x.AsSpan(row * Dimension, Dimension).CopyTo(padded.AsSpan(row * stride));
        return padded;
    }

    private static double[] Standardised(float[] x)
    {
        var z = new double[x.Length];
        for (var j = 0; j < Dimension; j++)
        {
            var column = Enumerable.Range(0, Rows).Select(row => (double)x[row * Dimension + j]).ToArray();
            var mean = column.Average();
            var deviation = Math.Sqrt(column.Average(v => (v - mean) * (v - mean)));
            for (var row = 0; row < Rows; row++)
                z[row * Dimension + j] = (column[row] - mean) / deviation;
        }
        return z;
    }

    private static double[] Softmax(ReadOnlySpan<double> x, int classes, ReadOnlySpan<double> theta)
    {
        var logits = new double[classes];
        for (var c = 0; c < classes; c++)
        {
            logits[c] = theta[Dimension * classes + c];
            for (var j = 0; j < Dimension; j++)
                logits[c] += x[j] * theta[j * classes + c];
        }
        var top = logits.Max();
        var p = Array.ConvertAll(logits, z => Math.Exp(z - top));
        var sum = p.Sum();
        return Array.ConvertAll(p, e => e / sum);
    }

    private static (double Value, double[] Gradient) Objective(double[] x, int[] y, int classes, double lambda, ReadOnlySpan<double> theta)
    {
        var gradient = new double[theta.Length];
        var value = 0.0;
        for (var row = 0; row < Rows; row++)
        {
            var p = Softmax(x.AsSpan(row * Dimension, Dimension), classes, theta);
            value -= Math.Log(p[y[row]]) / Rows;
            p[y[row]] -= 1;
            for (var c = 0; c < classes; c++)
            {
                gradient[Dimension * classes + c] += p[c] / Rows;
                for (var j = 0; j < Dimension; j++)
                    gradient[j * classes + c] += p[c] * x[row * Dimension + j] / Rows;
            }
        }
        for (var i = 0; i < Dimension * classes; i++)
        {
            value += lambda / 2 * theta[i] * theta[i];
            gradient[i] += lambda * theta[i];
        }
        return (value, gradient);
    }
}
