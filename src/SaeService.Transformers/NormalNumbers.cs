using System.Text;

namespace SaeService.Transformers;

/// <summary>Normal numbers by counter: the i-th depends on seed, stream name and i only, so that no order of creation and no library version changes them.</summary>
internal static class NormalNumbers
{
    public static void Fill(Span<float> values, double std, int seed, string stream)
    {
        // FNV-1a over the name, started from the seed.
        var key = 14695981039346656037UL ^ (uint)seed * 0x9E3779B97F4A7C15UL;
        foreach (var value in Encoding.UTF8.GetBytes(stream))
            key = (key ^ value) * 1099511628211UL;
        for (var i = 0; i < values.Length; i += 2)
        {
            // Box and Muller; 1 - u is in (0, 1], so the logarithm is finite.
            var radius = std * Math.Sqrt(-2 * Math.Log(1 - Uniform(key, i)));
            var angle = 2 * Math.PI * Uniform(key, i + 1);
            values[i] = (float)(radius * Math.Cos(angle));
            if (i + 1 < values.Length)
                values[i + 1] = (float)(radius * Math.Sin(angle));
        }
    }

    // SplitMix64 (Steele, Lea and Flood 2014), in [0, 1).
    private static double Uniform(ulong key, int counter)
    {
        var z = key + ((ulong)counter + 1) * 0x9E3779B97F4A7C15UL;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ z >> 27) * 0x94D049BB133111EBUL;
        return ((z ^ z >> 31) >> 11) * (1.0 / (1UL << 53));
    }
}
