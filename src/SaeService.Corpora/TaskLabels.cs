using SaeService.Columns;

namespace SaeService.Corpora;

/// <summary>Names numbered in the order they come.</summary>
internal sealed class Names
{
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly List<string> names = [];

    public int Count => names.Count;

    public int IdOf(string name)
    {
        if (!ids.TryGetValue(name, out var id))
        {
            ids[name] = id = names.Count;
            names.Add(name);
        }
        return id;
    }

    public string NameOf(int id) => names[id];

    public string[] ToArray() => [.. names];
}

/// <summary>Gathers the labels of kept words, by task.</summary>
internal sealed class TaskLabels(IReadOnlyList<string>? asked, ScratchSpace scratch)
{
    /// <summary>A task with more labels is a dictionary, not a label set; no probe could be fitted.</summary>
    public const int MaxLabels = 4096;

    private readonly List<(string Name, Names Names, ColumnList<int> Column)> tasks = [.. (asked ?? []).Distinct().Select(t => (t, new Names(), new ColumnList<int>(scratch)))];
    private int words;

    /// <summary>The sentence's column for each task; null where it has none.</summary>
    public string?[]?[] ColumnsOf(Sentence sentence)
    {
        if (asked is null)
            foreach (var task in sentence.Labels.Keys)
                if (!tasks.Exists(t => t.Name == task))
                    tasks.Add((task, new(), Unlabelled()));
        return [.. tasks.Select(t => sentence.Labels.GetValueOrDefault(t.Name))];
    }

    /// <summary>Of a task that the words so far do not have.</summary>
    private ColumnList<int> Unlabelled()
    {
        var column = new ColumnList<int>(scratch);
        for (var w = 0; w < words; w++)
            column.Add(-1);
        return column;
    }

    public void Add(string?[]?[] columns, int position)
    {
        words++;
        for (var t = 0; t < tasks.Count; t++)
        {
            tasks[t].Column.Add(columns[t]?[position] is { } label ? tasks[t].Names.IdOf(label) : -1);
            if (tasks[t].Names.Count > MaxLabels)
                throw new CorpusException($"task '{tasks[t].Name}' has over {MaxLabels} different labels");
        }
    }

    /// <summary>Tasks in the order asked (or met), labels renumbered in ordinal order.</summary>
    /// <param name="counted">A task that only all the words together give, unless the data have it: its labels.</param>
    /// <exception cref="CorpusException">An asked task has no label, or there is none at all where any was to be taken.</exception>
    public List<PackedTask> Finish((string Task, Func<int, string> LabelOf)? counted = null)
    {
        var packed = new List<PackedTask>();
        foreach (var (name, names, column) in tasks)
        {
            if (names.Count == 0 && name == counted?.Task)
                for (var w = 0; w < column.Count; w++)
                    column[w] = names.IdOf(counted.Value.LabelOf(w));
            if (names.Count == 0 && asked is not null)
                throw new CorpusException($"no word has a label of task '{name}'");
            if (names.Count == 0)
                continue;
            var byId = names.ToArray();
            var sorted = byId.Order(StringComparer.Ordinal).ToArray();
            var rank = Array.ConvertAll(byId, label => Array.BinarySearch(sorted, label, StringComparer.Ordinal));
            for (var w = 0; w < column.Count; w++)
                column[w] = column[w] < 0 ? -1 : rank[column[w]];
            packed.Add(new(name, sorted, column.Complete()));
        }
        return packed.Count > 0 || asked is { Count: 0 } ? packed : throw new CorpusException("no word has a label of any task");
    }
}
