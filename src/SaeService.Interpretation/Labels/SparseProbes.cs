using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;

namespace SaeService.Interpretation.Labels;

/// <summary>
/// What a few features detect of a label together (<see cref="SparseProbe"/>; Gurnee et al. 2023, and SAEBench's sparse probing, which balances its data where here the
/// threshold is chosen instead). One feature alone is <see cref="LabelUnion.Best"/>.
/// </summary>
public static class SparseProbes
{
    private static readonly int[] s_sizes = [5, 20];

    /// <summary>Every label that a feature may have, of which train and held-out documents have words, and other words too.</summary>
    /// <param name="codes">Rows in the order of <paramref name="words"/>. Activations count as they are, without thresholds.</param>
    public static IReadOnlyList<LabelProbes> Run(SparseCodes codes, LabelledWords words, int threads = -1, ScratchSpace? scratch = null)
    {
        if (codes.Rows != words.Count)
            throw new ArgumentException($"{codes.Rows} rows of codes for {words.Count} words");
        using var inner = (scratch ?? ScratchSpace.Heap).Inner();
        var byFeature = FeatureMajorCodes.From(codes, inner);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
        var rows = new Rooms<Column<int>>(() => inner.New<int>(words.Count));
        var found = new List<LabelProbes>();
        foreach (var task in words.Tasks)
        {
            var train = new int[task.Names.Length];
            var heldOut = new int[task.Names.Length];
            for (var word = 0; word < words.Count; word++)
                if (task.Of[word] is >= 0 and var label)
                    (words.PartOf(word) == Part.Train ? train : heldOut)[label]++;
            var means = Means(byFeature, words, task, train, parallel);
            var probes = new LabelProbes?[task.Names.Length];
            Parallel.For(0, probes.Length, parallel, rows.Enter, (label, _, rowOf) =>
            {
                if (!task.Excluded.Contains(label) && Both(train, label) && Both(heldOut, label))
                    probes[label] = new LabelProbes(task.Task, task.Names[label], Probe(byFeature, words, task, label, means, train, heldOut, rowOf, inner));
                return rowOf;
            }, rows.Leave);
            found.AddRange(probes.Where(p => p is not null).Select(p => p!));
        }
        return found;

        static bool Both(int[] counts, int label) => counts[label] > 0 && counts[label] < counts.Sum();
    }

    /// <summary>Of each feature, its mean activation on train words with a label minus that on those without: [F, K].</summary>
    private static float[] Means(FeatureMajorCodes codes, LabelledWords words, TaskLabels task, int[] train, ParallelOptions parallel)
    {
        var labels = task.Names.Length;
        var differences = new float[checked(codes.Features * labels)];
        var total = train.Sum();
        Parallel.For(0, codes.Features, parallel, () => new double[labels], (feature, _, sums) =>
        {
            Array.Clear(sums);
            var all = 0.0;
            var fires = codes.Words(feature);
            var values = codes.Values(feature);
            for (var n = 0; n < fires.Length; n++)
                if (task.Of[fires[n]] is >= 0 and var label && words.PartOf(fires[n]) == Part.Train)
                {
                    sums[label] += values[n];
                    all += values[n];
                }
            for (var label = 0; label < labels; label++)
                differences[feature * labels + label] = train[label] == 0 || train[label] == total ? 0
                    : (float)(sums[label] / train[label] - (all - sums[label]) / (total - train[label]));
            return sums;
        }, _ => { });
        return differences;
    }

    /// <param name="rowOf">Scratch [N], zeros; left so.</param>
    private static List<SparseProbe> Probe(FeatureMajorCodes codes, LabelledWords words, TaskLabels task, int label, float[] differences, int[] train, int[] heldOut, Column<int> rowOf,
        ScratchSpace scratch)
    {
        var labels = task.Names.Length;
        var chosen = Enumerable.Range(0, codes.Features).Where(f => differences[f * labels + label] != 0)
            .OrderByDescending(f => Math.Abs(differences[f * labels + label])).ThenBy(f => f).Take(s_sizes[^1]).ToArray();
        if (chosen.Length == 0)
            return [];

        // Words on which one of them fires get a row; all others look alike and are counted.
        using var inner = scratch.Inner();
        var rows = new ColumnList<int>(inner);
        foreach (var feature in chosen)
            foreach (var word in codes.Words(feature))
                if (task.Of[word] >= 0 && rowOf[word] == 0)
                {
                    rows.Add(word);
                    rowOf[word] = rows.Count;
                }
        var x = inner.New<double>(checked(rows.Count * chosen.Length)); // [rows, features], in standard deviations
        for (var j = 0; j < chosen.Length; j++)
        {
            var fires = codes.Words(chosen[j]);
            var values = codes.Values(chosen[j]);
            double sum = 0, square = 0;
            for (var n = 0; n < fires.Length; n++)
                if (rowOf[fires[n]] > 0 && words.PartOf(fires[n]) == Part.Train)
                    (sum, square) = (sum + values[n], square + (double)values[n] * values[n]);
            var n0 = (double)train.Sum();
            var deviation = Math.Sqrt(Math.Max(square / n0 - sum / n0 * (sum / n0), double.Epsilon));
            for (var n = 0; n < fires.Length; n++)
                if (rowOf[fires[n]] is > 0 and var row)
                    x[(row - 1) * chosen.Length + j] = values[n] / deviation;
        }
        var found = new List<SparseProbe>();
        foreach (var size in s_sizes)
        {
            var used = Math.Min(size, chosen.Length);
            var model = new SparseLogistic(used);
            using var ofSize = inner.Inner();
            ColumnList<(double Score, double Positive, double Negative)> onTrain = new(ofSize), onHeldOut = new(ofSize);
            var cases = new ColumnList<LogisticCase>(ofSize);
            int[] seen = new int[2], seenPositive = new int[2];
            for (var row = 0; row < rows.Count; row++)
            {
                var part = words.PartOf(rows[row]) == Part.Train ? 0 : 1;
                var positive = task.Of[rows[row]] == label ? 1 : 0;
                seen[part]++;
                seenPositive[part] += positive;
                if (part == 0)
                    cases.Add(new(row * chosen.Length, positive, 1 - positive));
            }
            var silent = new[] { train, heldOut }.Select((counts, part) => (Positive: (double)counts[label] - seenPositive[part],
                Negative: (double)counts.Sum() - counts[label] - (seen[part] - seenPositive[part]))).ToArray();
            cases.Add(new(-1, silent[0].Positive, silent[0].Negative));
            model.Fit(x, cases);
            for (var row = 0; row < rows.Count; row++)
            {
                var positive = task.Of[rows[row]] == label ? 1 : 0;
                (words.PartOf(rows[row]) == Part.Train ? onTrain : onHeldOut).Add((model.Logit(x.Span, row * chosen.Length), positive, 1 - positive));
            }
            onTrain.Add((model.Logit(x.Span, -1), silent[0].Positive, silent[0].Negative));
            onHeldOut.Add((model.Logit(x.Span, -1), silent[1].Positive, silent[1].Negative));
            var threshold = BestThreshold(onTrain.Span);
            found.Add(new SparseProbe(size, F1(onHeldOut.Span, threshold), Auroc(onHeldOut.Span), chosen[..used]));
        }
        foreach (var word in rows)
            rowOf[word] = 0;
        return found;
    }

    /// <summary>The score from which on saying "yes" has the highest F1; the highest of equals.</summary>
    private static double BestThreshold(Span<(double Score, double Positive, double Negative)> scored)
    {
        scored.Sort((a, b) => b.Score.CompareTo(a.Score));
        double positives = Positives(scored), hits = 0, said = 0, best = 0, threshold = double.PositiveInfinity;
        for (var n = 0; n < scored.Length; n++)
        {
            hits += scored[n].Positive;
            said += scored[n].Positive + scored[n].Negative;
            if (n + 1 < scored.Length && scored[n + 1].Score == scored[n].Score)
                continue;
            if (2 * hits / (said + positives) is var f1 && f1 > best)
                (best, threshold) = (f1, scored[n].Score);
        }
        return threshold;
    }

    private static double F1(ReadOnlySpan<(double Score, double Positive, double Negative)> scored, double threshold)
    {
        double positives = Positives(scored), hits = 0, said = 0;
        foreach (var (score, positive, negative) in scored)
            if (score >= threshold)
                (hits, said) = (hits + positive, said + positive + negative);
        return said + positives == 0 ? 0 : 2 * hits / (said + positives);
    }

    private static double Auroc(Span<(double Score, double Positive, double Negative)> scored)
    {
        scored.Sort((a, b) => a.Score.CompareTo(b.Score));
        double won = 0, below = 0;
        for (var from = 0; from < scored.Length;)
        {
            double positive = 0, negative = 0;
            var to = from;
            for (; to < scored.Length && scored[to].Score == scored[from].Score; to++)
                (positive, negative) = (positive + scored[to].Positive, negative + scored[to].Negative);
            won += positive * (below + negative / 2);
            below += negative;
            from = to;
        }
        return won / (Positives(scored) * below);
    }

    private static double Positives(ReadOnlySpan<(double Score, double Positive, double Negative)> scored)
    {
        var sum = 0.0;
        foreach (ref readonly var s in scored)
            sum += s.Positive;
        return sum;
    }
}
