using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders.Screens;

/// <summary>Selection of the k largest of a short list of numbers from 0 up, by bisection on their bits, which order as the numbers do.</summary>
internal static unsafe class TopK
{
    /// <summary>Keeps the k largest of <paramref name="n"/> in their order; of equal ones the first stay.</summary>
    /// <param name="values">[n], from 0 up; room for 8 more.</param>
    /// <param name="latents">[n]</param>
    /// <param name="n">How many there are.</param>
    /// <param name="k">How many to keep.</param>
    /// <param name="least">The least kept; 0 where fewer than k are there.</param>
    /// <returns>How many are kept.</returns>
    public static int Select(float* values, int* latents, int n, int k, out float least)
    {
        least = 0;
        if (n < k)
            return n;
        var bits = (int*)values;
        var kth = BitConverter.SingleToInt32Bits(LowerBoundOfKth(values, n, k, 0));
        var spare = k - CountAbove(bits, (n + 7) & ~7, kth);
        var kept = 0;
        for (var i = 0; i < n && kept < k; i++)
        {
            if (bits[i] < kth || (bits[i] == kth && spare-- <= 0))
                continue;
            values[kept] = values[i];
            latents[kept++] = latents[i];
        }
        least = BitConverter.Int32BitsToSingle(kth);
        return kept;
    }

    /// <summary>A number that at least k values, and at most k + <paramref name="slack"/> or those equal to the k-th largest, are not below. n &gt;= k.</summary>
    public static float LowerBoundOfKth(float* values, int n, int k, int slack)
    {
        var bits = (int*)values;
        var padded = (n + 7) & ~7;
        for (var i = n; i < padded; i++)
            bits[i] = -1;
        var most = Vector256<int>.Zero;
        for (var i = 0; i < padded; i += 8)
            most = Vector256.Max(most, Vector256.Load(bits + i));
        // Invariant: at least k lie above low, fewer than k above high; so the k-th largest is above low and at most high.
        int low = -1, high = 0, aboveLow = n;
        for (var lane = 0; lane < 8; lane++)
            high = Math.Max(high, most[lane]);
        while (aboveLow > k + slack && high - low > 1)
        {
            var middle = low + ((high - low) / 2);
            var count = CountAbove(bits, padded, middle);
            if (count >= k)
                (low, aboveLow) = (middle, count);
            else
                high = middle;
        }
        if (slack > 0 || high - low == 1)
            return BitConverter.Int32BitsToSingle(low + 1);
        // Exactly k lie above low: the least of them is the k-th.
        var least = int.MaxValue;
        for (var i = 0; i < n; i++)
            if (bits[i] > low)
                least = Math.Min(least, bits[i]);
        return BitConverter.Int32BitsToSingle(least);
    }

    private static int CountAbove(int* bits, int padded, int limit)
    {
        var bound = Vector256.Create(limit);
        var count = Vector256<int>.Zero;
        for (var i = 0; i < padded; i += 8)
            count -= Vector256.GreaterThan(Vector256.Load(bits + i), bound);
        return Vector256.Sum(count);
    }
}
