namespace SaeService.Sample.Grammar;

/// <summary>
/// The generator's own random numbers, so that a seed means the same text on every version of .NET and on every machine.
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: a counter pushed through a 64-bit mixer.
/// </summary>
public sealed class SplitMix64(ulong seed)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private ulong _state = seed;

    /// <summary>An independent stream of a seed: document <paramref name="stream"/> is the same whatever is made before it.</summary>
    public static SplitMix64 Stream(ulong seed, ulong stream) => new(Mix(Mix(seed + Step) + stream * Step));

    public ulong Next() => Mix(_state += Step);

    /// <summary>Uniform in [0, 1) with 53 bits.</summary>
    public double Unit() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in [0, <paramref name="count"/>).</summary>
    public int Below(int count) => (int)Math.BigMul(Next(), (ulong)count, out _);

    public bool Chance(double probability) => Unit() < probability;

    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

/// <summary>Draws from a list with weights 1 / (rank + offset): the Zipf-Mandelbrot shape that word frequencies have.</summary>
internal sealed class Zipf<T>
{
    private readonly T[] _items;
    private readonly double[] _cumulative;

    public Zipf(IEnumerable<T> items, double offset = 4)
    {
        _items = [.. items];
        _cumulative = new double[_items.Length];
        var sum = 0.0;
        for (var rank = 0; rank < _items.Length; rank++)
            _cumulative[rank] = sum += 1 / (rank + offset);
    }

    public IReadOnlyList<T> Items => _items;

    public T Draw(SplitMix64 random)
    {
        var found = Array.BinarySearch(_cumulative, random.Unit() * _cumulative[^1]);
        return _items[Math.Min(found < 0 ? ~found : found, _items.Length - 1)];
    }
}
