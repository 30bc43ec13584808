using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders.Screens;

/// <summary>Selection of the k largest of a short list of numbers from 0 up, by bisection on their bits, which order as the numbers do.</summary>
internal static unsafe class TopK
{
    // As many that go are found one by one sooner than by bisection.
    private const int FewSurplus = 8;

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
        least = n - k <= FewSurplus ? AboveTheLeast(values, n, n - k) : LowerBoundOfKth(values, n, k, 0);
        var kept = Sieve.NotBelow(values, latents, n, least);
        if (kept == k)
            return k;
        // More equals of the k-th than there is room for: the last of them go.
        var spare = k - kept;
        for (var i = 0; i < kept; i++)
            spare += values[i] == least ? 1 : 0;
        var at = 0;
        for (var i = 0; i < kept; i++)
        {
            if (values[i] == least && spare-- <= 0)
                continue;
            values[at] = values[i];
            latents[at++] = latents[i];
        }
        return k;
    }

    /// <summary>A number that at least k values, and at most k + <paramref name="slack"/> or those equal to the k-th largest, are not below. n &gt;= k.</summary>
    public static float LowerBoundOfKth(float* values, int n, int k, int slack)
    {
        var bits = (int*)values;
        var padded = (n + 7) & ~7;
        for (var i = n; i < padded; i++)
            bits[i] = -1;
        Vector256<int> most = Vector256<int>.Zero;
        Vector256<uint> fewest = Vector256<uint>.AllBitsSet;   // to which -1 is the largest
        for (var i = 0; i < padded; i += 8)
        {
            var some = Vector256.Load(bits + i);
            most = Vector256.Max(most, some);
            fewest = Vector256.Min(fewest, some.AsUInt32());
        }
        // Invariant: at least k lie above low, fewer than k above high; so the k-th largest is above low and at most high.
        int low = (int)Across(fewest, least: true) - 1, high = (int)Across(most.AsUInt32(), least: false), aboveLow = n;
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
        Vector256<int> bound = Vector256.Create(low), kth = Vector256.Create(int.MaxValue);
        for (var i = 0; i < padded; i += 8)
        {
            var some = Vector256.Load(bits + i);
            kth = Vector256.Min(kth, Vector256.ConditionalSelect(Vector256.GreaterThan(some, bound), some, kth));
        }
        return BitConverter.UInt32BitsToSingle(Across(kth.AsUInt32(), least: true));
    }

    /// <summary>The k-th largest where only <paramref name="surplus"/> lie behind it: the least, the least above that, until more than those are passed.</summary>
    private static float AboveTheLeast(float* values, int n, int surplus)
    {
        var bits = (int*)values;
        var padded = (n + 7) & ~7;
        for (var i = n; i < padded; i++)
            bits[i] = -1;
        var passed = -1;
        do
        {
            Vector256<int> bound = Vector256.Create(passed), least = Vector256.Create(int.MaxValue);
            for (var i = 0; i < padded; i += 8)
            {
                var some = Vector256.Load(bits + i);
                least = Vector256.Min(least, Vector256.ConditionalSelect(Vector256.GreaterThan(some, bound), some, least));
            }
            passed = (int)Across(least.AsUInt32(), least: true);
        }
        while (n - CountAbove(bits, padded, passed) <= surplus);
        return BitConverter.Int32BitsToSingle(passed);
    }

    private static uint Across(Vector256<uint> v, bool least)
    {
        var across = v[0];
        for (var lane = 1; lane < 8; lane++)
            across = least ? Math.Min(across, v[lane]) : Math.Max(across, v[lane]);
        return across;
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
