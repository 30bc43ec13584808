namespace SaeService.Interpretation.Information;

/// <summary>The labels that train words carry, renumbered as classes 0..Count-1 in label order, with their train frequencies.</summary>
internal sealed class TaskClasses
{
    /// <summary>No code length is longer than that of this probability.</summary>
    public const double Floor = 1e-6;

    private readonly int[] _classOf;

    /// <param name="labels">Label ids of the train words.</param>
    public TaskClasses(ReadOnlySpan<int> labels, int names)
    {
        var counts = new int[names];
        foreach (var label in labels)
            counts[label]++;
        Labels = [.. Enumerable.Range(0, names).Where(label => counts[label] > 0)];
        Counts = Array.ConvertAll(Labels, label => counts[label]);
        Share = Array.ConvertAll(Counts, count => (double)count / counts.Sum());
        _classOf = new int[names];
        Array.Fill(_classOf, -1);
        for (var c = 0; c < Labels.Length; c++)
            _classOf[Labels[c]] = c;
        MostCommon = Array.IndexOf(Counts, Counts.Max());
    }

    /// <summary>Label ids, by class.</summary>
    public int[] Labels { get; }
    public int[] Counts { get; }
    public int Count => Labels.Length;
    public int MostCommon { get; }

    /// <summary>The train marginal, by class.</summary>
    public double[] Share { get; }

    /// <summary>-1 where no train word carries the label.</summary>
    public int Of(int label) => _classOf[label];

    public static double Bits(double probability) => -Math.Log2(Math.Max(probability, Floor));
}
