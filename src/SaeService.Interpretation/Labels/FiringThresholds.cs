using SaeService.Columns;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// From which activation on a feature is said to fire. Low activations of an autoencoder's features mean many things and high ones few
/// (Cunningham et al. 2023, figure 4), so a feature may be consistent above some activation and not from 0 on. The threshold is chosen on train
/// documents alone: the lowest that leaves the feature clearly consistent there, hence the one of highest recall; 0 where there is none.
/// Whatever is said of the feature is then judged on held-out documents, as if the threshold were its own. Controls are given theirs by the same rule.
/// </summary>
internal static class FiringThresholds
{
    /// <summary>
    /// Asked for on train, because the best of many prefixes looks better than it is: Wilson's bound this share of the way from the gate to 1, and
    /// half again as many words as must be found held out, of which there are two for every three on train.
    /// </summary>
    private const double Margin = 0.25, SupportMargin = 1.5;

    /// <returns>By feature: it fires where its activation is above this.</returns>
    public static float[] Choose(FeatureMajorCodes codes, WordPlaces places, TaskCounts task, LabelRules rules, ParallelOptions parallel, ScratchSpace scratch)
    {
        var thresholds = new float[codes.Features];
        if (!rules.ChooseThresholds)
            return thresholds;
        var rooms = new Rooms<Chooser>(() => new Chooser(task.Count, codes.Longest, scratch));
        Parallel.For(0, codes.Features, parallel, rooms.Enter, (feature, _, chooser) =>
        {
            thresholds[feature] = chooser.Choose(codes.Words(feature), codes.Values(feature), places, task, rules);
            return chooser;
        }, rooms.Leave);
        return thresholds;
    }

    /// <summary>Of one thread at a time.</summary>
    private sealed class Chooser(int labels, int longest, ScratchSpace scratch)
    {
        private readonly int[] _hits = new int[labels]; // [K]
        private readonly Column<float> _values = scratch.New<float>(longest);
        private readonly Column<int> _labels = scratch.New<int>(longest);

        public float Choose(ReadOnlySpan<int> fires, ReadOnlySpan<float> values, WordPlaces places, TaskCounts task, LabelRules rules)
        {
            var count = 0;
            ReadOnlySpan<int> labelOf = task.Labels.Of;
            ReadOnlySpan<byte> place = places.All;
            Span<float> strongest = _values.Span;
            Span<int> labels = _labels.Span;
            for (var n = 0; n < fires.Length; n++)
            {
                var label = labelOf[fires[n]];
                if (label < 0 || !WordPlaces.IsTrain(place[fires[n]]))
                    continue;
                // Negated, so that an ascending sort puts the strongest first.
                (strongest[count], labels[count++]) = (-values[n], label);
            }
            strongest[..count].Sort(labels[..count]);

            Array.Clear(_hits);
            var asked = rules.ConsistencyLower + Margin * (1 - rules.ConsistencyLower);
            int leading = 0, chosen = -1;
            var best = 0.0;
            for (var n = 0; n < count; n++)
            {
                if (++_hits[labels[n]] > _hits[leading])
                    leading = labels[n];
                // Equal activations fire together. Of a label in the minority no prefix is consistent, so only the leading one is asked about.
                if ((n + 1 < count && strongest[n + 1] == strongest[n]) || n + 1 < SupportMargin * rules.MinSupport || task.Labels.Excluded.Contains(leading))
                    continue;
                var prefix = new Contingency(_hits[leading], n + 1, task.Train[leading], task.TrainTotal);
                if (prefix.F1 > best && prefix.Wilson.Low >= asked && prefix.Kappa >= rules.Kappa)
                    (best, chosen) = (prefix.F1, n);
            }
            return chosen < 0 || chosen + 1 == count ? 0 : -strongest[chosen + 1];
        }
    }
}
