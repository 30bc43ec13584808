using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>One task over one dictionary: counts, labels from train, measures, q, gates, in this order.</summary>
internal sealed class TaskRun
{
    private const int ConsistencyBins = 20;

    private readonly FeatureMajorCodes _positive; // every activation above 0
    private readonly FeatureMajorCodes _codes;    // those above the features' thresholds: where a feature is said to fire
    private readonly float[] _thresholds;
    private readonly LabelledWords _words;
    private readonly WordPlaces _places;
    private readonly DetectionWindows _windows;
    private readonly HeldOutDocuments _heldOut;
    private readonly LabelRules _rules;
    private readonly ScratchSpace _scratch;
    private readonly TaskCounts _task;
    private readonly Rooms<FeatureMeter> _meters;
    private readonly int[] _train; // [F, K] words of a label a feature fires on
    private readonly int[] _held;  // [F, K]
    private readonly int _tests;

    public TaskRun(FeatureMajorCodes codes, LabelledWords words, WordPlaces places, HeldOutDocuments heldOut, TaskLabels labels, LabelRules rules,
        DocumentBootstrap bootstrap, ParallelOptions parallel, ScratchSpace scratch)
    {
        _positive = codes;
        _words = words;
        _heldOut = heldOut;
        _rules = rules;
        _places = places;
        _scratch = scratch;
        _windows = new DetectionWindows(words, places, labels, scratch);
        _task = new TaskCounts(words, labels, places, scratch);
        _thresholds = FiringThresholds.Choose(codes, places, _task, rules, parallel, scratch);
        _codes = codes.Above(_thresholds, scratch);
        _train = new int[checked(codes.Features * _task.Count)];
        _held = new int[_train.Length];
        Measures = new FeatureMeasures?[codes.Features];

        _meters = new(() => new(_positive, _codes, _thresholds, _words, _places, _heldOut, _task, _windows, _rules.MinSupport, scratch));
        Parallel.For(0, codes.Features, parallel, () => (Meter: _meters.Enter(), Halves: new int[2 * _task.Count]), (feature, _, mine) =>
        {
            Count(feature, mine.Halves);
            if (ChooseLabel(Train(feature), _task.Train) is { } label)
                Measures[feature] = mine.Meter.Measure(feature, label, Train(feature), HeldOf(feature), Halves(mine.Halves, label));
            return mine;
        }, mine => _meters.Leave(mine.Meter));

        var tested = Measures.Where(m => m is { HeldOut.Active: > 0 }).Select(m => m!).ToArray();
        _tests = tested.Length;
        var q = MultipleTests.BenjaminiHochberg(Array.ConvertAll(tested, m => m.Log10P));
        for (var n = 0; n < tested.Length; n++)
            tested[n].Q = q[n];

        Parallel.For(0, codes.Features, parallel, _meters.Enter, (feature, _, meter) =>
        {
            if (Measures[feature] is { } of)
                Judge(of, meter, bootstrap);
            return meter;
        }, _meters.Leave);
    }

    /// <summary>By feature; null where train documents give it no label.</summary>
    public FeatureMeasures?[] Measures { get; }

    public TaskLabelling Compact()
    {
        var labels = new List<LabelUnion>();
        var consistent = new List<FeatureSummary>();
        var ofLabel = Measures.Where(m => m is not null).Select(m => m!).ToLookup(m => m.Label);
        var fired = _scratch.New<bool>(_words.Count);
        for (var label = 0; label < _task.Count; label++)
        {
            if (_task.Labels.Excluded.Contains(label))
                continue;
            var passed = ofLabel[label].Where(m => m.FailedGates.Count == 0).OrderByDescending(m => m.HeldOut.F1).ThenBy(m => m.Index).ToArray();
            consistent.AddRange(passed.Select(Summary));
            var candidate = passed.Length > 0 ? null : ofLabel[label].Where(m => m.Suggestive(_rules))
                .OrderBy(m => m.FailedGates.Count).ThenByDescending(m => m.HeldOut.F1).ThenBy(m => m.Index).FirstOrDefault();
            labels.Add(new LabelUnion
            {
                Label = _task.Labels.Names[label],
                TrainWords = _task.Train[label],
                HeldOutWords = _task.HeldOut[label],
                Features = passed.Length,
                Lexical = passed.Count(m => m.Kind(_rules) == FeatureKind.Lexical),
                Contextual = passed.Count(m => m.Kind(_rules) == FeatureKind.Contextual),
                Mixed = passed.Count(m => m.Kind(_rules) == FeatureKind.Mixed),
                Union = passed.Length == 0 ? null : Union(passed, label, fired),
                Best = Best(label) is { } best ? Summary(best) : null,
                Candidate = candidate is null ? null : Summary(candidate),
                CandidateFailedGates = candidate?.FailedGates ?? [],
            });
        }
        return new TaskLabelling(_task.Labels.Task, _tests, consistent, labels,
            SplitLabels.Compare(_task.Labels.Task, Measures.Where(m => m is not null).Select(m => m!.Halves), _task.Count, _rules))
        {
            ConsistencyHistogram = Histogram(),
        };
    }

    private int[] Histogram()
    {
        var counts = new int[ConsistencyBins];
        foreach (var of in Measures)
            if (of is not null && of.HeldOut.Active >= _rules.MinSupport)
                counts[Math.Min(ConsistencyBins - 1, (int)(of.HeldOut.Precision * ConsistencyBins))]++;
        return counts;
    }

    private ReadOnlySpan<int> Train(int feature) => _train.AsSpan(feature * _task.Count, _task.Count);
    private ReadOnlyMemory<int> HeldOf(int feature) => _held.AsMemory(feature * _task.Count, _task.Count);
    private FeatureSummary Summary(FeatureMeasures of) => of.Summary(_task.Labels, _rules);

    /// <param name="halves">Filled with the words of a label the feature fires on, by half: [2, K].</param>
    private void Count(int feature, int[] halves)
    {
        Array.Clear(halves);
        var train = _train.AsSpan(feature * _task.Count, _task.Count);
        var held = _held.AsSpan(feature * _task.Count, _task.Count);
        ReadOnlySpan<int> labelOf = _task.Labels.Of;
        ReadOnlySpan<byte> place = _places.All;
        foreach (var word in _codes.Words(feature))
        {
            var label = labelOf[word];
            if (label < 0)
                continue;
            halves[WordPlaces.Half(place[word]) * _task.Count + label]++;
            if (WordPlaces.IsTrain(place[word]))
                train[label]++;
            else
                held[label]++;
        }
    }

    /// <summary>Of the labels a feature may have, the one of highest F1; the first of equals. Null where none occurs with it.</summary>
    /// <param name="counts">Words of each label it fires on, and <paramref name="margins"/>: words of each label. [K]</param>
    private int? ChooseLabel(ReadOnlySpan<int> counts, int[] margins)
    {
        var active = Sum(counts);
        int? chosen = null;
        var best = 0.0;
        for (var label = 0; label < counts.Length; label++)
        {
            if (counts[label] == 0)
                continue;
            var f1 = 2.0 * counts[label] / (active + margins[label]);
            if (f1 > best && !_task.Labels.Excluded.Contains(label))
                (best, chosen) = (f1, label);
        }
        return chosen;
    }

    private SplitLabels Halves(int[] halves, int label)
    {
        ReadOnlySpan<int> first = halves.AsSpan(0, _task.Count), second = halves.AsSpan(_task.Count);
        int active = Sum(first), otherActive = Sum(second);
        return new(ChooseLabel(first, _task.OfHalf[0]) ?? -1, ChooseLabel(second, _task.OfHalf[1]) ?? -1, active, otherActive,
            active == 0 ? 0 : (double)first[label] / active, otherActive == 0 ? 0 : (double)second[label] / otherActive);
    }

    private static int Sum(ReadOnlySpan<int> counts)
    {
        var sum = 0;
        foreach (var count in counts)
            sum += count;
        return sum;
    }

    private void Judge(FeatureMeasures of, FeatureMeter meter, DocumentBootstrap bootstrap)
    {
        // The interval decides between contextual and mixed only, so those that are lexical or insignificant anyway go without.
        if (of.HeldOut.Active >= _rules.MinSupport && of.Q < _rules.Fdr && of.Kind(_rules) != FeatureKind.Lexical)
            of.ContextGainCi95 = meter.ContextGainInterval(of.Index, of.Label, bootstrap);
        of.FailedGates = of.Gates(_rules);
    }

    private FeatureMeasures? Best(int label)
    {
        int chosen = -1;
        var best = 0.0;
        for (var feature = 0; feature < _codes.Features; feature++)
        {
            var counts = Train(feature);
            if (counts[label] == 0)
                continue;
            var f1 = 2.0 * counts[label] / (Sum(counts) + _task.Train[label]);
            if (f1 > best)
                (best, chosen) = (f1, feature);
        }
        if (chosen < 0)
            return null;
        if (Measures[chosen] is { } own && own.Label == label)
            return own;
        var halves = new int[2 * _task.Count];
        foreach (var word in _codes.Words(chosen))
            if (_task.Labels.Of[word] is >= 0 and var other)
                halves[_places.Half(word) * _task.Count + other]++;
        var meter = _meters.Enter();
        var of = meter.Measure(chosen, label, Train(chosen), HeldOf(chosen), Halves(halves, label));
        _meters.Leave(meter);
        of.Q = Math.Min(1, Math.Pow(10, of.Log10P) * Math.Max(1, _tests));
        of.FailedGates = of.Gates(_rules);
        return of;
    }

    private UnionCounts Union(FeatureMeasures[] features, int label, Column<bool> fired)
    {
        fired.Span.Clear();
        foreach (var feature in features)
            foreach (var word in _codes.Words(feature.Index))
                fired[word] = true;
        var documents = _heldOut.Ids.Length;
        var counts = new UnionCounts(new int[documents], new int[documents], new int[documents]);
        for (var word = 0; word < fired.Length; word++)
        {
            var document = _heldOut.PositionOf(_words.Document[word]);
            if (document < 0 || _task.Labels.Of[word] < 0)
                continue;
            var carries = _task.Labels.Of[word] == label;
            if (fired[word])
                (carries ? counts.TruePositives : counts.FalsePositives)[document]++;
            else if (carries)
                counts.FalseNegatives[document]++;
        }
        return counts;
    }
}
