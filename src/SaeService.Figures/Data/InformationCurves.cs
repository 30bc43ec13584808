using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>Information about a task by layer, with everything it must be told from (method section 6, picture 2).</summary>
public static class InformationCurves
{
    /// <param name="next">The next word's label as target.</param>
    /// <returns>Null where the document has none.</returns>
    public static Figure? Of(LayerFunctionalityDocument document, string task, bool next = false)
    {
        if (Source.Task(document, task) is not { } findings)
            return null;
        var (layers, entropy, types) = next ? (findings.NextWord?.Layers ?? [], findings.NextWord?.EntropyBits ?? 0, findings.NextWord?.TypeInformationBits ?? 0)
            : (findings.Layers, findings.EntropyBits, findings.TypeInformationBits);
        if (layers.Count == 0 || !(entropy > 0))
            return null;
        double[] x = [.. layers.Select(l => (double)l.Layer)];
        int[] n = [.. layers.Select(l => l.IvBits.NTest)];
        var trained = Line("trained model", SeriesStyle.Main, l => l.IvBits.Value) with
        {
            Low = Shares(l => l.IvBits.Ci95[0]),
            High = Shares(l => l.IvBits.Ci95[1]),
        };
        List<Series> series = [trained, Line("word forms alone", SeriesStyle.Fifth, _ => types), Line("control task", SeriesStyle.Third, l => l.ControlBits), Line("shuffled labels", SeriesStyle.Muted, l => l.ShuffledBits)];
        if (layers.Any(l => l.UntrainedBits is not null))
            series.Insert(1, Line("untrained model", SeriesStyle.Second, l => l.UntrainedBits));
        if (layers.Any(l => l.PermutedBits is not null))
            series.Insert(2, Line("permuted blocks", SeriesStyle.Fourth, l => l.PermutedBits));
        if (layers.Any(l => l.GivenPosBits is not null))
            series.Add(Line("beyond the part of speech", SeriesStyle.Sixth, l => l.GivenPosBits) with { Low = Shares(l => l.GivenPosCi95?[0]), High = Shares(l => l.GivenPosCi95?[1]) });
        var best = layers.MaxBy(l => l.IvBits.Value)!;
        var target = next ? "next word's label" : "label";
        return new Figure($"information-{task}{(next ? "-next" : "")}", $"{task}: information about the {target} by layer",
            $"Line chart over {layers.Count} layers. The trained model's layers hold most at layer {best.Layer}: {Source.Short(best.IvBits.Value)} of {Source.Short(entropy)} bits; word forms alone give {Source.Short(types)}.",
            $"Held-out linear V-information over the labels' entropy, H = {Source.Short(entropy)} bits; n = {Source.Whole(n.Max())} test words. Bands: {Source.Intervals}. Control task: a random label for each word form. {Source.Of(document)}",
            [new Panel("", PlotAxis.OfLayers([.. layers.Select(l => l.Layer)]), Source.Around("information / entropy", series.SelectMany(s => s.Y.Concat(s.Low ?? []).Concat(s.High ?? [])))) { Series = series }]);

        IReadOnlyList<double?> Shares(Func<LayerInformation, double?> bits) => [.. layers.Select(l => Source.Finite(bits(l) / Entropy(l)))];

        // What the document itself divides by: the labels' entropy on the words scored.
        double Entropy(LayerInformation l) => l.Normalised > 0 ? l.IvBits.Value / l.Normalised : entropy;

        Series Line(string name, SeriesStyle style, Func<LayerInformation, double?> bits) => new(name, Mark.Line, style, x, Shares(bits)) { N = n };
    }
}
