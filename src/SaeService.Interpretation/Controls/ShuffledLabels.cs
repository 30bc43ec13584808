using SaeService.Columns;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Controls;

/// <summary>The null: the labels of each task dealt out anew over its labelled words. Whatever is established on these is an artefact.</summary>
public static class ShuffledLabels
{
    /// <param name="scratch">Where the labels lie; default: in memory.</param>
    public static LabelledWords Of(LabelledWords words, int seed, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        var tasks = new List<TaskLabels>();
        foreach (var task in words.Tasks)
        {
            using var inner = scratch.Inner();
            var labels = new ColumnList<int>(inner);
            foreach (var label in task.Of)
                if (label >= 0)
                    labels.Add(label);
            new CounterRandom(seed, tasks.Count).Shuffle(labels.Span);
            var next = 0;
            var shuffled = scratch.New(task.Of.Length, word => task.Of[word] < 0 ? -1 : labels[next++]);
            tasks.Add(task with { Of = shuffled });
        }
        return words with { Tasks = tasks };
    }
}
