namespace SaeService.Interpretation.Information;

/// <summary>
/// P(class | word type) from counts on train words, drawn towards the marginal: (n_tc + α π_c) / (n_t + α). What a word's form alone says of its label:
/// the floor above which a layer knows of context (Pimentel et al. 2020's control function, as a table). It sees the same train words as the probes.
/// </summary>
internal sealed class WordTypeTable
{
    private static readonly double[] Strengths = [0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000];

    private readonly Dictionary<int, double[]> _countsOf = [];
    private readonly double[] _marginal;

    /// <param name="types">Word types of the train words, <paramref name="classes"/> their classes.</param>
    public WordTypeTable(ReadOnlySpan<int> types, ReadOnlySpan<int> classes, double[] marginal)
    {
        _marginal = marginal;
        for (var i = 0; i < types.Length; i++)
        {
            if (!_countsOf.TryGetValue(types[i], out var counts))
                _countsOf[types[i]] = counts = new double[marginal.Length];
            counts[classes[i]]++;
        }
    }

    /// <summary>α: weight of the marginal, in words.</summary>
    public double Strength { get; private set; } = 1;

    /// <summary>Picks the α with the shortest code on dev words; stays at 1 where there are none.</summary>
    public void Tune(ReadOnlySpan<int> types, ReadOnlySpan<int> classes)
    {
        var best = double.PositiveInfinity;
        var chosen = Strength;
        var p = new double[_marginal.Length];
        foreach (var strength in Strengths)
        {
            Strength = strength;
            var bits = 0.0;
            for (var i = 0; i < types.Length; i++)
            {
                if (classes[i] < 0)
                    continue;
                Predict(types[i], p);
                bits += TaskClasses.Bits(p[classes[i]]);
            }
            if (bits > 0 && bits < best)
                (best, chosen) = (bits, strength);
        }
        Strength = chosen;
    }

    /// <param name="into">P(class | type) [classes].</param>
    public void Predict(int type, Span<double> into)
    {
        var known = _countsOf.GetValueOrDefault(type);
        var total = known?.Sum() ?? 0;
        for (var c = 0; c < into.Length; c++)
            into[c] = ((known?[c] ?? 0) + Strength * _marginal[c]) / (total + Strength);
    }
}
