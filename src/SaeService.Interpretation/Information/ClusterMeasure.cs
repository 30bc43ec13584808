using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Information;

/// <summary>
/// k-means clusters of a layer's vectors against labels and against word forms (method 1d, 4). One clustering serves all tasks; its words are drawn once for
/// all layers, so that N and k are the same everywhere.
/// </summary>
public sealed class ClusterMeasure
{
    public const string Method = "kmeans-plugin";

    /// <summary>Beyond sqrt(N) clusters nearly all of the plug-in estimate is bias.</summary>
    private const int MostClusters = 200;

    /// <summary>Word forms compared: the most frequent, as long as each occurs so often that a cluster can know it.</summary>
    private const int MostForms = 1000;
    private const int LeastOccurrences = 5;
    private const long Stream = 0x636C7573746572;

    private readonly int[] _words;
    private readonly int[] _cluster;
    private readonly InformationRules _rules;

    /// <param name="words">Drawn from all parts, without regard to labels: at most <see cref="InformationRules.MaxTrainWords"/>.</param>
    /// <exception cref="InvalidDataException">A vector holds a number that is not finite.</exception>
    public ClusterMeasure(LabelledWords words, int dimension, GatherVectors gather, InformationRules rules, CancellationToken cancel = default)
    {
        _rules = rules;
        _words = CounterRandom.Sample(Enumerable.Range(0, words.Count), rules.MaxTrainWords, rules.Seed ^ Stream);
        K = Math.Clamp((int)Math.Sqrt(_words.Length), 1, MostClusters);
        _cluster = KMeans.Clusters(new ProbeInput(dimension, gather).Design(_words, rules.Threads, cancel), K, rules.Seed);
        Forms = words.Type;
    }

    public int K { get; }
    private Column<int> Forms { get; }

    /// <summary>Against a task's labels; null where no word has one.</summary>
    public ClusterInformation? Labels(TaskLabels task) => Against(Array.ConvertAll(_words, word => task.Of[word]));

    /// <summary>Against the frequent word forms; null where none is frequent.</summary>
    public ClusterInformation? WordForms()
    {
        var frequent = _words.GroupBy(word => Forms[word]).Where(g => g.Count() >= LeastOccurrences)
            .OrderByDescending(g => g.Count()).ThenBy(g => g.Key).Take(MostForms).Select((g, i) => (g.Key, i)).ToDictionary(p => p.Key, p => p.i);
        return Against(Array.ConvertAll(_words, word => frequent.GetValueOrDefault(Forms[word], -1)));
    }

    /// <param name="labels">Of each word; -1: left out.</param>
    private ClusterInformation? Against(int[] labels)
    {
        int[] cluster = [.. _cluster.Where((_, i) => labels[i] >= 0)], kept = [.. labels.Where(label => label >= 0)];
        if (kept.Length == 0)
            return null;
        var classes = new TaskClasses(kept, kept.Max() + 1);
        kept = Array.ConvertAll(kept, classes.Of);
        int[] table = Table(kept), ofCluster = new int[K];
        foreach (var c in cluster)
            ofCluster[c]++;
        return new(Method, kept.Length, K, classes.Count, DiscreteInformation.EntropyBits(classes.Counts),
            DiscreteInformation.MutualInformationBits(table, K, classes.Count),
            DiscreteInformation.MutualInformationBits(Table(ControlLabels.Shuffled(kept, _rules.Seed, 3)), K, classes.Count),
            DiscreteInformation.ExpectedMutualInformationBits(ofCluster, classes.Counts),
            DiscreteInformation.AdjustedMutualInformation(table, K, classes.Count));

        int[] Table(int[] of)
        {
            var counts = new int[checked(K * classes.Count)];
            for (var i = 0; i < of.Length; i++)
                counts[cluster[i] * classes.Count + of[i]]++;
            return counts;
        }
    }
}
