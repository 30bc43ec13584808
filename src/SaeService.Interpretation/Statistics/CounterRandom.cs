namespace SaeService.Interpretation.Statistics;

/// <summary>
/// Random numbers as a function of (seed, stream, counter): any of them can be had without those before it, so results depend neither on
/// order nor on threads. SplitMix64's finaliser (Steele, Lea and Flood 2014) over a Weyl sequence.
/// </summary>
public struct CounterRandom(long seed, long stream)
{
    private const ulong Weyl = 0x9E3779B97F4A7C15;
    private ulong _state = Mix(Mix((ulong)seed + Weyl) ^ ((ulong)stream * 0xD1B54A32D192ED03));

    public ulong NextUInt64() => Mix(_state += Weyl);

    /// <summary>Uniform in [0, <paramref name="below"/>), by the high half of a product (bias below 2^-32 for every int).</summary>
    public int Next(int below) => (int)Math.BigMul(NextUInt64(), (ulong)below, out _);

    /// <summary>Uniform in [0, 1).</summary>
    public double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Standard normal, by Box and Muller.</summary>
    public double NextNormal()
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - NextDouble()));
        return radius * Math.Cos(2 * Math.PI * NextDouble());
    }

    public void Shuffle<T>(Span<T> items)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = Next(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>At most so many of the items, ascending: those with the smallest keys. An item's key is its own, whatever else is drawn from.</summary>
    /// <remarks>Holds as many as it draws, of however many.</remarks>
    /// <param name="items">Ascending.</param>
    public static int[] Sample(IEnumerable<int> items, int most, long seed)
    {
        // The largest key of those drawn so far comes out first.
        var drawn = new PriorityQueue<int, ulong>(Comparer<ulong>.Create((a, b) => b.CompareTo(a)));
        foreach (var item in items)
        {
            var key = new CounterRandom(seed, item).NextUInt64();
            if (drawn.Count < most)
                drawn.Enqueue(item, key);
            else
                drawn.EnqueueDequeue(item, key);
        }
        int[] sample = [.. drawn.UnorderedItems.Select(i => i.Element)];
        Array.Sort(sample);
        return sample;
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
