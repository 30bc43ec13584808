using System.Numerics;

namespace SaeService.Autoencoders;

/// <summary>
/// A pseudo-random permutation of 0 .. count - 1 that is computed, not stored: a Feistel network over the next power of four, walked along
/// its cycle until the image falls inside the range (Black and Rogaway 2002). A shuffled epoch needs no memory, and its state is one number.
/// </summary>
internal readonly struct IndexPermutation
{
    private const int Rounds = 6;
    private readonly ulong count, key, mask;
    private readonly int half;

    public IndexPermutation(long count, ulong key)
    {
        if (count < 1)
            throw new ArgumentOutOfRangeException(nameof(count), count, "a permutation needs at least one element");
        this.count = (ulong)count;
        this.key = key;
        half = Math.Max(1, (BitOperations.Log2((ulong)count) + 2) / 2);
        mask = (1UL << half) - 1;
    }

    public long this[long index]
    {
        get
        {
            var x = (ulong)index;
            do
            {
                var (left, right) = (x >> half, x & mask);
                for (var round = 0; round < Rounds; round++)
                    (left, right) = (right, left ^ (CounterRandom.Mix(key + (ulong)round * 0xD1342543DE82EF95 ^ right) & mask));
                x = left << half | right;
            } while (x >= count);
            return (long)x;
        }
    }
}
