using SaeService.Columns;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>What is known of a task's labels before any feature is looked at: margins by part, and labels by word type on train.</summary>
internal sealed class TaskCounts
{
    private readonly Column<double> _expectedMiBits;         // [held-out words + 1] by words fired on; NaN until asked for
    private readonly int[] _ofType;                          // [types], train
    private readonly int[] _first;                           // [types + 1] into the labels that each type carries on train: most types few
    private readonly int[] _labelOfType, _wordsOfLabel;      // one beside the other

    public TaskCounts(LabelledWords words, TaskLabels labels, WordPlaces places, ScratchSpace scratch)
    {
        Labels = labels;
        OfHalf = [new int[labels.Names.Length], new int[labels.Names.Length]];
        Train = new int[labels.Names.Length];
        HeldOut = new int[labels.Names.Length];
        var types = 0;
        foreach (var type in words.Type)
            types = Math.Max(types, type + 1);
        _ofType = new int[types];
        var pairs = new Dictionary<long, int>(); // type * K + label
        for (var word = 0; word < words.Count; word++)
        {
            var label = labels.Of[word];
            if (label < 0)
                continue;
            OfHalf[places.Half(word)][label]++;
            if (!places.IsTrain(word))
            {
                HeldOut[label]++;
                continue;
            }
            Train[label]++;
            _ofType[words.Type[word]]++;
            var key = (long)words.Type[word] * labels.Names.Length + label;
            pairs[key] = pairs.GetValueOrDefault(key) + 1;
        }
        _first = new int[types + 1];
        foreach (var key in pairs.Keys)
            _first[key / labels.Names.Length + 1]++;
        for (var type = 0; type < types; type++)
            _first[type + 1] += _first[type];
        var inOrder = pairs.OrderBy(pair => pair.Key).ToArray();
        _labelOfType = Array.ConvertAll(inOrder, pair => (int)(pair.Key % labels.Names.Length));
        _wordsOfLabel = Array.ConvertAll(inOrder, pair => pair.Value);
        TrainTotal = Train.Sum();
        HeldOutTotal = HeldOut.Sum();
        _expectedMiBits = scratch.New<double>(HeldOutTotal + 1);
        _expectedMiBits.Span.Fill(double.NaN);
    }

    public TaskLabels Labels { get; }
    public int[] Train { get; }   // [K]
    public int[] HeldOut { get; } // [K]

    /// <summary>Labels of each half of the documents: [2][K].</summary>
    public int[][] OfHalf { get; }
    public int TrainTotal { get; }
    public int HeldOutTotal { get; }
    public int Count => Labels.Names.Length;

    /// <summary>
    /// E[I(fires; Y)] under permutation, bits, of a feature that fires on so many held-out words: it hangs on nothing else, so thousands of features share each value.
    /// </summary>
    public double ExpectedMiBits(int active)
    {
        // Two threads may both compute a value; it is the same.
        if (double.IsNaN(_expectedMiBits[active]))
            _expectedMiBits[active] = active == 0 ? 0 : DiscreteInformation.ExpectedMutualInformationBits([active, HeldOutTotal - active], HeldOut);
        return _expectedMiBits[active];
    }

    /// <summary>
    /// 1[label] - P(label | word type), the share taken from train documents: no smoothing, because pulling rare types towards the base rate
    /// would make every detector of rare words look contextual. Unbiased where occurrences of a type are exchangeable. 0 for types that train
    /// does not have: they are no evidence either way.
    /// </summary>
    public double ContextGain(int type, int label, bool carries)
    {
        var seen = _ofType[type];
        if (seen == 0)
            return 0;
        var at = _labelOfType.AsSpan(_first[type].._first[type + 1]).IndexOf(label);
        return (carries ? 1 : 0) - (double)(at < 0 ? 0 : _wordsOfLabel[_first[type] + at]) / seen;
    }
}
