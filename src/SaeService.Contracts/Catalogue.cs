namespace SaeService.Contracts;

/// <summary>A labelled data set as the service understood it.</summary>
public sealed record Dataset
{
    public required string Id { get; init; }
    public string Object { get; init; } = "dataset";

    /// <summary><c>upload</c>, <c>folder</c>, <c>catalogue</c> or <c>hub</c>.</summary>
    public required string Source { get; init; }

    /// <summary><c>conllu</c>, <c>conll</c>, <c>jsonl</c>, <c>json</c>, <c>parquet</c> or <c>text</c> (without labels); absent where it has not been fetched.</summary>
    public string? Format { get; init; }

    /// <summary>False: it is not here yet; the first job that names it fetches it, and only then it is counted.</summary>
    public bool Fetched { get; init; } = true;
    public string? Title { get; init; }

    /// <summary>As its source declares it.</summary>
    public string? Licence { get; init; }

    /// <summary>What a job with it is pinned to.</summary>
    public string? Revision { get; init; }

    /// <summary>Tasks that the catalogue promises; jobs are checked against them while it has not been fetched.</summary>
    public IReadOnlyList<string>? DeclaredTasks { get; init; }
    public required IReadOnlyList<string> Splits { get; init; }
    public DateTimeOffset? CreatedAt { get; init; }
    public long Bytes { get; init; }
    public string? Sha256 { get; init; }
    public int Documents { get; init; }
    public int Sentences { get; init; }
    public int Words { get; init; }

    /// <summary>What a job gets where it names no tasks: those of <c>pos</c>, <c>dep</c> and <c>ner</c> that are here, else all of these.</summary>
    public IReadOnlyList<TaskStatistics> Tasks { get; init; } = [];

    /// <summary>Other columns that a job can name as tasks.</summary>
    public IReadOnlyList<AvailableTask> FurtherTasks { get; init; } = [];

    /// <summary>Labels of different tasks that stand on nearly the same words.</summary>
    public IReadOnlyList<LabelAlias> Aliases { get; init; } = [];
    public IReadOnlyList<string> Warnings { get; init; } = [];
}

/// <param name="EntropyBits">H(Y) of the label distribution, bits.</param>
/// <param name="Majority">Share of the most common label.</param>
/// <param name="TypeBaselineAccuracy">Accuracy of tagging each word form with its most common label, 80/20 by document.</param>
/// <param name="AmbiguousTypeShare">Share of words whose form is frequent (20 or more) and has no label with at least 90 % of its occurrences.</param>
public sealed record TaskStatistics(string Task, int Labelled, IReadOnlyDictionary<string, int> Labels, double EntropyBits, double Majority,
    double TypeBaselineAccuracy, double AmbiguousTypeShare);

/// <param name="Task">As a job names it: <c>xpos</c>, <c>feats:Number</c>, <c>misc:Role</c>, <c>dep:full</c>, <c>ner:bio</c>, <c>column:3</c>, a column's name.</param>
/// <param name="Labelled">Words with a label; the others are left out of the task.</param>
/// <param name="Labels">Different labels, 2 to 4096.</param>
/// <param name="BuiltIn">A control made of the words themselves, as every data set has it: <c>position</c>, <c>frequency</c>, <c>word-length</c>,
/// <c>capital</c>, <c>sentence-final</c>.</param>
public sealed record AvailableTask(string Task, int Labelled, int Labels, bool BuiltIn);

/// <param name="Jaccard">Overlap of the sets of words that carry the two labels.</param>
public sealed record LabelAlias(string Left, string Right, double Jaccard);

/// <summary>A model that can be named in a job.</summary>
public sealed record Model
{
    public required string Id { get; init; }
    public string Object { get; init; } = "model";

    /// <summary><c>folder</c> or <c>hub</c>.</summary>
    public string Source { get; init; } = "folder";

    /// <summary>Of a model of the hub: the commit that the revision stands for.</summary>
    public string? Revision { get; init; }

    /// <summary>Of a model of the hub: as its card says.</summary>
    public string? Licence { get; init; }
    public required string Family { get; init; }
    public required int Layers { get; init; }
    public required int DModel { get; init; }
    public required int VocabularySize { get; init; }
    public required int ContextLength { get; init; }
    public required long Parameters { get; init; }

    /// <summary>Of the parameters as they are stored; null where that is not known.</summary>
    public long? WeightBytes { get; init; }

    /// <summary>False where a job with it would be refused; <see cref="Problem"/> says why.</summary>
    public required bool Usable { get; init; }
    public string? Problem { get; init; }
}

/// <summary>Asks whether a job could use a model.</summary>
/// <param name="Id">As in <see cref="ModelReference.Id"/>.</param>
/// <param name="Revision">As in <see cref="ModelReference.Revision"/>.</param>
public sealed record ModelRequest(string Id, string? Revision = null);
