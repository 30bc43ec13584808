using SaeService.Autoencoders;
using SaeService.Columns;
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
        foreach (var feature in codes.Index.Span[..(int)codes.NonZeros])
            density[feature]++;
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
    /// <param name="scratch">Where the codes lie, and what is not yet one; default: in memory.</param>
    public static SparseCodes ByDensity(DenseDictionary dictionary, ReadRows read, int d, int rows, ReadOnlyMemory<int> densities,
        int threads = -1, long bytes = 64L << 20, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        var features = dictionary.Features;
        if (densities.Length != features)
            throw new ArgumentException($"{densities.Length} densities for {features} features", nameof(densities));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
        var w = PanelMatrix.Left(dictionary.Directions(0, features), features, d); // [F, stride]
        var block = (int)Math.Clamp(bytes / (4L * features), 1, RowsABlock);
        var vectors = new float[Math.Min(block, Math.Max(1, rows)) * d];
        var projections = Array.Empty<float>(); // [F, words of the block]
        using var inner = scratch.Inner();
        var highest = new HighestSoFar(densities, inner);
        var rooms = new Rooms<Column<float>>(highest.NewRoom);
        PanelMatrix? x = null;
        for (var first = 0; first < rows; first += block)
        {
            var (from, n) = (first, Math.Min(block, rows - first));
            read(from, vectors.AsSpan(0, n * d));
            if (x is null || n < block)
                x = PanelMatrix.Transposed(vectors, n, d); // [d, n]
            else
                x.TakeTransposed(vectors, n, d);
            var stride = x.OutputStride;
            x.Multiply(w, features, ref projections, parallel);
            Parallel.For(0, features, parallel, rooms.Enter, (feature, _, room) =>
            {
                highest.Add(feature, from, projections.AsSpan(feature * stride, n), room);
                return room;
            }, rooms.Leave);
        }
        return highest.Codes(rows).ToRows(scratch);
    }

    /// <summary>
    /// The highest projections of each feature that have gone by, in the order of the words: at most twice as many as are wanted, in one run of a column each.
    /// </summary>
    private sealed class HighestSoFar
    {
        private readonly ReadOnlyMemory<int> _wanted;
        private readonly int[] _start;  // [F + 1] of twice as many as are wanted
        private readonly int[] _count;
        private readonly float[] _least; // what is not above it can not be among them any more: of equal ones the earlier stay
        private readonly Column<int> _words;
        private readonly Column<float> _values;
        private readonly ScratchSpace _scratch;

        public HighestSoFar(ReadOnlyMemory<int> wanted, ScratchSpace scratch)
        {
            (_wanted, _scratch) = (wanted, scratch);
            (_start, _count, _least) = (new int[wanted.Length + 1], new int[wanted.Length], new float[wanted.Length]);
            for (var feature = 0; feature < wanted.Length; feature++)
                _start[feature + 1] = checked(_start[feature] + 2 * wanted.Span[feature]);
            (_words, _values) = (scratch.New<int>(_start[^1]), scratch.New<float>(_start[^1]));
        }

        /// <summary>One a thread: as many values as a feature may have at a time.</summary>
        public Column<float> NewRoom() => _scratch.New<float>(2 * _wanted.ToArray().DefaultIfEmpty(0).Max());

        public void Add(int feature, int firstWord, ReadOnlySpan<float> projections, Column<float> room)
        {
            var (from, most) = (_start[feature], _start[feature + 1] - _start[feature]);
            if (most == 0)
                return;
            var words = _words.Span.Slice(from, most);
            var values = _values.Span.Slice(from, most);
            var (count, least) = (_count[feature], _least[feature]);
            for (var i = 0; i < projections.Length; i++)
            {
                if (!(projections[i] > least))
                    continue;
                if (count == most)
                    (count, least) = Narrow(words, values, most / 2, room.Span);
                (words[count], values[count]) = (firstWord + i, projections[i]);
                count++;
            }
            (_count[feature], _least[feature]) = (count, least);
        }

        /// <summary>As many of each feature as are wanted, or as there are.</summary>
        public FeatureMajorCodes Codes(int rows)
        {
            var room = NewRoom();
            var start = new int[_count.Length + 1];
            for (var feature = 0; feature < _count.Length; feature++)
            {
                var (from, wanted) = (_start[feature], _wanted.Span[feature]);
                if (_count[feature] > wanted)
                    (_count[feature], _) = Narrow(_words.Span.Slice(from, _count[feature]), _values.Span.Slice(from, _count[feature]), wanted, room.Span);
                // What is before has been moved already, so that the runs close up in place.
                start[feature + 1] = start[feature] + _count[feature];
                _words.Span.Slice(from, _count[feature]).CopyTo(_words.Span[start[feature]..]);
                _values.Span.Slice(from, _count[feature]).CopyTo(_values.Span[start[feature]..]);
            }
            return new FeatureMajorCodes(rows, start, _words.First(start[^1]), _values.First(start[^1]));
        }

        /// <summary>Moves the highest to the front, in their order; of equal ones the earlier.</summary>
        private static (int Count, float Least) Narrow(Span<int> words, Span<float> values, int wanted, Span<float> room)
        {
            values.CopyTo(room);
            var least = Select(room[..values.Length], wanted);
            var ties = wanted;
            foreach (var value in values)
                ties -= value > least ? 1 : 0;
            var kept = 0;
            for (var i = 0; kept < wanted; i++)
                if (values[i] > least || (values[i] == least && ties-- > 0))
                    (words[kept], values[kept++]) = (words[i], values[i]);
            return (kept, least);
        }
    }

    /// <summary>On every word the <paramref name="k"/> features with the highest projections fire; of equal ones the earlier.</summary>
    /// <inheritdoc cref="ByDensity"/>
    public static SparseCodes ByTopK(DenseDictionary dictionary, ReadRows read, int d, int rows, int k, int threads = -1, long bytes = 64L << 20,
        ScratchSpace? scratch = null)
    {
        var features = dictionary.Features;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
        var w = PanelMatrix.Transposed(dictionary.Directions(0, features), features, d); // [d, F]
        var block = (int)Math.Clamp(bytes / (4L * features), 1, RowsABlock);
        var vectors = new float[Math.Min(block, rows) * d];
        var projections = Array.Empty<float>(); // [words of the block, F]
        var built = new SparseCodesBuilder(features, scratch);
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

    /// <summary>The <paramref name="rank"/>-th highest of <paramref name="values"/>, which are reordered.</summary>
    private static float Select(Span<float> values, int rank)
    {
        OrderStatistics.Place(values, values.Length - rank);
        return values[^rank];
    }
}
