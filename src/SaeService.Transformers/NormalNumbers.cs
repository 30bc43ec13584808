using System.Text;

namespace SaeService.Transformers;

/// <summary>Normal numbers by counter: the i-th depends on seed, stream name and i only, so that no order of creation and no library version changes them.</summary>
internal static class NormalNumbers
{
    /// <param name="first">Number of the first of them in the stream: even.</param>
    public static void Fill(Span<float> values, double std, int seed, string stream, long first = 0)
    {
        var key = Key(seed, stream);
        for (var i = 0; i < values.Length; i += 2)
        {
            // Box and Muller; 1 - u is in (0, 1], so the logarithm is finite.
            var radius = std * Math.Sqrt(-2 * Math.Log(1 - Uniform(key, first + i)));
            var angle = 2 * Math.PI * Uniform(key, first + i + 1);
            values[i] = (float)(radius * Math.Cos(angle));
            if (i + 1 < values.Length)
                values[i + 1] = (float)(radius * Math.Sin(angle));
        }
    }

    /// <summary>Puts the values in an order that depends on seed, stream name and their number only.</summary>
    public static void Shuffle(Span<float> values, int seed, string stream)
    {
        var key = Key(seed, stream);
        for (var i = values.Length - 1; i > 0; i--)
        {
            var j = (int)Math.BigMul(Bits(key, i), (ulong)i + 1, out _);
            (values[i], values[j]) = (values[j], values[i]);
        }
    }

    // FNV-1a over the name, started from the seed.
    private static ulong Key(int seed, string stream)
    {
        var key = 14695981039346656037UL ^ (uint)seed * 0x9E3779B97F4A7C15UL;
        foreach (var value in Encoding.UTF8.GetBytes(stream))
            key = (key ^ value) * 1099511628211UL;
        return key;
    }

    // In [0, 1).
    private static double Uniform(ulong key, long counter) => (Bits(key, counter) >> 11) * (1.0 / (1UL << 53));

    // SplitMix64 (Steele, Lea and Flood 2014).
    private static ulong Bits(ulong key, long counter)
    {
        var z = key + ((ulong)counter + 1) * 0x9E3779B97F4A7C15UL;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ z >> 27) * 0x94D049BB133111EBUL;
        return z ^ z >> 31;
    }
}
