using System.Runtime.InteropServices;
using SaeService.Autoencoders;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using static TorchSharp.torch;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// Fills <paramref name="destination"/> [rows, d] with the centred (and where wanted z-scored) vectors of the words from
/// <paramref name="firstRow"/> on.
/// </summary>
public delegate void ReadRows(int firstRow, Span<float> destination);

/// <summary>
/// The dictionary that knows nothing of the model's features: as many random unit directions as the autoencoder has latents. Direction j fires
/// on exactly as many words as latent j does, those with its highest projections above 0, so that density by feature and mean L0 are those of the
/// autoencoder and only the choice of directions differs.
/// </summary>
public static class RandomDirections
{
    private const int RowsABlock = 2048;

    /// <param name="d">Dimensions of a vector.</param>
    /// <param name="matched">The autoencoder's codes of the same words, whose densities are copied.</param>
    /// <param name="bytes">Bound on the projections held at once; directions are taken in chunks that fit.</param>
    public static SparseCodes Codes(ReadRows read, int d, SparseCodes matched, int seed, long bytes = 64L << 20)
    {
        var rows = matched.Rows;
        var density = new int[matched.Width];
        for (var n = 0L; n < matched.NonZeros; n++)
            density[matched.Index[n]]++;

        var chunk = (int)Math.Clamp(bytes / (4L * Math.Max(1, rows)), 1, matched.Width);
        var start = new int[matched.Width + 1];
        var words = new List<int>(checked((int)matched.NonZeros));
        var values = new List<float>(words.Capacity);
        // In memory of its own, which is free again at once and not when the collector comes to it.
        using var projections = empty(chunk, rows); // [chunk, N]
        for (var first = 0; first < matched.Width; first += chunk)
        {
            var count = Math.Min(chunk, matched.Width - first);
            Project(read, d, rows, Directions(first, count, d, seed), count, projections);
            var fired = new (int[] Words, float[] Values)[count];
            Parallel.For(0, count, () => new float[rows], (n, _, scratch) =>
            {
                fired[n] = Highest(MemoryMarshal.Cast<byte, float>(projections.bytes).Slice(n * rows, rows), density[first + n], scratch);
                return scratch;
            }, _ => { });
            for (var n = 0; n < count; n++)
            {
                words.AddRange(fired[n].Words);
                values.AddRange(fired[n].Values);
                start[first + n + 1] = words.Count;
            }
        }
        return new FeatureMajorCodes(rows, start, [.. words], [.. values]).ToRows();
    }

    /// <summary>Unit vectors [count, d], each from a stream of its own: chunks do not change them.</summary>
    private static float[] Directions(int first, int count, int d, int seed)
    {
        var directions = new float[count * d];
        for (var n = 0; n < count; n++)
        {
            var random = new CounterRandom(seed, first + n);
            var direction = new double[d];
            var norm = 0.0;
            for (var i = 0; i < d; i++)
            {
                direction[i] = random.NextNormal();
                norm += direction[i] * direction[i];
            }
            for (var i = 0; i < d; i++)
                directions[n * d + i] = (float)(direction[i] / Math.Sqrt(norm));
        }
        return directions;
    }

    private static void Project(ReadRows read, int d, int rows, float[] directions, int count, Tensor projections)
    {
        using var inference = no_grad();
        using var scope = NewDisposeScope();
        var w = tensor(directions, [count, d]); // [chunk, d]
        var vectors = new float[Math.Min(RowsABlock, rows) * d];
        for (var first = 0; first < rows; first += RowsABlock)
        {
            using var step = NewDisposeScope();
            var n = Math.Min(RowsABlock, rows - first);
            read(first, vectors.AsSpan(0, n * d));
            var x = empty(n, d);
            vectors.AsSpan(0, n * d).CopyTo(MemoryMarshal.Cast<byte, float>(x.bytes)); // [n, d]
            projections.narrow(0, 0, count).narrow(1, first, n).copy_(w.mm(x.t())); // [chunk, n]
        }
    }

    /// <summary>The words of the <paramref name="count"/> highest projections above 0, ascending; of equal projections the earlier words.</summary>
    /// <param name="scratch">As long as the projection; overwritten.</param>
    private static (int[] Words, float[] Values) Highest(ReadOnlySpan<float> projection, int count, float[] scratch)
    {
        var found = 0;
        foreach (var value in projection)
            if (value > 0)
                scratch[found++] = value;
        var positive = scratch.AsSpan(0, found);
        count = Math.Min(count, found);
        if (count == 0)
            return ([], []);
        var threshold = Select(positive, count);
        var ties = count;
        foreach (var value in positive)
            ties -= value > threshold ? 1 : 0;
        var words = new int[count];
        var values = new float[count];
        for (int word = 0, at = 0; at < count; word++)
            if (projection[word] > threshold || (projection[word] == threshold && ties-- > 0))
                (words[at], values[at++]) = (word, projection[word]);
        return (words, values);
    }

    /// <summary>The <paramref name="rank"/>-th highest of <paramref name="values"/>, which are reordered (Hoare's selection).</summary>
    private static float Select(Span<float> values, int rank)
    {
        int low = 0, high = values.Length - 1, target = rank - 1;
        while (low < high)
        {
            var pivot = values[low + (high - low) / 2];
            int i = low, j = high;
            while (i <= j)
            {
                while (values[i] > pivot)
                    i++;
                while (values[j] < pivot)
                    j--;
                if (i > j)
                    break;
                (values[i], values[j]) = (values[j], values[i]);
                i++;
                j--;
            }
            if (target <= j)
                high = j;
            else if (target >= i)
                low = i;
            else
                break;
        }
        return values[target];
    }
}
