using SaeService.Columns;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>Writes the vectors of <paramref name="words"/> (indices into <see cref="LabelledWords"/>, ascending) into [words, dimension], row-major.</summary>
public delegate void GatherVectors(ReadOnlySpan<int> words, Span<float> into);

/// <summary>
/// The words a task's probes are fitted on, tuned on and scored on, ascending: those with a label. The draw depends on words and seed only, so every layer sees
/// the same words, and tasks share as many as they can.
/// </summary>
public sealed record ProbeWords(int[] Train, int[] Dev, Column<int> Test)
{
    private const long Stream = 0x70726F6265;

    /// <param name="max">Cap on train words, and on dev words. Test words are all kept.</param>
    /// <param name="scratch">Where the test words lie; default: in memory.</param>
    public static ProbeWords Choose(LabelledWords words, TaskLabels task, int max, long seed, ScratchSpace? scratch = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(max, 1);
        var test = new ColumnList<int>(scratch ?? ScratchSpace.Heap);
        foreach (var word in Labelled(Part.Test))
            test.Add(word);
        return new(Draw(Part.Train), Draw(Part.Dev), test.Complete());

        int[] Draw(Part part) => CounterRandom.Sample(Labelled(part), max, seed ^ Stream);

        IEnumerable<int> Labelled(Part part) => Enumerable.Range(0, words.Count).Where(word => task.Of[word] >= 0 && words.PartOf(word) == part);
    }
}

/// <summary>A task that cannot be measured on these words; the message says why.</summary>
public sealed class UnmeasurableTaskException(string message) : Exception(message);
