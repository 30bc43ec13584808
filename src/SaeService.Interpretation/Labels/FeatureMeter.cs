using SaeService.Columns;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>Measures features against one task. Holds room for one feature: one a thread at a time.</summary>
/// <param name="positive">Every activation above 0.</param>
/// <param name="codes">Those above <paramref name="thresholds"/>, where features are said to fire.</param>
/// <param name="minSupport">Active held-out words from which their strengths are measured.</param>
internal sealed class FeatureMeter(FeatureMajorCodes positive, FeatureMajorCodes codes, float[] thresholds, LabelledWords words, WordPlaces places, HeldOutDocuments heldOut,
    TaskCounts task, DetectionWindows windows, int minSupport, ScratchSpace scratch)
{
    private readonly Column<float> _activations = scratch.New<float>(positive.Longest); // of the feature in hand, held out, ascending
    private readonly Column<bool> _carries = scratch.New<bool>(positive.Longest);       // whether these words carry the label
    private int _count;
    private readonly Column<int> _types = scratch.New<int>(positive.Longest);           // of its words in hand
    private readonly Column<double> _strengths = scratch.New<double>(positive.Longest);
    private readonly Column<int> _labels = scratch.New<int>(positive.Longest);
    private readonly NearestNeighbourInformation.LabelRoom _ofLabels = new(positive.Longest, scratch);
    private readonly NearestNeighbourInformation.Scratch _ofStrengths = new(positive.Longest, scratch);
    private readonly int[] _table = new int[2 * task.Count];
    private readonly double[] _gain = new double[heldOut.Ids.Length];
    private readonly double[] _fires = new double[heldOut.Ids.Length];

    /// <param name="train">Words of each label it fires on, train. [K]</param>
    /// <param name="held">The same, held out. [K]</param>
    /// <param name="halves">What the halves of the documents say of it.</param>
    public FeatureMeasures Measure(int feature, int label, ReadOnlySpan<int> train, ReadOnlyMemory<int> held, SplitLabels halves)
    {
        int active = 0, sentences = 0, lastSentence = -1;
        double weight = 0, weightOfLabel = 0, gain = 0;
        var fires = codes.Words(feature);
        var values = codes.Values(feature);
        ReadOnlySpan<int> labelOf = task.Labels.Of, typeOf = words.Type, sentenceOf = words.Sentence;
        ReadOnlySpan<byte> place = places.All;
        Span<int> types = _types.Span;
        for (var n = 0; n < fires.Length; n++)
        {
            var word = fires[n];
            if (WordPlaces.IsTrain(place[word]) || labelOf[word] < 0)
                continue;
            var carries = labelOf[word] == label;
            types[active++] = typeOf[word];
            weight += values[n];
            weightOfLabel += carries ? values[n] : 0;
            gain += task.ContextGain(typeOf[word], label, carries);
            if (sentenceOf[word] != lastSentence)
                sentences++;
            lastSentence = sentenceOf[word];
        }

        var counts = held.Span;
        var onHeldOut = new Contingency(counts[label], active, task.HeldOut[label], task.HeldOutTotal);
        for (var y = 0; y < task.Count; y++)
        {
            _table[y] = counts[y];
            _table[task.Count + y] = task.HeldOut[y] - counts[y];
        }
        var ofPositive = Activations(feature, label);
        var information = DiscreteInformation.MutualInformationBits(_table, 2, task.Count);
        var entropy = DiscreteInformation.EntropyBits(task.HeldOut);
        return new FeatureMeasures
        {
            Index = feature,
            Label = label,
            Train = new Contingency(train[label], Sum(train), task.Train[label], task.TrainTotal),
            HeldOut = onHeldOut,
            HeldOutByLabel = held,
            WeightedConsistency = active == 0 ? 0 : weightOfLabel / weight,
            Threshold = thresholds[feature],
            Positive = ofPositive,
            Auroc = Auroc(ofPositive),
            TopDecileConsistency = TopDecile(),
            ModalLabel = Modal(train),
            Halves = halves,
            Detection = active == 0 ? null : windows.Score(fires, label),
            Sentences = sentences,
            MiBits = information,
            NormalisedMi = entropy == 0 ? 0 : information / entropy,
            MiLog10P = DiscreteInformation.GTest(_table, 2, task.Count).Log10P,
            MiMagnitudeBits = MagnitudeBits(feature),
            ExpectedMiBits = task.ExpectedMiBits(active),
            Entropy = task.Count < 2 ? 0 : DiscreteInformation.EntropyBits(counts) / Math.Log2(task.Count),
            LexicalDiversity = active == 0 ? 0 : Math.Pow(2, EntropyOf(_types.Span[..active])),
            ContextGain = active == 0 ? 0 : gain / active,
            Log10P = onHeldOut.Log10P,
        };
    }

    /// <summary>Held-out counts of every activation above 0, whatever the threshold; leaves these activations, sorted, in the scratch arrays.</summary>
    private Contingency Activations(int feature, int label)
    {
        var fires = positive.Words(feature);
        var values = positive.Values(feature);
        ReadOnlySpan<int> labelOf = task.Labels.Of;
        ReadOnlySpan<byte> place = places.All;
        Span<float> activations = _activations.Span;
        Span<bool> carried = _carries.Span;
        _count = 0;
        var hits = 0;
        for (var n = 0; n < fires.Length; n++)
        {
            if (WordPlaces.IsTrain(place[fires[n]]) || labelOf[fires[n]] < 0)
                continue;
            var carries = labelOf[fires[n]] == label;
            hits += carries ? 1 : 0;
            (activations[_count], carried[_count++]) = (values[n], carries);
        }
        _activations.Span[.._count].Sort(_carries.Span[.._count]);
        return new Contingency(hits, _count, task.HeldOut[label], task.HeldOutTotal);
    }

    /// <summary>Share with the label of the tenth of the activations that are highest, at least one; those that tie with the last of them count in part.</summary>
    private double TopDecile()
    {
        if (_count == 0)
            return 0;
        var wanted = (_count + 9) / 10;
        var lowest = _activations[_count - wanted];
        int above = 0, hitsAbove = 0, ties = 0, hitsOfTies = 0;
        for (var n = _count - 1; n >= 0 && _activations[n] >= lowest; n--)
        {
            var carries = _carries[n] ? 1 : 0;
            if (_activations[n] > lowest)
                (above, hitsAbove) = (above + 1, hitsAbove + carries);
            else
                (ties, hitsOfTies) = (ties + 1, hitsOfTies + carries);
        }
        return (hitsAbove + (wanted - above) * (double)hitsOfTies / ties) / wanted;
    }

    private static int Modal(ReadOnlySpan<int> counts)
    {
        var modal = 0;
        for (var label = 1; label < counts.Length; label++)
            if (counts[label] > counts[modal])
                modal = label;
        return modal;
    }

    /// <summary>
    /// I(f; Y) of held-out words by the chain rule (method 1d, 2): I(1[f > 0]; Y), by counting, + P(f > 0) I(f; Y | f > 0), by nearest neighbours among active words
    /// only: the many zeros are one value, which a continuous estimator must not see. Null with too few active words.
    /// </summary>
    private double? MagnitudeBits(int feature)
    {
        var count = 0;
        var table = new int[2 * task.Count]; // active; silent
        task.HeldOut.CopyTo(table, task.Count);
        var fires = positive.Words(feature);
        var values = positive.Values(feature);
        ReadOnlySpan<int> labelOf = task.Labels.Of;
        ReadOnlySpan<byte> place = places.All;
        Span<double> strengths = _strengths.Span;
        Span<int> labels = _labels.Span;
        for (var n = 0; n < fires.Length; n++)
        {
            var label = labelOf[fires[n]];
            if (label < 0 || WordPlaces.IsTrain(place[fires[n]]))
                continue;
            (strengths[count], labels[count++]) = (values[n], label);
            table[label]++;
            table[task.Count + label]--;
        }
        if (count < minSupport)
            return null;
        var strength = NearestNeighbourInformation.Nats(strengths[..count], labels[..count], room: _ofLabels, scratch: _ofStrengths) / Math.Log(2);
        return DiscreteInformation.MutualInformationBits(table, 2, task.Count) + (double)count / task.HeldOutTotal * strength;
    }

    /// <summary>The 95 % document-bootstrap interval of a feature's context gain, Σ gain / Σ fires.</summary>
    public double[] ContextGainInterval(int feature, int label, DocumentBootstrap bootstrap)
    {
        Array.Clear(_gain);
        Array.Clear(_fires);
        foreach (var word in codes.Words(feature))
        {
            var document = heldOut.PositionOf(words.Document[word]);
            if (document < 0 || task.Labels.Of[word] < 0)
                continue;
            _gain[document] += task.ContextGain(words.Type[word], label, task.Labels.Of[word] == label);
            _fires[document]++;
        }
        return DocumentBootstrap.Interval(bootstrap.Ratios(_gain, _fires));
    }

    /// <summary>
    /// Chance that a held-out word with the label has a higher activation than one without, silent words counted as 0 and ties as one half.
    /// Null where either kind is missing.
    /// </summary>
    /// <param name="held">Of the activations in the scratch arrays.</param>
    private double? Auroc(Contingency held)
    {
        double positives = held.Labelled, negatives = held.Total - held.Labelled;
        if (positives == 0 || negatives == 0)
            return null;
        var activations = _activations.Span[.._count];
        double silentPositives = positives - held.Hits, silentNegatives = negatives - (held.Active - held.Hits);
        ReadOnlySpan<bool> carries = _carries.Span;
        double won = silentPositives * silentNegatives / 2, below = silentNegatives;
        for (var from = 0; from < activations.Length;)
        {
            double tiedPositives = 0, tiedNegatives = 0;
            var to = from;
            for (; to < activations.Length && activations[to] == activations[from]; to++)
                if (carries[to])
                    tiedPositives++;
                else
                    tiedNegatives++;
            won += tiedPositives * (below + tiedNegatives / 2);
            below += tiedNegatives;
            from = to;
        }
        return won / (positives * negatives);
    }

    private static double EntropyOf(Span<int> types)
    {
        types.Sort();
        var counts = new List<int>();
        for (var from = 0; from < types.Length;)
        {
            var to = from;
            while (to < types.Length && types[to] == types[from])
                to++;
            counts.Add(to - from);
            from = to;
        }
        return DiscreteInformation.EntropyBits(counts.ToArray());
    }

    private static int Sum(ReadOnlySpan<int> counts)
    {
        var sum = 0;
        foreach (var count in counts)
            sum += count;
        return sum;
    }
}
