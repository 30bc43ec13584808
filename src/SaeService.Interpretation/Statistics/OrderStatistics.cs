using System.Numerics;

namespace SaeService.Interpretation.Statistics;

/// <summary>Single numbers of a list in order, without sorting it: Hoare's selection (Algorithm 65, 1961), its pivot the median of three.</summary>
internal static class OrderStatistics
{
    /// <summary>Puts the value of rank <paramref name="rank"/> where it is in ascending order: nothing before it is larger, nothing behind it smaller.</summary>
    /// <param name="values">None of them NaN.</param>
    /// <param name="rank">From 0.</param>
    public static void Place<T>(Span<T> values, int rank) where T : unmanaged, INumber<T>
    {
        var (first, last) = (0, values.Length - 1);
        while (first < last)
        {
            T a = values[first], b = values[first + ((last - first) / 2)], c = values[last];
            var pivot = T.Max(T.Min(a, b), T.Min(T.Max(a, b), c));
            var (i, j) = (first, last);
            while (i <= j)
            {
                while (values[i] < pivot)
                    i++;
                while (values[j] > pivot)
                    j--;
                if (i > j)
                    break;
                (values[i], values[j]) = (values[j], values[i]);
                i++;
                j--;
            }
            // What lies between j and i is the pivot's equal.
            if (rank <= j)
                last = j;
            else if (rank >= i)
                first = i;
            else
                return;
        }
    }
}
