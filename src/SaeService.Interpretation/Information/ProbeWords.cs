using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>Writes the vectors of <paramref name="words"/> (indices into <see cref="LabelledWords"/>, ascending) into [words, dimension], row-major.</summary>
public delegate void GatherVectors(ReadOnlySpan<int> words, Span<float> into);

/// <summary>
/// The words a task's probes are fitted on, tuned on and scored on, ascending: those with a label. The draw depends on words and seed only, so every layer sees
/// the same words, and tasks share as many as they can.
/// </summary>
public sealed record ProbeWords(int[] Train, int[] Dev, int[] Test)
{
    private const long Stream = 0x70726F6265;

    /// <param name="max">Cap on train words, and on dev words. Test words are all kept.</param>
    public static ProbeWords Choose(LabelledWords words, TaskLabels task, int max, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(max, 1);
        return new(Draw(Part.Train, max), Draw(Part.Dev, max), Draw(Part.Test, int.MaxValue));

        int[] Draw(Part part, int cap) => CounterRandom.Sample(
            [.. Enumerable.Range(0, words.Count).Where(word => task.Of[word] >= 0 && words.PartOf(word) == part)], cap, seed ^ Stream);
    }
}

/// <summary>A task that cannot be measured on these words; the message says why.</summary>
public sealed class UnmeasurableTaskException(string message) : Exception(message);
