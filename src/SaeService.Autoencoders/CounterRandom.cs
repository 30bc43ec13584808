namespace SaeService.Autoencoders;

/// <summary>
/// Random numbers addressed by (seed, stream, index) instead of drawn from a state: any of them can be had at any time, by any thread.
/// The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
/// </summary>
internal static class CounterRandom
{
    public static ulong Mix(ulong z)
    {
        z += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    public static ulong Key(long seed, ulong stream, ulong index) => Mix(Mix(Mix((ulong)seed) ^ stream) ^ index);

    /// <summary>A standard normal number (Box-Muller).</summary>
    public static double Normal(ulong key, ulong index)
    {
        var u = ((Mix(key ^ (2 * index)) >> 11) + 1) * (1.0 / (1UL << 53));       // (0, 1]
        var v = (Mix(key ^ (2 * index + 1)) >> 11) * (1.0 / (1UL << 53));         // [0, 1)
        return Math.Sqrt(-2 * Math.Log(u)) * Math.Cos(2 * Math.PI * v);
    }
}
