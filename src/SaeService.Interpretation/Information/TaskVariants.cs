using SaeService.Columns;

namespace SaeService.Interpretation.Information;

/// <summary>The same task asked another way.</summary>
public static class TaskVariants
{
    private const string Outside = "O";

    /// <summary>The task over the words that do not carry <c>O</c>; null where it has no such label.</summary>
    /// <param name="scratch">Where the labels lie; default: in memory.</param>
    public static TaskLabels? WithoutO(TaskLabels task, ScratchSpace? scratch = null)
    {
        var outside = Array.IndexOf(task.Names, Outside);
        return outside < 0 ? null : task with
        {
            Of = (scratch ?? ScratchSpace.Heap).New(task.Of.Length, word => task.Of[word] == outside ? -1 : task.Of[word]),
        };
    }

    /// <summary>Each word is given the label of the word after it.</summary>
    /// <param name="follows">Whether word w + 1 is the next word of the same text; where it is not, w has no label.</param>
    public static TaskLabels NextWord(TaskLabels task, LabelledWords words, Func<int, bool> follows, ScratchSpace? scratch = null)
    {
        var of = (scratch ?? ScratchSpace.Heap).New<int>(task.Of.Length);
        for (var word = 0; word < of.Length; word++)
            of[word] = word + 1 < of.Length && words.Document[word] == words.Document[word + 1] && follows(word) ? task.Of[word + 1] : -1;
        return task with { Of = of };
    }
}
