using ScottPlot;
using SkiaSharp;

namespace SaeService.Figures.Painting;

/// <summary>Series between two axes.</summary>
internal static class ChartPanel
{
    private const float TickSize = 10, TitleSize = 10.5f, LongestLabel = 130, RowHeight = 19, MarkerSize = 6;

    /// <summary>Colours that the values of points are sorted into.</summary>
    private const int Shades = 16;

    public static Place Measure(Panel panel, float room)
    {
        var height = panel.Y.Categories is { } rows ? Math.Max(rows.Count, 2) * RowHeight : (float)(panel.Height ?? 210);
        var left = Names(panel.Y, height).Select(t => Letters.Width(t.Label, TickSize)).DefaultIfEmpty(0).Max() + 8 + (panel.Y.Title.Length > 0 ? 16 : 0);
        var right = panel.Scale is null ? 8 : ColourBar.Room;
        return new Place(room, height + 18 + (panel.X.Title.Length > 0 ? 15 : 0), left, Math.Max(room - left - right, 40), height);
    }

    public static Action<SKCanvas> Place(Panel panel, Place place, Page page, float x, float top)
    {
        var data = SKRect.Create(x + place.Left, top, place.DataWidth, place.DataHeight);
        var (horizontal, vertical) = (Ticks.Limits(panel.X), Ticks.Limits(panel.Y));
        var (columns, rows) = (Across(panel.X, data.Width), Names(panel.Y, data.Height));
        foreach (var (position, label) in columns)
            page.Write(label, data.Left + Share(position, horizontal) * data.Width, data.Bottom + 14, TickSize, page.Theme.Muted, Anchor.Middle);
        foreach (var (position, label) in rows)
            page.Write(label, data.Left - 6, panel.Y.Categories is null ? data.Bottom - Share(position, vertical) * data.Height + 3.5f : data.Top + Share(position, vertical) * data.Height + 3.5f, TickSize,
                panel.Y.Categories is null ? page.Theme.Muted : page.Theme.Ink, Anchor.End, full: panel.Y.Categories is null ? null : Letters.Label(panel.Y.Categories[(int)position]));
        page.Write(panel.X.Title, data.MidX, data.Bottom + 28, TitleSize, anchor: Anchor.Middle);
        page.Write(panel.Y.Title, x + 9, data.MidY, TitleSize, anchor: Anchor.Middle, angle: -90);
        if (panel.Scale is { } scale)
            ColourBar.Write(scale, page, data);
        return canvas =>
        {
            using var plot = Plots.New(page.Theme, horizontal, panel.Y.Categories is null ? vertical : (vertical.High, vertical.Low), data);
            Plots.Marks(plot.Axes.Bottom, columns.Select(t => t.Position));
            Plots.Marks(plot.Axes.Left, rows.Select(t => t.Position));
            foreach (var series in panel.Series)
                Add(plot, panel, series, page.Theme);
            Plots.Render(plot, canvas);
            if (panel.Scale is { } colours)
                ColourBar.Draw(canvas, page.Theme, colours, data);
        };
    }

    /// <summary>A line, marker or bar as the legend shows it.</summary>
    public static void Sample(SKCanvas canvas, Theme theme, Series series, float x, float middle)
    {
        using var paint = Paint.NewDisposablePaint();
        var colour = series.Mark == Mark.Points && series.Value is not null ? Color.FromHex(theme.Muted) : theme.Of(series.Style);
        if (series.Mark == Mark.Bars)
            Drawing.FillRectangle(canvas, new PixelRect(x + 4, x + 20, middle + 5, middle - 5), paint, Fill(colour, series));
        if (series.Mark == Mark.Line)
            Drawing.DrawLine(canvas, paint, new PixelLine(x, middle, x + 22, middle), new LineStyle { Color = colour, Width = 1.5f, Pattern = Theme.Dash(series.Style), AntiAlias = true });
        if (series.Mark != Mark.Bars && !series.Plain && Theme.Marker(series.Style) is var shape and not MarkerShape.None)
            Drawing.DrawMarker(canvas, paint, new Pixel(x + 11, middle), new MarkerStyle(shape, MarkerSize, colour));
    }

    private static void Add(Plot plot, Panel panel, Series series, Theme theme)
    {
        var colour = theme.Of(series.Style);
        var x = series.X.Select(v => Ticks.Position(panel.X, v)).ToArray();
        if (series.Mark == Mark.Bars)
        {
            for (var i = 0; i < x.Length; i++)
                if (series.Y[i] is { } height)
                {
                    var foot = Ticks.Position(panel.Y, series.Base?[i] ?? panel.Y.Min);
                    var bar = plot.Add.Rectangle(x[i], Ticks.Position(panel.X, series.XHigh![i]!.Value), foot, Ticks.Position(panel.Y, height));
                    bar.FillStyle = Fill(colour, series);
                    bar.LineStyle.Width = 0;
                }
            return;
        }
        foreach (var part in Unbroken(series.Y))
        {
            var xs = x[part];
            var ys = part.Of(series.Y).Select(v => Ticks.Position(panel.Y, v!.Value)).ToArray();
            if (series.Mark == Mark.Line && series.Low is not null && series.High is not null && xs.Length > 1 && part.Of(series.Low).All(v => v is not null))
            {
                var band = plot.Add.FillY(xs, [.. part.Of(series.Low).Select(v => Ticks.Position(panel.Y, v!.Value))], [.. part.Of(series.High).Select(v => Ticks.Position(panel.Y, v!.Value))]);
                band.FillColor = colour.WithAlpha(0.22);
                band.LineWidth = 0;
                band.MarkerShape = MarkerShape.None;
            }
            else if (series.Low is not null && series.High is not null)
                for (var i = 0; i < xs.Length; i++)
                    if (series.Low[part.Start.Value + i] is { } low && series.High[part.Start.Value + i] is { } high)
                        Stroke(plot, xs[i], Ticks.Position(panel.Y, low), xs[i], Ticks.Position(panel.Y, high), colour);
            if (series.XLow is not null && series.XHigh is not null)
                for (var i = 0; i < xs.Length; i++)
                    if (series.XLow[part.Start.Value + i] is { } low && series.XHigh[part.Start.Value + i] is { } high)
                        Stroke(plot, Ticks.Position(panel.X, low), ys[i], Ticks.Position(panel.X, high), ys[i], colour);
            if (series.Value is { } values && panel.Scale is { } scale)
                AddShaded(plot, theme, series.Style, xs, ys, [.. part.Of(values)], scale);
            else
            {
                var points = plot.Add.Scatter(xs, ys, colour);
                points.LineWidth = series.Mark == Mark.Line ? 1.5f : 0;
                points.LinePattern = Theme.Dash(series.Style);
                points.MarkerShape = series.Plain || xs.Length > 60 && series.Mark == Mark.Line ? MarkerShape.None : Theme.Marker(series.Style);
                points.MarkerSize = MarkerSize;
            }
        }
    }

    private static void AddShaded(Plot plot, Theme theme, SeriesStyle style, double[] x, double[] y, double[] values, ColourScale scale)
    {
        foreach (var shade in Enumerable.Range(0, x.Length).GroupBy(i => (int)Math.Clamp((values[i] - scale.Min) / Math.Max(scale.Max - scale.Min, 1e-12) * Shades, 0, Shades - 1)).OrderBy(g => g.Key))
        {
            var points = plot.Add.ScatterPoints(shade.Select(i => x[i]).ToArray(), shade.Select(i => y[i]).ToArray(), theme.Of(scale, scale.Min + (shade.Key + 0.5) / Shades * (scale.Max - scale.Min)));
            points.MarkerShape = Theme.Marker(style);
            points.MarkerSize = style == SeriesStyle.Main ? 6 : 4.5f;
        }
    }

    private static void Stroke(Plot plot, double x1, double y1, double x2, double y2, Color colour)
    {
        var line = plot.Add.Line(x1, y1, x2, y2);
        line.LineColor = colour;
        line.LineWidth = 1.1f;
        line.MarkerSize = 0;
    }

    // A series of one style in several panels of bars stands behind others.
    private static FillStyle Fill(Color colour, Series series) => new() { Color = series.Style == SeriesStyle.Muted ? colour.WithAlpha(0.45) : colour.WithAlpha(0.85), AntiAlias = true };

    private static float Share(double position, (double Low, double High) limits) => (float)((position - limits.Low) / Math.Max(limits.High - limits.Low, 1e-12));

    private static List<(double Position, string Label)> Across(PlotAxis axis, float width) => Ticks.Of(axis, Math.Max(1, (int)(width / (axis.Whole ? 22 : 52))));

    private static List<(double Position, string Label)> Names(PlotAxis axis, float height) =>
        [.. Ticks.Of(axis, Math.Max(1, (int)(height / 26))).Select(t => (t.Position, Letters.Fit(t.Label, LongestLabel, TickSize)))];

    /// <summary>Stretches without a gap.</summary>
    private static IEnumerable<System.Range> Unbroken(IReadOnlyList<double?> values)
    {
        for (var i = 0; i < values.Count; i++)
        {
            if (values[i] is null)
                continue;
            var start = i;
            while (i < values.Count && values[i] is not null)
                i++;
            yield return start..i;
        }
    }

    private static IEnumerable<T> Of<T>(this System.Range range, IReadOnlyList<T> list) => list.Skip(range.Start.Value).Take(range.End.Value - range.Start.Value);
}
