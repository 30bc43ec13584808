using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Controls;

/// <summary>The null: the labels of each task dealt out anew over its labelled words. Whatever is established on these is an artefact.</summary>
public static class ShuffledLabels
{
    public static LabelledWords Of(LabelledWords words, int seed)
    {
        var tasks = new List<TaskLabels>();
        foreach (var task in words.Tasks)
        {
            var at = new List<int>();
            for (var word = 0; word < task.Of.Length; word++)
                if (task.Of[word] >= 0)
                    at.Add(word);
            var labels = at.Select(word => task.Of[word]).ToArray();
            new CounterRandom(seed, tasks.Count).Shuffle<int>(labels);
            var shuffled = task.Of.ToArray();
            for (var n = 0; n < labels.Length; n++)
                shuffled[at[n]] = labels[n];
            tasks.Add(task with { Of = shuffled });
        }
        return words with { Tasks = tasks };
    }
}
