namespace SaeService.Interpretation.Statistics;

/// <summary>
/// Mutual information of one continuous dimension and a label (Ross 2014), the estimator behind scikit-learn's <c>mutual_info_classif</c>.
/// Of single axes only: neither its maximum nor its sum over dimensions is the information of the vector (method 1d, 3).
/// </summary>
public static class NearestNeighbourInformation
{
    /// <param name="x">Values; ties should be broken by the caller. [N]</param>
    /// <param name="labels">At or above 0. Labels that occur once are left out. [N]</param>
    /// <param name="k">Neighbours.</param>
    /// <returns>Nats, at least 0.</returns>
    public static double Nats(ReadOnlySpan<double> x, ReadOnlySpan<int> labels, int k = 3)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(labels.Length, x.Length);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        var byLabel = new SortedDictionary<int, List<double>>();
        for (var i = 0; i < x.Length; i++)
        {
            if (!byLabel.TryGetValue(labels[i], out var group))
                byLabel[labels[i]] = group = [];
            group.Add(x[i]);
        }
        var groups = byLabel.Values.Where(g => g.Count > 1).ToArray();
        var all = groups.SelectMany(g => g).ToArray();
        if (all.Length == 0)
            return 0;
        Array.Sort(all);

        double ofK = 0, ofCount = 0, ofWithin = 0;
        foreach (var group in groups)
        {
            var sorted = group.ToArray();
            Array.Sort(sorted);
            var neighbours = Math.Min(k, sorted.Length - 1);
            ofK += sorted.Length * SpecialFunctions.Digamma(neighbours);
            ofCount += sorted.Length * SpecialFunctions.Digamma(sorted.Length);
            for (var i = 0; i < sorted.Length; i++)
            {
                var radius = Math.BitDecrement(KthDistance(sorted, i, neighbours));
                ofWithin += SpecialFunctions.Digamma(Math.Max(1, CountWithin(all, sorted[i], radius)));
            }
        }
        var n = all.Length;
        return Math.Max(0, SpecialFunctions.Digamma(n) + (ofK - ofCount - ofWithin) / n);
    }

    private static double KthDistance(double[] sorted, int i, int k)
    {
        int left = i - 1, right = i + 1;
        var distance = 0.0;
        for (; k > 0; k--)
        {
            var toLeft = left >= 0 ? sorted[i] - sorted[left] : double.PositiveInfinity;
            var toRight = right < sorted.Length ? sorted[right] - sorted[i] : double.PositiveInfinity;
            distance = Math.Min(toLeft, toRight);
            if (toLeft <= toRight)
                left--;
            else
                right++;
        }
        return distance;
    }

    /// <summary>How many values lie within <paramref name="radius"/> of <paramref name="centre"/>, itself included.</summary>
    private static int CountWithin(double[] sorted, double centre, double radius)
    {
        // The distance itself is compared, not centre ± radius: rounding would otherwise decide ties.
        int low = 0, high = sorted.Length;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (sorted[middle] < centre && centre - sorted[middle] > radius)
                low = middle + 1;
            else
                high = middle;
        }
        var first = low;
        high = sorted.Length;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (sorted[middle] <= centre || sorted[middle] - centre <= radius)
                low = middle + 1;
            else
                high = middle;
        }
        return low - first;
    }
}
