using ScottPlot;
using SkiaSharp;

namespace SaeService.Figures.Painting;

/// <summary>A figure on a page: title, legend, panels, caption. Sized so that text is still read when it is printed one column wide (8.5 cm).</summary>
public static class FigurePainter
{
    private const float Width = 480, Margin = 12, TitleSize = 13, PanelTitleSize = 11, LegendSize = 10.5f, CaptionSize = 9.5f, Gap = 14;

    public static byte[] Svg(Figure figure, Theme theme)
    {
        var page = new Page(theme);
        var (size, shapes) = Compose(figure, page);
        return page.Svg(size, figure, shapes);
    }

    public static byte[] Png(Figure figure, Theme theme)
    {
        var page = new Page(theme);
        var (size, shapes) = Compose(figure, page);
        return page.Png(size, shapes);
    }

    /// <summary>Writes the texts and says how large the page is and what remains to be drawn on it.</summary>
    private static (SKSize, Action<SKCanvas>) Compose(Figure figure, Page page)
    {
        var shapes = new List<Action<SKCanvas>>();
        var columns = Math.Clamp(figure.Columns, 1, Math.Max(1, figure.Panels.Count));
        var room = (Width - 2 * Margin - (columns - 1) * Gap) / columns;
        var places = figure.Panels.Select(panel => panel.Grid is null ? ChartPanel.Measure(panel, room) : GridPanel.Measure(panel, room)).ToList();
        // Panels beside each other are of one size, whatever stands before their axes.
        if (columns > 1)
            for (var (i, left) = (0, places.Max(p => p.Left)); i < places.Count; i++)
                if (figure.Panels[i].Grid is null)
                    places[i] = places[i] with { Left = left, DataWidth = places[i].DataWidth + places[i].Left - left };
        var widths = Enumerable.Range(0, columns).Select(c => places.Where((_, i) => i % columns == c).Select(p => p.Width).DefaultIfEmpty(0).Max()).ToArray();
        var width = Math.Max(Width, widths.Sum() + (columns - 1) * Gap + 2 * Margin);

        var y = Margin;
        foreach (var line in Letters.Wrap(Letters.Clean(figure.Title), width - 2 * Margin, TitleSize, bold: true))
            page.Write(line, Margin, (y += 17) - 4, TitleSize, bold: true);
        y = Legend(figure, page, width, y + 4, shapes);
        for (var row = 0; row * columns < places.Count; row++)
        {
            var x = Margin;
            var height = 0f;
            for (var c = 0; c < columns && row * columns + c < places.Count; c++)
            {
                var (panel, place) = (figure.Panels[row * columns + c], places[row * columns + c]);
                var title = Letters.Clean(panel.Title);
                var top = y + (title.Length > 0 ? 17 : 4);
                page.Write(Letters.Fit(title, columns > 1 ? place.DataWidth + 8 : place.Width, PanelTitleSize, bold: true), x + (columns > 1 ? place.Left : 0), top - 5, PanelTitleSize, bold: true, full: title);
                shapes.Add(panel.Grid is null ? ChartPanel.Place(panel, place, page, x, top) : GridPanel.Place(panel, place, page, x, top));
                height = Math.Max(height, top - y + place.Height);
                x += widths[c] + Gap;
            }
            y += height + 10;
        }
        foreach (var line in Letters.Wrap(Letters.Clean(figure.Caption, int.MaxValue), width - 2 * Margin, CaptionSize))
            page.Write(line, Margin, (y += 12.5f) - 3, CaptionSize, page.Theme.Muted);
        return (new SKSize(width, MathF.Ceiling(y + Margin - 4)), canvas => shapes.ForEach(draw => draw(canvas)));
    }

    /// <summary>One entry for each name and style, whichever panel it is of.</summary>
    private static float Legend(Figure figure, Page page, float width, float y, List<Action<SKCanvas>> shapes)
    {
        var entries = figure.Panels.SelectMany(p => p.Series).Where(s => s.Named && s.Name.Length > 0).GroupBy(s => (s.Name, s.Style, s.Mark))
            .Select(g => (g.Key.Name, Draw: (Action<SKCanvas, float, float>)((canvas, x, middle) => ChartPanel.Sample(canvas, page.Theme, g.First(), x, middle)))).ToList();
        var states = figure.Panels.Where(p => p.Grid is not null).SelectMany(p => p.Grid!.States).SelectMany(s => s).Distinct().Where(s => s != CellState.Plain).Order();
        entries.AddRange(states.Select(state => (GridPanel.NameOf(state), (Action<SKCanvas, float, float>)((canvas, x, middle) => GridPanel.Sample(canvas, page.Theme, state, x, middle)))));
        if (entries.Count == 0)
            return y;
        const float Swatch = 26, Between = 14;
        var x = Margin;
        foreach (var (name, draw) in entries)
        {
            var text = Letters.Fit(Letters.Clean(name), width - 2 * Margin - Swatch, LegendSize);
            var taken = Swatch + Letters.Width(text, LegendSize);
            if (x > Margin && x + taken > width - Margin)
                (x, y) = (Margin, y + 15);
            var (left, middle) = (x, y + 7);
            shapes.Add(canvas => draw(canvas, left, middle));
            page.Write(text, x + Swatch, y + 10.5f, LegendSize);
            x += taken + Between;
        }
        return y + 19;
    }
}

/// <summary>How much room a panel takes, and how far the area between its axes lies from its left edge.</summary>
/// <param name="DataWidth">Of that area.</param>
/// <param name="DataHeight">Of that area.</param>
internal sealed record Place(float Width, float Height, float Left, float DataWidth, float DataHeight);

/// <summary>What ScottPlot draws of a panel: everything but text, in a rectangle of the page.</summary>
internal static class Plots
{
    public static Plot New(Theme theme, (double Left, double Right) x, (double Bottom, double Top) y, SKRect data)
    {
        var plot = new Plot();
        plot.RenderManager.ClearCanvasBeforeEachRender = false;
        plot.FigureBackground.Color = plot.DataBackground.Color = Colors.Transparent;
        plot.Axes.SetLimits(x.Left, x.Right, y.Bottom, y.Top);
        plot.Layout.Fixed(new PixelRect(data.Left, data.Right, data.Bottom, data.Top));
        foreach (var axis in plot.Axes.GetAxes())
        {
            axis.TickLabelStyle.IsVisible = false;
            axis.FrameLineStyle.Color = axis.MajorTickStyle.Color = Color.FromHex(theme.Muted);
            axis.FrameLineStyle.Width = axis.MajorTickStyle.Width = 0.8f;
            axis.MajorTickStyle.Length = 3;
            axis.MinorTickStyle.Length = 0;
        }
        plot.Axes.Right.FrameLineStyle.Width = plot.Axes.Top.FrameLineStyle.Width = 0;
        plot.Grid.MajorLineColor = Color.FromHex(theme.Rule);
        plot.Grid.MajorLineWidth = 0.6f;
        return plot;
    }

    public static void Marks(IAxis axis, IEnumerable<double> positions)
    {
        var at = positions.ToArray();
        axis.SetTicks(at, [.. at.Select(_ => "")]);
    }

    /// <summary>The page's rectangle is larger than any that is drawn in.</summary>
    public static void Render(Plot plot, SKCanvas canvas) => plot.Render(canvas, new PixelRect(0, 4096, 65536, 0));
}
