namespace SaeService.Interpretation.Statistics;

/// <summary>Control of the false discovery rate (Benjamini and Hochberg 1995).</summary>
public static class MultipleTests
{
    /// <summary>
    /// q_(i) = min over k ≥ i of m p_(k) / k, for p given as log10. 0 where 10^x underflows: those are beyond doubt.
    /// </summary>
    public static double[] BenjaminiHochberg(ReadOnlySpan<double> log10P)
    {
        var m = log10P.Length;
        var sorted = log10P.ToArray();
        var order = new int[m];
        for (var i = 0; i < m; i++)
            order[i] = i;
        Array.Sort(sorted, order);
        var q = new double[m];
        var least = 0.0; // log10: q never exceeds 1
        for (var rank = m; rank >= 1; rank--)
        {
            least = Math.Min(least, sorted[rank - 1] + Math.Log10((double)m / rank));
            q[order[rank - 1]] = Math.Pow(10, least);
        }
        return q;
    }
}
