using SaeService.Autoencoders;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Controls;

/// <summary>
/// Fills <paramref name="destination"/> [rows, d] with the centred (and where wanted z-scored) vectors of the words from
/// <paramref name="firstRow"/> on.
/// </summary>
public delegate void ReadRows(int firstRow, Span<float> destination);

/// <summary>
/// Sparse codes of a dense dictionary, as sparse as an autoencoder's (method 4), so that only the choice of directions differs: by feature, each firing
/// on as many words as some latent does; or by word, with as many features firing on each as the autoencoder has on average. A feature fires only where its
/// projection is above 0.
/// </summary>
public static class MatchedCodes
{
    private const int RowsABlock = 2048;

    /// <summary>On how many words each feature of a dictionary fires: [F].</summary>
    public static int[] Densities(SparseCodes codes)
    {
        var density = new int[codes.Width];
        for (var n = 0L; n < codes.NonZeros; n++)
            density[codes.Index[n]]++;
        return density;
    }

    /// <summary>
    /// The same distribution of densities over another number of features: quantiles of those of the latents that fire at all, dealt out by
    /// <paramref name="seed"/>, so that the order of the features (by variance, say) decides nothing.
    /// </summary>
    public static int[] Densities(SparseCodes codes, int features, int seed)
    {
        var alive = Densities(codes).Where(count => count > 0).Order().ToArray();
        var densities = new int[features];
        for (var n = 0; n < features && alive.Length > 0; n++)
            densities[n] = alive[(int)((n + 0.5) / features * alive.Length)];
        new CounterRandom(seed, 0x64656E73).Shuffle<int>(densities);
        return densities;
    }

    /// <summary>Feature j fires on the <c>densities[j]</c> words with its highest projections; of equal ones on the earlier.</summary>
    /// <remarks>One pass over the words: each feature keeps its highest projections so far, so memory is that of the result and time grows as the words do.</remarks>
    /// <param name="d">Dimensions of a vector.</param>
    /// <param name="rows">Words.</param>
    /// <param name="threads">That may be used; no code depends on them.</param>
    /// <param name="bytes">Bound on the projections held at once; words are taken in blocks that fit.</param>
    public static SparseCodes ByDensity(DenseDictionary dictionary, ReadRows read, int d, int rows, ReadOnlyMemory<int> densities,
        int threads = -1, long bytes = 64L << 20)
    {
        var features = dictionary.Features;
        if (densities.Length != features)
            throw new ArgumentException($"{densities.Length} densities for {features} features", nameof(densities));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
        var w = PanelMatrix.Left(dictionary.Directions(0, features), features, d); // [F, stride]
        var block = (int)Math.Clamp(bytes / (4L * features), 1, RowsABlock);
        var vectors = new float[Math.Min(block, Math.Max(1, rows)) * d];
        var projections = Array.Empty<float>(); // [F, words of the block]
        var highest = Array.ConvertAll(densities.ToArray(), density => new HighestSoFar(density));
        for (var first = 0; first < rows; first += block)
        {
            var (from, n) = (first, Math.Min(block, rows - first));
            read(from, vectors.AsSpan(0, n * d));
            var x = PanelMatrix.Transposed(vectors, n, d); // [d, n]
            x.Multiply(w, features, ref projections, parallel);
            Parallel.For(0, features, parallel, feature => highest[feature].Add(from, projections.AsSpan(feature * x.OutputStride, n)));
        }
        Parallel.ForEach(highest, parallel, h => h.Narrow());
        var start = new int[features + 1];
        for (var feature = 0; feature < features; feature++)
            start[feature + 1] = start[feature] + highest[feature].Count;
        var (words, values) = (new int[start[^1]], new float[start[^1]]);
        for (var feature = 0; feature < features; feature++)
            highest[feature].CopyTo(words.AsSpan(start[feature]), values.AsSpan(start[feature]));
        return new FeatureMajorCodes(rows, start, words, values).ToRows();
    }

    /// <summary>The highest projections of a feature that have gone by, in the order of the words: at most twice as many as are wanted.</summary>
    private sealed class HighestSoFar(int wanted)
    {
        private int[] _words = [];
        private float[] _values = [];
        private float _least; // what is not above it can not be among them any more: of equal ones the earlier stay

        public int Count { get; private set; }

        public void Add(int firstWord, ReadOnlySpan<float> projections)
        {
            if (wanted == 0)
                return;
            for (var i = 0; i < projections.Length; i++)
            {
                if (!(projections[i] > _least))
                    continue;
                if (Count == _words.Length)
                    Grow();
                (_words[Count], _values[Count]) = (firstWord + i, projections[i]);
                Count++;
            }
        }

        private void Grow()
        {
            if (Count >= 2 * wanted)
                Narrow();
            else
            {
                var size = Math.Min(2 * wanted, Math.Max(16, 2 * Count));
                Array.Resize(ref _words, size);
                Array.Resize(ref _values, size);
            }
        }

        /// <summary>Keeps as many as are wanted.</summary>
        public void Narrow()
        {
            if (Count <= wanted)
                return;
            var (at, values) = Highest(_values.AsSpan(0, Count), wanted, new float[Count]);
            for (var i = 0; i < at.Length; i++)
                (_words[i], _values[i]) = (_words[at[i]], values[i]);
            Count = at.Length;
            _least = values.Min();
        }

        public void CopyTo(Span<int> words, Span<float> values)
        {
            _words.AsSpan(0, Count).CopyTo(words);
            _values.AsSpan(0, Count).CopyTo(values);
        }
    }

    /// <summary>On every word the <paramref name="k"/> features with the highest projections fire; of equal ones the earlier.</summary>
    /// <inheritdoc cref="ByDensity"/>
    public static SparseCodes ByTopK(DenseDictionary dictionary, ReadRows read, int d, int rows, int k, int threads = -1, long bytes = 64L << 20)
    {
        var features = dictionary.Features;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
        var w = PanelMatrix.Transposed(dictionary.Directions(0, features), features, d); // [d, F]
        var block = (int)Math.Clamp(bytes / (4L * features), 1, RowsABlock);
        var vectors = new float[Math.Min(block, rows) * d];
        var projections = Array.Empty<float>(); // [words of the block, F]
        var built = new SparseCodesBuilder(features);
        for (var first = 0; first < rows; first += block)
        {
            var n = Math.Min(block, rows - first);
            read(first, vectors.AsSpan(0, n * d));
            w.Multiply(PanelMatrix.Left(vectors, n, d), n, ref projections, parallel);
            var fired = new (int[] Features, float[] Values)[n];
            Parallel.For(0, n, parallel, () => new float[features], (row, _, scratch) =>
            {
                fired[row] = Highest(projections.AsSpan(row * w.OutputStride, features), k, scratch);
                return scratch;
            }, _ => { });
            foreach (var (indices, values) in fired)
                built.Add(indices, values);
        }
        return built.Build();
    }

    /// <summary>Where the <paramref name="count"/> highest projections above 0 are, ascending; of equal projections the earlier.</summary>
    /// <param name="scratch">As long as the projection; overwritten.</param>
    private static (int[] At, float[] Values) Highest(ReadOnlySpan<float> projection, int count, float[] scratch)
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
        var at = new int[count];
        var values = new float[count];
        for (int i = 0, next = 0; next < count; i++)
            if (projection[i] > threshold || (projection[i] == threshold && ties-- > 0))
                (at[next], values[next++]) = (i, projection[i]);
        return (at, values);
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
