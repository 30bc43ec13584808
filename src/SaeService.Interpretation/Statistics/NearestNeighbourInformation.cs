using SaeService.Columns;

namespace SaeService.Interpretation.Statistics;

/// <summary>
/// Mutual information of one continuous dimension and a label (Ross 2014), the estimator behind scikit-learn's <c>mutual_info_classif</c>:
/// ψ(N) + ⟨ψ(k_i)⟩ - ⟨ψ(c_i)⟩ - ⟨ψ(m_i)⟩, with c_i the words of the label, k_i = min(k, c_i - 1), and m_i how many words of any label are nearer than the
/// k_i-th neighbour of the same label. Of single axes only: neither its maximum nor its sum over dimensions is the information of the vector (method 1d, 3).
/// What depends on the labels alone is prepared once, for many dimensions: O(N log N) each.
/// </summary>
public sealed class NearestNeighbourInformation
{
    private readonly int _count; // rows whose label occurs more than once
    private readonly LabelRoom _room;
    private readonly int[] _start;      // [classes + 1] of a class in a list of rows by class
    private readonly int[] _neighbours; // [classes]
    private readonly double _labels;    // N · the terms that no dimension changes

    /// <param name="labels">From 0, with few gaps. Labels that occur once are left out. [N]</param>
    /// <param name="k">Neighbours.</param>
    /// <param name="room">Of at least N, and nobody else's meanwhile; default: its own.</param>
    public NearestNeighbourInformation(ReadOnlySpan<int> labels, int k = 3, LabelRoom? room = null)
    {
        _room = room ?? new LabelRoom(labels.Length, ScratchSpace.Heap);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        var most = -1;
        foreach (var label in labels)
            most = Math.Max(most, label);
        var counts = new int[most + 1];
        foreach (var label in labels)
            counts[label]++;
        // Classes are the labels that occur more than once, in their order.
        var classOf = new int[counts.Length];
        var classes = 0;
        for (var label = 0; label < counts.Length; label++)
            classOf[label] = counts[label] > 1 ? classes++ : -1;
        Span<int> rows = _room.Rows.Span, classOfRow = _room.Classes.Span;
        for (var i = 0; i < labels.Length; i++)
            if (classOf[labels[i]] is >= 0 and var c)
                (rows[_count], classOfRow[_count++]) = (i, c);
        _start = new int[classes + 1];
        _neighbours = new int[classes];
        for (var label = 0; label < counts.Length; label++)
        {
            var (c, count) = (classOf[label], counts[label]);
            if (c < 0)
                continue;
            _start[c + 1] = _start[c] + count;
            _neighbours[c] = Math.Min(k, count - 1);
            _labels += count * (_room.Digamma[_neighbours[c]] - _room.Digamma[count]);
        }
        if (_count > 0)
            _labels += _count * _room.Digamma[_count];
    }

    /// <inheritdoc cref="NearestNeighbourInformation(ReadOnlySpan{int}, int, LabelRoom)"/>
    /// <inheritdoc cref="Nats(ReadOnlySpan{double}, Scratch)"/>
    public static double Nats(ReadOnlySpan<double> x, ReadOnlySpan<int> labels, int k = 3, LabelRoom? room = null, Scratch? scratch = null)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(labels.Length, x.Length);
        var information = new NearestNeighbourInformation(labels, k, room);
        return information.Nats(x, scratch ?? information.NewScratch());
    }

    /// <summary>Room for one dimension at a time: one a thread.</summary>
    public Scratch NewScratch() => new(_count, ScratchSpace.Heap);

    /// <param name="x">Values, finite; ties should be broken by the caller. [N]</param>
    /// <returns>Nats, at least 0.</returns>
    public double Nats(ReadOnlySpan<double> x, Scratch scratch)
    {
        var n = _count;
        if (n == 0)
            return 0;
        Span<double> values = scratch.Values[..n];
        Span<int> classes = scratch.Classes[..n], places = scratch.Places[..n], rows = _room.Rows[..n];
        ReadOnlySpan<double> digamma = _room.Digamma.Span;
        _room.Classes[..n].CopyTo(classes);
        for (var i = 0; i < n; i++)
            values[i] = x[rows[i]];
        values.Sort(classes);
        var next = _start.AsSpan(0, _neighbours.Length).ToArray();
        for (var i = 0; i < n; i++)
            places[next[classes[i]]++] = i;

        var within = 0.0;
        for (var c = 0; c < _neighbours.Length; c++)
        {
            var group = places[_start[c].._start[c + 1]];
            for (var i = 0; i < group.Length; i++)
            {
                var distance = KthDistance(values, group, i, _neighbours[c]);
                // Nearer than, not as near as; zero is as small as a distance gets.
                var radius = distance == 0 ? 0 : Math.BitDecrement(distance);
                within += digamma[CountWithin(values, group[i], radius)];
            }
        }
        return Math.Max(0, (_labels - within) / n);
    }

    /// <summary>The k nearest of a sorted group lie in a row with the value itself: of all such rows, the one that reaches least far.</summary>
    private static double KthDistance(ReadOnlySpan<double> values, ReadOnlySpan<int> group, int i, int k)
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
        // The distance itself is compared, not centre ± radius: rounding would otherwise decide ties. Few lie within, as a rule, so the search doubles its steps from the
        // centre before it halves them.
        var centre = values[at];
        int low = 0, high = at;
        for (var step = 1; high > 0; step *= 2)
        {
            var next = Math.Max(0, high - step);
            if (centre - values[next] > radius)
            {
                low = next + 1;
                break;
            }
            high = next;
        }
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
        for (var step = 1; low < high; step *= 2)
        {
            var next = Math.Min(values.Length - 1, low + step - 1);
            if (values[next] - centre > radius)
            {
                high = next;
                break;
            }
            low = next + 1;
        }
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

    /// <summary>Room for the labels of one variable at a time.</summary>
    /// <param name="most">Rows.</param>
    public sealed class LabelRoom(int most, ScratchSpace space)
    {
        internal Column<int> Rows { get; } = space.New<int>(most);    // whose label occurs more than once
        internal Column<int> Classes { get; } = space.New<int>(most); // of each of these

        /// <summary>[most + 1] of whole numbers, from 1.</summary>
        internal Column<double> Digamma { get; } = space.New(most + 1, n => n == 0 ? 0 : SpecialFunctions.Digamma(n));
    }

    /// <summary>Room for one dimension at a time.</summary>
    /// <param name="most">Rows.</param>
    public sealed class Scratch(int most, ScratchSpace space)
    {
        internal Column<double> Values { get; } = space.New<double>(most); // ascending
        internal Column<int> Classes { get; } = space.New<int>(most);      // of these
        internal Column<int> Places { get; } = space.New<int>(most);       // in the two, by class
    }
}
