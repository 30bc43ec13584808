using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>Labels that a representation should not be found to hold.</summary>
public static class ControlLabels
{
    private const long TypeStream = 0x747970;
    private const long ShuffleStream = 0x736866;

    /// <summary>
    /// Control task of Hewitt and Liang 2019: every word type has one class, drawn from the task's own distribution. What a probe makes of it is memory
    /// of word forms, not knowledge.
    /// </summary>
    public static int[] ByType(ReadOnlySpan<int> types, double[] marginal, long seed)
    {
        var classes = new int[types.Length];
        for (var i = 0; i < classes.Length; i++)
            classes[i] = OfType(types[i], marginal, seed);
        return classes;
    }

    /// <inheritdoc cref="ByType"/>
    public static int OfType(int type, double[] marginal, long seed)
    {
        var at = new CounterRandom(seed ^ TypeStream, type).NextDouble();
        var c = 0;
        for (; c < marginal.Length - 1 && (at -= marginal[c]) >= 0; c++)
        {
        }
        return c;
    }

    /// <summary>The same classes in another order: no word's own.</summary>
    public static int[] Shuffled(ReadOnlySpan<int> classes, long seed, long stream)
    {
        var shuffled = classes.ToArray();
        Shuffle(shuffled, seed, stream);
        return shuffled;
    }

    /// <inheritdoc cref="Shuffled"/>
    public static void Shuffle(Span<int> classes, long seed, long stream) => new CounterRandom(seed ^ ShuffleStream, stream).Shuffle(classes);
}
