namespace SaeService.Interpretation.Statistics;

public static class RankCorrelation
{
    /// <summary>Spearman's ρ: Pearson's correlation of the ranks, equal values sharing their mean rank. NaN where either is constant.</summary>
    public static double Spearman(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(y.Length, x.Length);
        double[] a = Ranks(x), b = Ranks(y);
        double mean = (x.Length - 1) / 2.0, xy = 0, xx = 0, yy = 0;
        for (var i = 0; i < a.Length; i++)
        {
            xy += (a[i] - mean) * (b[i] - mean);
            xx += (a[i] - mean) * (a[i] - mean);
            yy += (b[i] - mean) * (b[i] - mean);
        }
        return xy / Math.Sqrt(xx * yy);
    }

    /// <summary>From 0.</summary>
    private static double[] Ranks(ReadOnlySpan<double> values)
    {
        var sorted = values.ToArray();
        var order = new int[sorted.Length];
        for (var i = 0; i < order.Length; i++)
            order[i] = i;
        Array.Sort(sorted, order);
        var ranks = new double[sorted.Length];
        for (var from = 0; from < sorted.Length;)
        {
            var to = from;
            while (to < sorted.Length && sorted[to] == sorted[from])
                to++;
            for (var i = from; i < to; i++)
                ranks[order[i]] = (from + to - 1) / 2.0;
            from = to;
        }
        return ranks;
    }
}
