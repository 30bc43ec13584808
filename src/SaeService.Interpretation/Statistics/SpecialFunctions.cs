namespace SaeService.Interpretation.Statistics;

/// <summary>ln Γ, digamma, log-binomials and what the tests need of the χ² distribution, in float64.</summary>
public static class SpecialFunctions
{
    private const int TableSize = 1 << 16;
    private static readonly double[] FactorialTable = BuildFactorials();

    // Lanczos, g = 7, n = 9 (Godfrey's coefficients): relative error below 1e-14 for x > 0.
    private static readonly double[] Lanczos =
    [
        0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
        -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
    ];

    /// <summary>ln Γ(x), x > 0.</summary>
    public static double LogGamma(double x)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(x);
        if (x < 0.5)
            return Math.Log(Math.PI / Math.Sin(Math.PI * x)) - LogGamma(1 - x);
        x -= 1;
        var sum = Lanczos[0];
        for (var i = 1; i < Lanczos.Length; i++)
            sum += Lanczos[i] / (x + i);
        var t = x + 7.5;
        return 0.5 * Math.Log(2 * Math.PI) + (x + 0.5) * Math.Log(t) - t + Math.Log(sum);
    }

    /// <summary>ln n!, n ≥ 0.</summary>
    public static double LogFactorial(int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        if (n < TableSize)
            return FactorialTable[n];
        // Stirling's series: at 65536 the first term left out is below 1e-30.
        double x = n;
        return (x + 0.5) * Math.Log(x) - x + 0.5 * Math.Log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x * x * x);
    }

    /// <summary>ln of n over k; negative infinity where there is no way.</summary>
    public static double LogBinomial(int n, int k) =>
        k < 0 || k > n ? double.NegativeInfinity : LogFactorial(n) - LogFactorial(k) - LogFactorial(n - k);

    /// <summary>ψ(x), x > 0: recurrence up to 10, then the asymptotic series (error below 1e-13).</summary>
    public static double Digamma(double x)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(x);
        var shift = 0.0;
        for (; x < 10; x++)
            shift -= 1 / x;
        var inverse = 1 / (x * x);
        var series = inverse * (1.0 / 12 - inverse * (1.0 / 120 - inverse * (1.0 / 252 - inverse * (1.0 / 240 - inverse * (1.0 / 132)))));
        return shift + Math.Log(x) - 0.5 / x - series;
    }

    /// <summary>log10 of P(χ²_freedom ≥ statistic), which does not underflow (regularised upper incomplete gamma, series or continued fraction).</summary>
    public static double Log10ChiSquaredTail(double statistic, int freedom)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(freedom, 1);
        if (statistic <= 0)
            return 0;
        double a = freedom / 2.0, x = statistic / 2;
        var front = a * Math.Log(x) - x - LogGamma(a);
        if (x < a + 1)
        {
            double term = 1 / a, sum = term;
            for (var n = 1; n < 10_000 && term > sum * 1e-17; n++)
                sum += term *= x / (a + n);
            return Math.Log10(Math.Max(1 - sum * Math.Exp(front), 0));
        }
        // Lentz's method (Numerical Recipes 6.2).
        double b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d;
        for (var n = 1; n < 10_000; n++)
        {
            var an = -n * (n - a);
            b += 2;
            d = 1 / (an * d + b);
            c = b + an / c;
            fraction *= d * c;
            if (Math.Abs(d * c - 1) < 1e-16)
                break;
        }
        return (front + Math.Log(fraction)) / Math.Log(10);
    }

    private static double[] BuildFactorials()
    {
        // Compensated (Kahan): the last entry is good to the last digits.
        var table = new double[TableSize];
        double sum = 0, lost = 0;
        for (var n = 2; n < TableSize; n++)
        {
            var add = Math.Log(n) - lost;
            var next = sum + add;
            lost = next - sum - add;
            table[n] = sum = next;
        }
        return table;
    }
}
