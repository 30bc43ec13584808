using SaeService.Columns;

namespace SaeService.Interpretation.Labels;

/// <param name="At">Where its features begin; -1: all of them are 0.</param>
/// <param name="Positive">How many cases of these features carry the label, and how many do not.</param>
internal readonly record struct LogisticCase(int At, double Positive, double Negative);

/// <summary>
/// Logistic regression on a few features: minimises Σ -ln p(label | x) + ½ ‖w‖², the intercept free (scikit-learn's <c>LogisticRegression</c> with C = 1), by Newton's
/// method with halved steps, float64.
/// </summary>
internal sealed class SparseLogistic(int features)
{
    private const int MaxSteps = 100;
    private const double Tolerance = 1e-12;
    private readonly double[] _theta = new double[features + 1]; // w, then b

    public double Logit(ReadOnlySpan<double> x, int at)
    {
        var logit = _theta[features];
        for (var j = 0; at >= 0 && j < features; j++)
            logit += _theta[j] * x[at + j];
        return logit;
    }

    public void Fit(Column<double> x, ColumnList<LogisticCase> cases)
    {
        var n = features + 1;
        double[] gradient = new double[n], hessian = new double[n * n], step = new double[n], before = new double[n];
        double positives = 0, negatives = 0;
        foreach (ref readonly var c in cases.Span)
            (positives, negatives) = (positives + c.Positive, negatives + c.Negative);
        _theta[features] = Math.Log(positives / negatives);
        var value = Evaluate(x.Span, cases.Span, gradient, hessian);
        for (var iteration = 0; iteration < MaxSteps; iteration++)
        {
            Solve(hessian, gradient, step);
            var decrement = 0.0;
            for (var i = 0; i < n; i++)
                decrement += gradient[i] * step[i];
            if (!(decrement > Tolerance * (1 + value)))
                return;
            _theta.CopyTo(before, 0);
            for (var length = 1.0; ; length /= 2)
            {
                for (var i = 0; i < n; i++)
                    _theta[i] = before[i] - length * step[i];
                var next = Evaluate(x.Span, cases.Span, gradient, hessian);
                if (next <= value - 1e-4 * length * decrement || length < 1e-10)
                {
                    value = next;
                    break;
                }
            }
        }
    }

    private double Evaluate(ReadOnlySpan<double> x, ReadOnlySpan<LogisticCase> cases, double[] gradient, double[] hessian)
    {
        var n = features + 1;
        Array.Clear(gradient);
        Array.Clear(hessian);
        var value = 0.0;
        foreach (var (at, positive, negative) in cases)
        {
            var logit = Logit(x, at);
            var p = 1 / (1 + Math.Exp(-logit));
            // -ln p and -ln(1 - p), without overflow.
            var lost = Math.Log(1 + Math.Exp(-Math.Abs(logit)));
            value += positive * (lost + Math.Max(0, -logit)) + negative * (lost + Math.Max(0, logit));
            var slope = (positive + negative) * p - positive;
            var curve = (positive + negative) * p * (1 - p);
            gradient[features] += slope;
            hessian[features * n + features] += curve;
            for (var i = 0; at >= 0 && i < features; i++)
            {
                if (x[at + i] is 0)
                    continue;
                gradient[i] += slope * x[at + i];
                hessian[features * n + i] += curve * x[at + i];
                for (var j = 0; j <= i; j++)
                    hessian[i * n + j] += curve * x[at + i] * x[at + j];
            }
        }
        for (var i = 0; i < features; i++)
        {
            value += _theta[i] * _theta[i] / 2;
            gradient[i] += _theta[i];
            hessian[i * n + i] += 1;
        }
        return value;
    }

    /// <summary>Solves H s = g by Cholesky's decomposition of the lower triangle, which is overwritten.</summary>
    private static void Solve(double[] h, double[] g, double[] s)
    {
        var n = g.Length;
        for (var i = 0; i < n; i++)
            for (var j = 0; j <= i; j++)
            {
                var sum = h[i * n + j];
                for (var k = 0; k < j; k++)
                    sum -= h[i * n + k] * h[j * n + k];
                h[i * n + j] = i == j ? Math.Sqrt(Math.Max(sum, 1e-12)) : sum / h[j * n + j];
            }
        for (var i = 0; i < n; i++)
        {
            s[i] = g[i];
            for (var k = 0; k < i; k++)
                s[i] -= h[i * n + k] * s[k];
            s[i] /= h[i * n + i];
        }
        for (var i = n - 1; i >= 0; i--)
        {
            for (var k = i + 1; k < n; k++)
                s[i] -= h[k * n + i] * s[k];
            s[i] /= h[i * n + i];
        }
    }
}
