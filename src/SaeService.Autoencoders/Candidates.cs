using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SaeService.Autoencoders;

/// <summary>
/// Running top-k of a block of rows while their pre-activations stream by in ascending latent order. A row holds the values above its
/// threshold; when its buffer is full, or at the end, only the k largest stay and the threshold becomes the least of them. Later equal values
/// have higher indices and lose the tie, so the result is exact with ties going to the lower index, and it stays sorted by index.
/// </summary>
internal sealed unsafe class Candidates
{
    private readonly int k, capacity;
    private readonly AlignedBuffer<float> values, thresholds;
    private readonly AlignedBuffer<int> latents, counts;

    public Candidates(int rows, int k)
    {
        this.k = k;
        capacity = (4 * k + 64 + 7) & ~7;
        values = new((long)rows * capacity);
        latents = new((long)rows * capacity);
        counts = new(rows);
        thresholds = new(rows);
    }

    /// <param name="threshold">At least 0; only values strictly above it are kept.</param>
    public void Clear(int row, float threshold)
    {
        counts.Pointer[row] = 0;
        thresholds.Pointer[row] = threshold;
    }

    /// <summary>Looks at <paramref name="rows"/> rows of a [6, 16] tile whose first latent is <paramref name="firstLatent"/>.</summary>
    public void Scan(float* tile, int firstRow, int rows, int firstLatent)
    {
        for (var r = 0; r < rows; r++, tile += TileKernel.Latents)
        {
            var threshold = Vector256.Create(thresholds.Pointer[firstRow + r]);
            var above = Vector256.GreaterThan(Vector256.Load(tile), threshold).ExtractMostSignificantBits()
                | Vector256.GreaterThan(Vector256.Load(tile + 8), threshold).ExtractMostSignificantBits() << 8;
            if (above != 0)
                Push(tile, above, firstRow + r, firstLatent);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Push(float* tile, uint above, int row, int firstLatent)
    {
        var start = (long)row * capacity;
        for (; above != 0; above &= above - 1)
        {
            var column = BitOperations.TrailingZeroCount(above);
            if (!(tile[column] > thresholds.Pointer[row]))
                continue;
            var n = counts.Pointer[row]++;
            values.Pointer[start + n] = tile[column];
            latents.Pointer[start + n] = firstLatent + column;
            if (n + 1 == capacity)
                Compact(row);
        }
    }

    /// <summary>Writes the row's top k, ascending by latent, and returns how many there are.</summary>
    public int Take(int row, Span<int> index, Span<float> value)
    {
        Compact(row);
        var n = counts.Pointer[row];
        var start = (long)row * capacity;
        new ReadOnlySpan<int>(latents.Pointer + start, n).CopyTo(index);
        new ReadOnlySpan<float>(values.Pointer + start, n).CopyTo(value);
        return n;
    }

    /// <summary>
    /// Bisects for the k-th largest value on the bit patterns, which for positive floats order as the values do: at most 31 rounds.
    /// </summary>
    private void Compact(int row)
    {
        var n = counts.Pointer[row];
        if (n <= k)
            return;
        var value = values.Pointer + (long)row * capacity;
        var latent = latents.Pointer + (long)row * capacity;
        var padded = (n + 7) & ~7;
        for (var i = n; i < padded; i++)
            value[i] = 0;
        var bits = (int*)value;
        var most = Vector256<int>.Zero;
        for (var i = 0; i < padded; i += 8)
            most = Vector256.Max(most, Vector256.Load(bits + i));
        // Invariant: at least k values lie above low, fewer than k above high. Values kept by an earlier round may equal the threshold.
        int low = Math.Max(0, BitConverter.SingleToInt32Bits(thresholds.Pointer[row]) - 1), high = 0, aboveLow = n;
        for (var lane = 0; lane < 8; lane++)
            high = Math.Max(high, most[lane]);
        while (aboveLow > k && high - low > 1)
        {
            var middle = low + (high - low) / 2;
            var count = CountAbove(bits, padded, middle);
            if (count >= k)
                (low, aboveLow) = (middle, count);
            else
                high = middle;
        }
        // Either exactly k lie above low, or low and high are neighbours and the surplus are equals of high: the first of them stay.
        var spare = aboveLow == k ? int.MaxValue : k - CountAbove(bits, padded, high);
        var kept = 0;
        var least = int.MaxValue;
        for (var i = 0; i < n; i++)
        {
            var b = bits[i];
            if (b <= low || (b == high && spare-- <= 0))
                continue;
            least = Math.Min(least, b);
            bits[kept] = b;
            latent[kept++] = latent[i];
        }
        counts.Pointer[row] = kept;
        thresholds.Pointer[row] = BitConverter.Int32BitsToSingle(least);
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
