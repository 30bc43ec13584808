namespace SaeService.Corpora;

/// <summary>
/// From the columns of one sentence, as its file has them, to the labels of the tasks asked for. The one place where a relation is cut to its
/// basic form and chunk tags become entity types.
/// </summary>
/// <param name="defaults">The format's own tasks, there for every sentence where none are asked for.</param>
internal sealed class LabelColumns(ReadSettings settings, IReadOnlyList<string> defaults)
{
    /// <summary>Labels repeat by the million: one string each. Bounded, because a column of free text may be asked for.</summary>
    private const int PoolCapacity = 1 << 16;

    private readonly HashSet<string> pool = new(StringComparer.Ordinal);
    private readonly HashSet<string>? asked = settings.Tasks is null ? null : new(settings.Tasks, StringComparer.Ordinal);
    private Dictionary<string, string?[]> labels = [], further = [];

    /// <summary>Whether a column of this task would be kept.</summary>
    /// <param name="standard">Whether the format has it without being asked.</param>
    public bool Wants(string task, bool standard) => settings.Further || Requires(task, standard);

    /// <summary>Whether it would be kept among the labels, so that anything wrong in it must be said.</summary>
    public bool Requires(string task, bool standard) => asked?.Contains(task) ?? standard;

    /// <summary>The same for any of the tasks that are made of one column of chunk tags, or of relations.</summary>
    public bool RequiresAny(string task, bool standard) =>
        Requires(task, standard) || Requires(task + ":full", false) || Requires(task + ":bio", false) || Requires(task + ":boundary", false);

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
    public void Add(string task, string?[] column, bool standard)
    {
        if (Requires(task, standard))
            labels[task] = column;
        else if (settings.Further)
            further[task] = column;
    }

    /// <summary>Universal dependency relations: <c>dep:full</c> as they are, <c>dep</c> up to the first colon.</summary>
    public void AddRelations(string?[] relations, bool standard)
    {
        if (Wants("dep", standard))
            Add("dep", Array.ConvertAll(relations, r => r?.IndexOf(':') is > 0 and var colon ? Intern(r.AsSpan(0, colon)) : r), standard);
        Add("dep:full", relations, standard: false);
    }

    /// <summary>Chunk tags of any scheme: <paramref name="task"/> the type, <c>task:bio</c> IOB2, <c>task:boundary</c> B, I or O.</summary>
    /// <returns>The index of a tag that is none, or -1; also -1 where nobody asked for them.</returns>
    public int AddChunks(string task, string?[] tags, bool standard)
    {
        var required = RequiresAny(task, standard);
        if (!required && !settings.Further)
            return -1;
        var wrong = EntityTags.ToIob2(tags);
        if (wrong >= 0)
            return required ? wrong : -1;
        if (Wants(task, standard))
            Add(task, Array.ConvertAll(tags, t => EntityTags.TypeOf(t) is { } type ? Intern(type) : null), standard);
        Add(task + ":bio", tags, standard: false);
        if (Wants(task + ":boundary", standard: false))
            Add(task + ":boundary", Array.ConvertAll(tags, t => t is null ? null : t[0] switch { 'B' => "B", 'I' => "I", _ => "O" }), standard: false);
        return -1;
    }

    /// <summary>Fields of <c>A=x|B=y</c>, one a word: <c>prefix:A</c>, <c>prefix:B</c>. A word without the key is not labelled.</summary>
    public void AddKeys(string prefix, IReadOnlyList<string?> fields)
    {
        if (!settings.Further && asked?.Any(task => task.StartsWith(prefix, StringComparison.Ordinal)) != true)
            return;
        var columns = new Dictionary<string, string?[]>(StringComparer.Ordinal);
        var lookup = columns.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var i = 0; i < fields.Count; i++)
        {
            var field = fields[i].AsSpan();
            foreach (var range in field.Split('|'))
            {
                var pair = field[range];
                if (pair.IndexOf('=') is not (> 0 and <= 60 and var equals) || equals + 1 == pair.Length)
                    continue;
                if (!lookup.TryGetValue(pair[..equals], out var column))
                    columns[pair[..equals].ToString()] = column = new string?[fields.Count];
                column[i] = Intern(pair[(equals + 1)..]);
            }
        }
        foreach (var (key, column) in columns)
            Add(prefix + key, column, standard: false);
    }

    /// <summary>The sentence's labels; an asked task that it does not have is there with nulls. Begins the next sentence.</summary>
    public (IReadOnlyDictionary<string, string?[]> Labels, IReadOnlyDictionary<string, string?[]> Further) Take(Word[] words)
    {
        foreach (var task in asked is null ? defaults : (IEnumerable<string>)asked)
            if (!labels.ContainsKey(task) && task != BuiltInTasks.Frequency)
                labels[task] = BuiltInTasks.Column(task, words) ?? new string?[words.Length];
        if (settings.Further)
            foreach (var task in BuiltInTasks.OfSentence)
                if (!labels.ContainsKey(task) && !further.ContainsKey(task))
                    further[task] = BuiltInTasks.Column(task, words)!;
        var taken = (labels, further);
        (labels, further) = ([], []);
        return taken;
    }
}
