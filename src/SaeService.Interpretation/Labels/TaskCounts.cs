namespace SaeService.Interpretation.Labels;

/// <summary>What is known of a task's labels before any feature is looked at: margins by part, and labels by word type on train.</summary>
internal sealed class TaskCounts
{
    private readonly int[] _ofType;                          // [types], train
    private readonly Dictionary<long, int> _ofTypeAndLabel = []; // type * K + label, train

    public TaskCounts(LabelledWords words, TaskLabels labels)
    {
        Labels = labels;
        Train = new int[labels.Names.Length];
        HeldOut = new int[labels.Names.Length];
        var types = 0;
        foreach (var type in words.Type)
            types = Math.Max(types, type + 1);
        _ofType = new int[types];
        for (var word = 0; word < words.Count; word++)
        {
            var label = labels.Of[word];
            if (label < 0)
                continue;
            if (words.PartOf(word) != Part.Train)
            {
                HeldOut[label]++;
                continue;
            }
            Train[label]++;
            _ofType[words.Type[word]]++;
            var key = (long)words.Type[word] * labels.Names.Length + label;
            _ofTypeAndLabel[key] = _ofTypeAndLabel.GetValueOrDefault(key) + 1;
        }
        TrainTotal = Train.Sum();
        HeldOutTotal = HeldOut.Sum();
    }

    public TaskLabels Labels { get; }
    public int[] Train { get; }   // [K]
    public int[] HeldOut { get; } // [K]
    public int TrainTotal { get; }
    public int HeldOutTotal { get; }
    public int Count => Labels.Names.Length;

    /// <summary>
    /// 1[label] - P(label | word type), the share taken from train documents: no smoothing, because pulling rare types towards the base rate
    /// would make every detector of rare words look contextual. Unbiased where occurrences of a type are exchangeable. 0 for types that train
    /// does not have: they are no evidence either way.
    /// </summary>
    public double ContextGain(int type, int label, bool carries)
    {
        var seen = _ofType[type];
        return seen == 0 ? 0 : (carries ? 1 : 0) - (double)_ofTypeAndLabel.GetValueOrDefault((long)type * Count + label) / seen;
    }
}
