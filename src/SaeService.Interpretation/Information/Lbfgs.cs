using System.Runtime.Intrinsics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// Limited-memory BFGS (Nocedal 1980) for a smooth convex function, float64, with a given approximation of the inverse Hessian as its starting
/// metric and backtracking by Armijo's rule. One thread: the function itself is where the time goes.
/// </summary>
internal static class Lbfgs
{
    /// <summary>Curvature pairs kept.</summary>
    private const int Memory = 20;

    /// <summary>Done when the last <see cref="Window"/> steps together lowered the value by less than this share of it.</summary>
    private const double Tolerance = 1e-6;
    private const int Window = 10;
    private const int MaxSteps = 600;
    private const double Armijo = 1e-4;

    /// <summary>The value at a point, with the gradient there written to the second array.</summary>
    public delegate double Objective(double[] at, double[] gradient);

    /// <summary>Writes an approximation of H⁻¹ v; symmetric and positive definite.</summary>
    public delegate void Metric(double[] v, double[] into);

    public static (double Value, int Steps) Minimise(Objective objective, Metric metric, double[] point)
    {
        var n = point.Length;
        double[] gradient = new double[n], direction = new double[n], trial = new double[n], trialGradient = new double[n], scaled = new double[n];
        var pairs = new List<(double[] S, double[] Y, double Rho)>(Memory);
        var alpha = new double[Memory];
        var recent = new Queue<double>(Window + 1);
        var gamma = 1.0;
        var value = objective(point, gradient);
        for (var step = 1; ; step++)
        {
            // Two-loop recursion: direction = -H g.
            gradient.CopyTo(trial, 0);
            for (var i = pairs.Count - 1; i >= 0; i--)
            {
                alpha[i] = pairs[i].Rho * Dot(pairs[i].S, trial);
                AddScaled(trial, -alpha[i], pairs[i].Y);
            }
            metric(trial, direction);
            for (var i = 0; i < n; i++)
                direction[i] *= gamma;
            for (var i = 0; i < pairs.Count; i++)
                AddScaled(direction, alpha[i] - pairs[i].Rho * Dot(pairs[i].Y, direction), pairs[i].S);
            for (var i = 0; i < n; i++)
                direction[i] = -direction[i];

            var slope = Dot(gradient, direction);
            if (!(slope < 0))
                return (value, step);
            double length = 1, next;
            while (true)
            {
                for (var i = 0; i < n; i++)
                    trial[i] = point[i] + length * direction[i];
                next = objective(trial, trialGradient);
                if (next <= value + Armijo * length * slope)
                    break;
                length /= 2;
                if (length < 1e-10)
                    return (value, step); // Rounding has the last word: no lower value is to be found.
            }

            var (s, y) = pairs.Count == Memory ? (pairs[0].S, pairs[0].Y) : (new double[n], new double[n]);
            if (pairs.Count == Memory)
                pairs.RemoveAt(0);
            for (var i = 0; i < n; i++)
            {
                s[i] = trial[i] - point[i];
                y[i] = trialGradient[i] - gradient[i];
            }
            var curvature = Dot(s, y);
            if (curvature > 0)
            {
                metric(y, scaled);
                gamma = curvature / Dot(y, scaled);
                pairs.Add((s, y, 1 / curvature));
            }

            trial.CopyTo(point, 0);
            (gradient, trialGradient) = (trialGradient, gradient);
            value = next;
            recent.Enqueue(value);
            if (step == MaxSteps || recent.Count > Window && recent.Dequeue() - value <= Tolerance * value)
                return (value, step);
        }
    }

    private static void AddScaled(double[] into, double scale, double[] v)
    {
        for (var i = 0; i < into.Length; i++)
            into[i] += scale * v[i];
    }

    /// <summary>Σ a·b in a fixed order.</summary>
    internal static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        Vector256<double> s0 = default, s1 = default;
        var i = 0;
        for (; i + 8 <= a.Length; i += 8)
        {
            s0 = Vector256.FusedMultiplyAdd(Vector256.Create(a[i..]), Vector256.Create(b[i..]), s0);
            s1 = Vector256.FusedMultiplyAdd(Vector256.Create(a[(i + 4)..]), Vector256.Create(b[(i + 4)..]), s1);
        }
        var sum = Vector256.Sum(s0 + s1);
        for (; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }
}
