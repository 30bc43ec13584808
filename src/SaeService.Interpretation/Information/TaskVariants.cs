namespace SaeService.Interpretation.Information;

/// <summary>The same task asked another way.</summary>
public static class TaskVariants
{
    private const string Outside = "O";

    /// <summary>The task over the words that do not carry <c>O</c>; null where it has no such label.</summary>
    public static TaskLabels? WithoutO(TaskLabels task)
    {
        var outside = Array.IndexOf(task.Names, Outside);
        return outside < 0 ? null : task with { Of = Array.ConvertAll(task.Of, label => label == outside ? -1 : label) };
    }

    /// <summary>Each word is given the label of the word after it.</summary>
    /// <param name="follows">Whether word w + 1 is the next word of the same text; where it is not, w has no label.</param>
    public static TaskLabels NextWord(TaskLabels task, LabelledWords words, Func<int, bool> follows)
    {
        var of = new int[task.Of.Length];
        for (var word = 0; word < of.Length; word++)
            of[word] = word + 1 < of.Length && words.Document[word] == words.Document[word + 1] && follows(word) ? task.Of[word + 1] : -1;
        return task with { Of = of };
    }
}
