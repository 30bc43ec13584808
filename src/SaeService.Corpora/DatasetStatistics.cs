using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace SaeService.Corpora;

/// <summary>The label distribution of a task, and how far a table of word types alone gets.</summary>
public sealed record TaskSummary
{
    public required string Task { get; init; }

    /// <summary>Words with a label.</summary>
    public required int Labelled { get; init; }

    /// <summary>Words by label, most common first.</summary>
    public required IReadOnlyDictionary<string, int> Labels { get; init; }

    /// <summary>H(Y) of the label distribution, bits.</summary>
    public required double EntropyBits { get; init; }

    /// <summary>Share of the most common label.</summary>
    public required double Majority { get; init; }

    /// <summary>Accuracy on about a fifth of the documents of tagging each lower-cased form with its most common label in the others.</summary>
    public required double TypeBaselineAccuracy { get; init; }

    /// <summary>Share of labelled words whose type occurs at least 20 times and has no label with at least 90 % of its occurrences.</summary>
    public required double AmbiguousTypeShare { get; init; }
}

/// <summary>A column that can be asked for as a task, and is not one by default.</summary>
/// <param name="Labelled">Words with a label.</param>
/// <param name="Labels">Different ones: at least 2, at most 4096.</param>
/// <param name="BuiltIn">Made of the words themselves, as every data set has it.</param>
public sealed record FurtherTask(string Task, int Labelled, int Labels, bool BuiltIn);

/// <summary>Labels of two tasks that stand on nearly the same words, written <c>task:label</c>.</summary>
/// <param name="Jaccard">|both| / |either|, words.</param>
public sealed record AliasPair(string Left, string Right, double Jaccard);

/// <summary>
/// What a data set holds (method 7), computed in one pass; memory grows with the number of word types, documents and sentences, not of words, and
/// is bounded.
/// </summary>
public sealed record DatasetStatistics
{
    public const int ScoredLabelWords = 50;
    private const int FrequentType = 20;
    private const double ClearShare = 0.9, AliasJaccard = 0.8;
    private const int MinAliasWords = 10, MaxLabelPairs = 1 << 20, MaxFurther = 256, MaxTypes = 5_000_000, MaxSentenceIds = 10_000_000;

    public required int Documents { get; init; }
    public required int Sentences { get; init; }
    public required int Words { get; init; }

    /// <summary>Tasks with at least one label, in the order met.</summary>
    public required IReadOnlyList<TaskSummary> Tasks { get; init; }

    /// <summary>What else can be asked for, by name; only of sentences read with <see cref="ReadSettings.Further"/>.</summary>
    public required IReadOnlyList<FurtherTask> Further { get; init; }

    /// <summary>Pairs of labels of different tasks with a Jaccard index of at least 0.8 on at least 10 common words.</summary>
    public required IReadOnlyList<AliasPair> Aliases { get; init; }
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <param name="seed">Of the 80/20 split for the type baseline: by document, or by sentence where fewer than 10 documents.</param>
    /// <param name="asked">The tasks that were asked of the reader, if any were: of them, the frequency of words is counted here.</param>
    /// <exception cref="CorpusException">Anything wrong in a file, or more different words than any language has.</exception>
    public static DatasetStatistics Compute(IEnumerable<Sentence> sentences, int seed = 0, CancellationToken cancellation = default, IReadOnlyList<string>? asked = null)
    {
        var counting = new Counting(asked?.Contains(BuiltInTasks.Frequency) == true);
        foreach (var sentence in sentences)
        {
            cancellation.ThrowIfCancellationRequested();
            counting.Add(sentence, seed);
        }
        return counting.Finish();
    }

    /// <summary>Occurrences of one label on one word type: all, and those held out if whole documents are, or if sentences are.</summary>
    private record struct Occurrences(int All, int HeldByDocument, int HeldBySentence);

    private sealed class TaskCount(string name)
    {
        public string Name { get; } = name;
        public Names Labels { get; } = new();
        public Dictionary<(int Type, int Label), Occurrences> ByType { get; } = [];
        public bool TooMany => Labels.Count > TaskLabels.MaxLabels;
    }

    private sealed class FurtherCount
    {
        public HashSet<string> Labels { get; } = new(StringComparer.Ordinal);
        public int Labelled { get; private set; }

        public void Add(string?[] column)
        {
            foreach (var label in column)
                if (label is not null)
                {
                    Labelled++;
                    if (Labels.Count <= TaskLabels.MaxLabels)
                        Labels.Add(label);
                }
        }
    }

    private sealed class Counting(bool frequency)
    {
        private readonly Names types = new();
        private readonly Dictionary<string, bool> documents = new(StringComparer.Ordinal); // id -> held out
        private readonly HashSet<UInt128> sentenceIds = [];
        private readonly List<TaskCount> tasks = [];
        private readonly Dictionary<string, FurtherCount> further = new(StringComparer.Ordinal);
        private readonly List<Occurrences> byType = []; // of each word type
        private readonly Dictionary<(int LeftTask, int Left, int RightTask, int Right), int> together = [];
        private int sentences, words, wordsHeld, reconstructed, shared, repeatedIds;

        public void Add(Sentence sentence, int seed)
        {
            if (!documents.TryGetValue(sentence.Document, out var documentHeld))
                documents[sentence.Document] = documentHeld = HeldOut(seed, sentence.Document);
            var key = DocumentSplit.Key(seed, sentence.Id);
            var sentenceHeld = HeldOut(key);
            if (sentenceIds.Count < MaxSentenceIds && !sentenceIds.Add(BinaryPrimitives.ReadUInt128LittleEndian(key)))
                repeatedIds++;
            sentences++;
            words = checked(words + sentence.Words.Length);
            wordsHeld += documentHeld ? sentence.Words.Length : 0;
            reconstructed += sentence.TextReconstructed ? 1 : 0;

            var columns = new List<(int Task, string?[] Column)>();
            foreach (var (name, column) in sentence.Labels)
            {
                var task = tasks.FindIndex(t => t.Name == name);
                if (task < 0)
                {
                    task = tasks.Count;
                    tasks.Add(new(name));
                }
                if (!tasks[task].TooMany)
                    columns.Add((task, column));
            }
            columns.Sort((a, b) => a.Task.CompareTo(b.Task));

            var labels = new int[columns.Count];
            for (var w = 0; w < sentence.Words.Length; w++)
            {
                shared += sentence.Words[w].SharesSurface ? 1 : 0;
                var type = types.IdOf(sentence.Words[w].Form.ToLowerInvariant());
                if (type == byType.Count)
                    byType.Add(default);
                if (type >= MaxTypes)
                    throw new CorpusException($"over {MaxTypes} different words: no labelled text");
                Count(ref CollectionsMarshal.AsSpan(byType)[type], documentHeld, sentenceHeld);
                for (var c = 0; c < labels.Length; c++)
                {
                    var task = tasks[columns[c].Task];
                    labels[c] = columns[c].Column[w] is { } label ? task.Labels.IdOf(label) : -1;
                    if (labels[c] < 0)
                        continue;
                    ref var seen = ref CollectionsMarshal.GetValueRefOrAddDefault(task.ByType, (type, labels[c]), out _);
                    Count(ref seen, documentHeld, sentenceHeld);
                    for (var other = 0; other < c; other++)
                        if (labels[other] >= 0 && together.Count < MaxLabelPairs)
                            CollectionsMarshal.GetValueRefOrAddDefault(together,
                                (columns[other].Task, labels[other], columns[c].Task, labels[c]), out _)++;
                }
            }
            foreach (var (name, column) in sentence.Further)
            {
                if (!further.TryGetValue(name, out var count) && further.Count < MaxFurther)
                    further[name] = count = new();
                count?.Add(column);
            }
        }

        private static void Count(ref Occurrences seen, bool documentHeld, bool sentenceHeld) =>
            seen = new(seen.All + 1, seen.HeldByDocument + (documentHeld ? 1 : 0), seen.HeldBySentence + (sentenceHeld ? 1 : 0));

        /// <summary>Word types by how often they occur, as labels.</summary>
        private TaskCount Frequency()
        {
            var task = new TaskCount(BuiltInTasks.Frequency);
            for (var type = 0; type < byType.Count; type++)
                task.ByType[(type, task.Labels.IdOf(BuiltInTasks.LogBin(byType[type].All)))] = byType[type];
            return task;
        }

        private List<FurtherTask> Further()
        {
            var usable = further.Where(f => f.Value.Labels.Count is >= 2 and <= TaskLabels.MaxLabels && f.Value.Labelled > 0)
                .Select(f => new FurtherTask(f.Key, f.Value.Labelled, f.Value.Labels.Count, BuiltInTasks.OfSentence.Contains(f.Key)));
            var frequencies = byType.Select(t => BuiltInTasks.LogBin(t.All)).Distinct().Count();
            if (further.Count > 0 && !further.ContainsKey(BuiltInTasks.Frequency) && !tasks.Exists(t => t.Name == BuiltInTasks.Frequency) && frequencies >= 2)
                usable = usable.Append(new(BuiltInTasks.Frequency, words, frequencies, BuiltIn: true));
            return [.. usable.OrderBy(t => t.BuiltIn).ThenBy(t => t.Task, StringComparer.Ordinal)];
        }

        public DatasetStatistics Finish()
        {
            var warnings = new List<string>();
            if (frequency && !tasks.Exists(t => t.Name == BuiltInTasks.Frequency))
                tasks.Add(Frequency());
            var heldShare = words == 0 ? 0 : (double)wordsHeld / words;
            var byDocument = documents.Count >= DocumentSplit.MinDocuments && heldShare is >= 0.1 and <= 0.4;
            if (documents.Count < DocumentSplit.MinDocuments)
                warnings.Add($"{documents.Count} document{(documents.Count == 1 ? "" : "s")}: sentences are parted instead of documents, which is more lenient");
            if (reconstructed > 0)
                warnings.Add($"{reconstructed} of {sentences} sentences have no raw text, or one that their words do not spell; words are joined by spaces");
            if (shared > 0)
                warnings.Add($"{shared} words are parts of multi-word tokens whose parts do not spell the surface; they are dropped");
            if (together.Count == MaxLabelPairs)
                warnings.Add("there are too many pairs of labels to look for aliases among all of them");
            if (further.Count == MaxFurther)
                warnings.Add($"only the first {MaxFurther} further columns are listed");
            if (repeatedIds > 0)
                warnings.Add($"{repeatedIds} sentences repeat the identifier of another");
            var summaries = new List<TaskSummary>();
            var totals = tasks.ConvertAll(Totals);
            for (var t = 0; t < tasks.Count; t++)
            {
                if (tasks[t].TooMany)
                    warnings.Add($"task '{tasks[t].Name}' has over {TaskLabels.MaxLabels} different labels and cannot be used");
                else if (tasks[t].Labels.Count > 0)
                    summaries.Add(Summarise(tasks[t], totals[t], byDocument, warnings));
            }
            return new DatasetStatistics
            {
                Documents = documents.Count,
                Sentences = sentences,
                Words = words,
                Tasks = summaries,
                Further = Further(),
                Aliases = Aliases(totals),
                Warnings = warnings,
            };
        }

        private static int[] Totals(TaskCount task)
        {
            var totals = new int[task.Labels.Count];
            foreach (var ((_, label), seen) in task.ByType)
                totals[label] += seen.All;
            return totals;
        }

        private TaskSummary Summarise(TaskCount task, int[] totals, bool byDocument, List<string> warnings)
        {
            var names = task.Labels.ToArray();
            var labelled = totals.Sum();
            var shares = totals.Select(n => (double)n / labelled).ToArray();
            var rare = names.Where((_, i) => totals[i] < ScoredLabelWords).Order(StringComparer.Ordinal).ToArray();
            if (rare.Length > 0)
                warnings.Add($"task '{task.Name}': {rare.Length} {(rare.Length == 1 ? "label" : "labels")} on fewer than {ScoredLabelWords} words {(rare.Length == 1 ? "is" : "are")} not scored: "
                    + $"{string.Join(", ", rare.Take(10))}{(rare.Length > 10 ? ", ..." : "")}");
            if (labelled < words)
                warnings.Add($"task '{task.Name}': {words - labelled} of {words} words are not labelled");
            return new TaskSummary
            {
                Task = task.Name,
                Labelled = labelled,
                Labels = names.Select((name, i) => (name, totals[i])).OrderByDescending(p => p.Item2).ThenBy(p => p.name, StringComparer.Ordinal)
                    .ToDictionary(p => p.name, p => p.Item2),
                EntropyBits = -shares.Sum(p => p * Math.Log2(p)),
                Majority = shares.Max(),
                TypeBaselineAccuracy = TypeBaseline(task, names, byDocument),
                AmbiguousTypeShare = AmbiguousShare(task, labelled),
            };
        }

        /// <summary>Ties go to the label that is first in ordinal order; unseen types get the most common label.</summary>
        private static double TypeBaseline(TaskCount task, string[] names, bool byDocument)
        {
            var best = new Dictionary<int, (int Count, int Label)>();
            var training = new int[names.Length];
            bool Better(int count, int label, (int Count, int Label) than) =>
                count > than.Count || (count == than.Count && string.CompareOrdinal(names[label], names[than.Label]) < 0);

            foreach (var ((type, label), seen) in task.ByType)
            {
                var count = seen.All - Held(seen, byDocument);
                training[label] += count;
                if (count > 0 && (!best.TryGetValue(type, out var than) || Better(count, label, than)))
                    best[type] = (count, label);
            }
            var majority = 0;
            for (var label = 1; label < names.Length; label++)
                if (Better(training[label], label, (training[majority], majority)))
                    majority = label;

            var (right, held) = (0L, 0L);
            foreach (var ((type, label), seen) in task.ByType)
            {
                held += Held(seen, byDocument);
                if ((best.TryGetValue(type, out var tagged) ? tagged.Label : majority) == label)
                    right += Held(seen, byDocument);
            }
            return held == 0 ? 0 : (double)right / held;
        }

        private static int Held(Occurrences seen, bool byDocument) => byDocument ? seen.HeldByDocument : seen.HeldBySentence;

        private static double AmbiguousShare(TaskCount task, int labelled)
        {
            var byType = new Dictionary<int, (long All, long Most)>();
            foreach (var ((type, _), seen) in task.ByType)
            {
                var (all, most) = byType.GetValueOrDefault(type);
                byType[type] = (all + seen.All, Math.Max(most, seen.All));
            }
            return (double)byType.Values.Where(t => t.All >= FrequentType && t.Most < ClearShare * t.All).Sum(t => t.All) / labelled;
        }

        private List<AliasPair> Aliases(List<int[]> totals)
        {
            var pairs = new List<AliasPair>();
            foreach (var ((leftTask, left, rightTask, right), both) in together)
            {
                if (both < MinAliasWords || Family(tasks[leftTask].Name) == Family(tasks[rightTask].Name))
                    continue;
                var jaccard = (double)both / (totals[leftTask][left] + totals[rightTask][right] - both);
                if (jaccard >= AliasJaccard)
                    pairs.Add(new($"{tasks[leftTask].Name}:{tasks[leftTask].Labels.NameOf(left)}",
                        $"{tasks[rightTask].Name}:{tasks[rightTask].Labels.NameOf(right)}", jaccard));
            }
            return [.. pairs.OrderByDescending(p => p.Jaccard).ThenBy(p => p.Left, StringComparer.Ordinal).ThenBy(p => p.Right, StringComparer.Ordinal)];
        }

        /// <summary>dep and dep:full, ner and ner:bio are one annotation: that they agree tells nothing.</summary>
        private static string Family(string task) => task[(task.IndexOf(':') + 1)..] is "full" or "bio" or "boundary" ? task[..task.IndexOf(':')] : task;

        private static bool HeldOut(int seed, string id) => HeldOut(DocumentSplit.Key(seed, id));

        private static bool HeldOut(byte[] key) => BinaryPrimitives.ReadUInt32BigEndian(key) < uint.MaxValue / 5;
    }
}
