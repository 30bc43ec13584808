using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>Where labels are: centre of gravity of the excess and expected layer of the information, over how the excess is spread (method section 6, picture 3).</summary>
public static class DepthPlot
{
    /// <returns>Null where no label has a place.</returns>
    public static Figure? Of(LayerFunctionalityDocument document, string task)
    {
        var layers = Source.Layers(document);
        var rows = Source.ByDepth(Source.Task(document, task)?.Profiles.Where(p => p.CentreOfGravity is not null || p.ExpectedLayerPerLayer is not null) ?? []).Take(Source.MostRows).ToList();
        if (rows.Count == 0 || layers.Length < 2)
            return null;
        var placed = Centres("centre of gravity of the excess", SeriesStyle.Main, localised: true);
        var flat = Centres("the same, too flat to be placed", SeriesStyle.Sixth, localised: false);
        var expected = rows.Select((p, i) => (Label: p, Row: i)).Where(r => r.Label.ExpectedLayerPerLayer is not null).ToList();
        var information = new Series("expected layer of the information", Mark.Points, SeriesStyle.Second, [.. expected.Select(r => r.Label.ExpectedLayerPerLayer!.RunningMax)], [.. expected.Select(r => (double?)r.Row + 0.2)])
        {
            XLow = [.. expected.Select(r => r.Label.ExpectedLayerPerLayer!.RunningMaxCi95?[0])],
            XHigh = [.. expected.Select(r => r.Label.ExpectedLayerPerLayer!.RunningMaxCi95?[1])],
            Of = [.. expected.Select(r => r.Label.Label)],
        };
        Series[] series = [.. new[] { Shares(), placed, flat, information }.Where(s => s.X.Count > 0)];
        var early = rows.FirstOrDefault(p => p.CentreOfGravity is { Localised: true });
        var late = rows.LastOrDefault(p => p.CentreOfGravity is { Localised: true });
        return new Figure($"depth-{task}", $"{task}: where labels are found",
            $"Dot plot of {rows.Count} labels of {task} over {layers.Length} layers." + (early is null || late is null ? " No label can be placed."
                : $" Earliest is {early.Label} at layer {Source.Short(early.CentreOfGravity!.Value, 1)}, latest {late.Label} at {Source.Short(late.CentreOfGravity!.Value, 1)}."),
            $"Bars: share of a label's excess union F1 at each layer, the highest of all as high as its row. Lines through points: {Source.Intervals}. Expected layer: of the gains of information from layer to layer, where context adds at least 2 points. {Source.Of(document)}",
            [new Panel("", PlotAxis.OfLayers(layers), PlotAxis.Of("", [.. rows.Select(p => p.Label)])) { Series = series }]);

        Series Centres(string name, SeriesStyle style, bool localised)
        {
            var kept = rows.Select((p, i) => (Label: p.Label, Row: i, Centre: p.CentreOfGravity)).Where(r => r.Centre?.Localised == localised).ToList();
            return new Series(name, Mark.Points, style, [.. kept.Select(r => r.Centre!.Value)], [.. kept.Select(r => (double?)r.Row - 0.12)])
            {
                XLow = [.. kept.Select(r => (double?)r.Centre!.Ci95[0])],
                XHigh = [.. kept.Select(r => (double?)r.Centre!.Ci95[1])],
                Of = [.. kept.Select(r => r.Label)],
            };
        }

        // As Tenney et al. draw mixing weights: small bars behind the points of each label.
        Series Shares()
        {
            var bars = (from i in Enumerable.Range(0, rows.Count)
                        let positive = rows[i].Score.Take(layers.Length).Select(s => Math.Max(s, 0)).ToArray()
                        where positive.Sum() > 0
                        from l in Enumerable.Range(0, positive.Length)
                        where positive[l] > 0
                        select (Row: i, Layer: layers[l], Share: positive[l] / positive.Sum())).ToList();
            var most = bars.Select(b => b.Share).DefaultIfEmpty(1).Max();
            return new Series("share of the excess at a layer", Mark.Bars, SeriesStyle.Muted, [.. bars.Select(b => b.Layer - 0.4)], [.. bars.Select(b => (double?)(b.Row + 0.45 - 0.9 * b.Share / most))])
            {
                XHigh = [.. bars.Select(b => (double?)b.Layer + 0.4)],
                Base = [.. bars.Select(b => b.Row + 0.45)],
                Value = [.. bars.Select(b => b.Share)],
                Of = [.. bars.Select(b => rows[b.Row].Label)],
            };
        }
    }
}
