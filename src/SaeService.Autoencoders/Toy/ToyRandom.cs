namespace SaeService.Autoencoders.Toy;

/// <summary>
/// Streams of <see cref="CounterRandom"/> that the toy data draw from. None is a stream of the trainer's, so that an autoencoder with the seed of
/// its data does not start from the directions it has to find.
/// </summary>
internal static class ToyRandom
{
    public const ulong Directions = 0x746F7900, Covariance = Directions + 1, BlockSample = Directions + 2, Firing = Directions + 3, Strength = Directions + 4,
        Fallback = Directions + 5, Loading = Directions + 6, Factor = Directions + 7, Spread = Directions + 8, Winner = Directions + 9, Bias = Directions + 10;

    /// <summary>Uniform on [0, 1).</summary>
    public static double Uniform(ulong key, ulong index) => (CounterRandom.Mix(key ^ index) >> 11) * (1.0 / (1UL << 53));

    /// <summary>Standard normal numbers, two of each pair of uniform ones (Box-Muller).</summary>
    public static void Normals(ulong key, Span<double> target)
    {
        for (var i = 0; i < target.Length; i += 2)
        {
            var radius = Math.Sqrt(-2 * Math.Log(1 - Uniform(key, (ulong)i)));
            var (sine, cosine) = Math.SinCos(2 * Math.PI * Uniform(key, (ulong)i + 1));
            target[i] = radius * cosine;
            if (i + 1 < target.Length)
                target[i + 1] = radius * sine;
        }
    }

    /// <summary>Rows of N(0, I), scaled to length 1.</summary>
    /// <returns>[count, d]</returns>
    public static double[] UnitRows(long seed, int count, int d)
    {
        var rows = new double[(long)count * d];
        for (var i = 0; i < count; i++)
        {
            var row = rows.AsSpan(i * d, d);
            Normals(CounterRandom.Key(seed, Directions, (ulong)i), row);
            DoubleVectors.Normalise(row);
        }
        return rows;
    }
}
