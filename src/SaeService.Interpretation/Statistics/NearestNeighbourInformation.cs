using System.Buffers;

namespace SaeService.Interpretation.Statistics;

/// <summary>
/// Mutual information of one continuous dimension and a label (Ross 2014), the estimator behind scikit-learn's <c>mutual_info_classif</c>:
/// ψ(N) + ⟨ψ(k_i)⟩ - ⟨ψ(c_i)⟩ - ⟨ψ(m_i)⟩, with c_i the words of the label, k_i = min(k, c_i - 1), and m_i how many words of any label are nearer than the
/// k_i-th neighbour of the same label. Of single axes only: neither its maximum nor its sum over dimensions is the information of the vector (method 1d, 3).
/// What depends on the labels alone is prepared once, for many dimensions: O(N log N) each.
/// </summary>
/// <remarks>Arrays are rented, for thousands of features are measured one after another, some of which fire on many words.</remarks>
public sealed class NearestNeighbourInformation : IDisposable
{
    private readonly int _count;        // rows whose label occurs more than once
    private readonly int[] _rows;       // these
    private readonly int[] _class;      // of each of these
    private readonly int[] _start;      // [classes + 1] of a class in a list of rows by class
    private readonly int[] _neighbours; // [classes]
    private readonly double[] _digamma; // [rows + 1], of whole numbers
    private readonly double _labels;    // N · the terms that no dimension changes

    /// <param name="labels">At or above 0. Labels that occur once are left out. [N]</param>
    /// <param name="k">Neighbours.</param>
    public NearestNeighbourInformation(ReadOnlySpan<int> labels, int k = 3)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        var counts = new SortedDictionary<int, int>();
        foreach (var label in labels)
            counts[label] = counts.GetValueOrDefault(label) + 1;
        var classOf = new Dictionary<int, int>();
        foreach (var (label, count) in counts)
            if (count > 1)
                classOf.Add(label, classOf.Count);
        (_rows, _class) = (ArrayPool<int>.Shared.Rent(labels.Length), ArrayPool<int>.Shared.Rent(labels.Length));
        for (var i = 0; i < labels.Length; i++)
            if (classOf.TryGetValue(labels[i], out var c))
                (_rows[_count], _class[_count++]) = (i, c);
        _start = new int[classOf.Count + 1];
        _neighbours = new int[classOf.Count];
        _digamma = ArrayPool<double>.Shared.Rent(_count + 1);
        for (var n = 1; n <= _count; n++)
            _digamma[n] = SpecialFunctions.Digamma(n);
        foreach (var (label, c) in classOf)
        {
            var count = counts[label];
            _start[c + 1] = _start[c] + count;
            _neighbours[c] = Math.Min(k, count - 1);
            _labels += count * (_digamma[_neighbours[c]] - _digamma[count]);
        }
        if (_count > 0)
            _labels += _count * _digamma[_count];
    }

    /// <inheritdoc cref="NearestNeighbourInformation(ReadOnlySpan{int}, int)"/>
    /// <inheritdoc cref="Nats(ReadOnlySpan{double}, Scratch)"/>
    public static double Nats(ReadOnlySpan<double> x, ReadOnlySpan<int> labels, int k = 3)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(labels.Length, x.Length);
        using var information = new NearestNeighbourInformation(labels, k);
        using var scratch = information.NewScratch();
        return information.Nats(x, scratch);
    }

    /// <summary>Room for one dimension at a time: one a thread.</summary>
    public Scratch NewScratch() => new(_count);

    /// <param name="x">Values, finite; ties should be broken by the caller. [N]</param>
    /// <returns>Nats, at least 0.</returns>
    public double Nats(ReadOnlySpan<double> x, Scratch scratch)
    {
        var n = _count;
        if (n == 0)
            return 0;
        var (values, classes, places) = (scratch.Values, scratch.Classes, scratch.Places);
        for (var i = 0; i < n; i++)
            (values[i], classes[i]) = (x[_rows[i]], _class[i]);
        Array.Sort(values, classes, 0, n);
        var next = _start.AsSpan(0, _neighbours.Length).ToArray();
        for (var i = 0; i < n; i++)
            places[next[classes[i]]++] = i;

        var within = 0.0;
        for (var c = 0; c < _neighbours.Length; c++)
        {
            var group = places.AsSpan(_start[c], _start[c + 1] - _start[c]);
            for (var i = 0; i < group.Length; i++)
            {
                var distance = KthDistance(values, group, i, _neighbours[c]);
                // Nearer than, not as near as; zero is as small as a distance gets.
                var radius = distance == 0 ? 0 : Math.BitDecrement(distance);
                within += _digamma[CountWithin(values.AsSpan(0, n), group[i], radius)];
            }
        }
        return Math.Max(0, (_labels - within) / n);
    }

    /// <summary>The k nearest of a sorted group lie in a row with the value itself: of all such rows, the one that reaches least far.</summary>
    private static double KthDistance(double[] values, ReadOnlySpan<int> group, int i, int k)
    {
        var centre = values[group[i]];
        var nearest = double.PositiveInfinity;
        var last = Math.Min(i, group.Length - 1 - k);
        for (var from = Math.Max(0, i - k); from <= last; from++)
            nearest = Math.Min(nearest, Math.Max(centre - values[group[from]], values[group[from + k]] - centre));
        return nearest;
    }

    /// <summary>How many values lie within <paramref name="radius"/> of the one at <paramref name="at"/>, itself included.</summary>
    private static int CountWithin(ReadOnlySpan<double> values, int at, double radius)
    {
        // The distance itself is compared, not centre ± radius: rounding would otherwise decide ties.
        var centre = values[at];
        int low = 0, high = at;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (centre - values[middle] > radius)
                low = middle + 1;
            else
                high = middle;
        }
        var first = low;
        (low, high) = (at + 1, values.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (values[middle] - centre <= radius)
                low = middle + 1;
            else
                high = middle;
        }
        return low - first;
    }

    public void Dispose()
    {
        ArrayPool<int>.Shared.Return(_rows);
        ArrayPool<int>.Shared.Return(_class);
        ArrayPool<double>.Shared.Return(_digamma);
    }

    public sealed class Scratch(int rows) : IDisposable
    {
        internal double[] Values { get; } = ArrayPool<double>.Shared.Rent(rows); // ascending
        internal int[] Classes { get; } = ArrayPool<int>.Shared.Rent(rows);      // of these
        internal int[] Places { get; } = ArrayPool<int>.Shared.Rent(rows);       // in the two, by class

        public void Dispose()
        {
            ArrayPool<double>.Shared.Return(Values);
            ArrayPool<int>.Shared.Return(Classes);
            ArrayPool<int>.Shared.Return(Places);
        }
    }
}
