namespace SaeService.Interpretation.Conclusions;

/// <summary>
/// Labels of different tasks that stand on nearly the same words (PUNCT and punct, DET and det): two names of one finding. Jaccard index of the
/// sets of words, over words that both tasks label.
/// </summary>
public sealed class Aliases
{
    public const double LeastJaccard = 0.8;
    private readonly Dictionary<(string, string), List<string>> _of = [];

    public Aliases(LabelledWords words)
    {
        foreach (var a in words.Tasks)
            foreach (var b in words.Tasks)
                if (!ReferenceEquals(a, b))
                    Compare(a, b);
    }

    /// <summary>As <c>task:label</c>, in the order of the tasks and their labels.</summary>
    public IReadOnlyList<string> Of(string task, string label) => _of.TryGetValue((task, label), out var aliases) ? aliases : [];

    private void Compare(TaskLabels a, TaskLabels b)
    {
        var both = new int[a.Names.Length, b.Names.Length];
        var ofA = new int[a.Names.Length];
        var ofB = new int[b.Names.Length];
        for (var word = 0; word < a.Of.Length; word++)
        {
            if (a.Of[word] < 0 || b.Of[word] < 0)
                continue;
            both[a.Of[word], b.Of[word]]++;
            ofA[a.Of[word]]++;
            ofB[b.Of[word]]++;
        }
        for (var y = 0; y < ofA.Length; y++)
            for (var z = 0; z < ofB.Length; z++)
            {
                if (both[y, z] == 0 || both[y, z] < LeastJaccard * (ofA[y] + ofB[z] - both[y, z]) || a.Excluded.Contains(y) || b.Excluded.Contains(z))
                    continue;
                if (!_of.TryGetValue((a.Task, a.Names[y]), out var aliases))
                    _of[(a.Task, a.Names[y])] = aliases = [];
                aliases.Add($"{b.Task}:{b.Names[z]}");
            }
    }
}
