namespace SaeService.Corpora;

/// <summary>
/// From the columns of one sentence, as its file has them, to the labels of the tasks asked for. The one place where a relation is cut to its
/// basic form and chunk tags become entity types.
/// </summary>
internal sealed class LabelColumns(IReadOnlyList<string>? tasks, IReadOnlyList<string> defaults)
{
    /// <summary>Labels repeat by the million: one string each. Bounded, because a column of free text may be asked for.</summary>
    private const int PoolCapacity = 1 << 16;

    private readonly HashSet<string> pool = new(StringComparer.Ordinal);
    private readonly HashSet<string> asked = new(tasks ?? defaults, StringComparer.Ordinal);
    private Dictionary<string, string?[]> labels = [];

    public bool Wants(string task) => asked.Contains(task);

    public string Intern(ReadOnlySpan<char> label)
    {
        var lookup = pool.GetAlternateLookup<ReadOnlySpan<char>>();
        if (lookup.TryGetValue(label, out var known))
            return known;
        var made = label.ToString();
        if (pool.Count < PoolCapacity)
            pool.Add(made);
        return made;
    }

    /// <summary>Labels that need no rewriting.</summary>
    public void Add(string task, string?[] column, bool always = false)
    {
        if (always || Wants(task))
            labels[task] = column;
    }

    /// <summary>Universal dependency relations: <c>dep_full</c> as they are, <c>dep</c> up to the first colon.</summary>
    public void AddRelations(string?[] relations, bool always = false)
    {
        Add("dep_full", relations);
        if (always || Wants("dep"))
            labels["dep"] = Array.ConvertAll(relations, r => r?.IndexOf(':') is > 0 and var colon ? Intern(r.AsSpan(0, colon)) : r);
    }

    /// <summary>Chunk tags of any scheme: <paramref name="task"/> the type, <c>task_bio</c> IOB2, <c>task_boundary</c> B, I or O.</summary>
    /// <returns>The index of a tag that is none, or -1.</returns>
    public int AddChunks(string task, string?[] tags, bool always = false)
    {
        var (bio, boundary) = (task + "_bio", task + "_boundary");
        if (!always && !Wants(task) && !Wants(bio) && !Wants(boundary))
            return -1;
        var wrong = EntityTags.ToIob2(tags);
        if (wrong >= 0)
            return wrong;
        Add(bio, tags);
        if (Wants(boundary))
            labels[boundary] = Array.ConvertAll(tags, t => t is null ? null : t[0] switch { 'B' => "B", 'I' => "I", _ => "O" });
        if (always || Wants(task))
            labels[task] = Array.ConvertAll(tags, t => EntityTags.TypeOf(t) is { } type ? Intern(type) : null);
        return -1;
    }

    /// <summary>The sentence's labels; an asked task that it does not have is there with nulls. Begins the next sentence.</summary>
    public IReadOnlyDictionary<string, string?[]> Take(int words)
    {
        foreach (var task in asked)
            if (!labels.ContainsKey(task))
                labels[task] = new string?[words];
        var taken = labels;
        labels = [];
        return taken;
    }
}
