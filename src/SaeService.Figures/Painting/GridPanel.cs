using System.Globalization;
using ScottPlot;
using SkiaSharp;

namespace SaeService.Figures.Painting;

/// <summary>Cells with their numbers in them, names of rows and columns beside them, and the scale of colours to the right.</summary>
internal static class GridPanel
{
    private const float LabelSize = 10.5f, NumberSize = 9, LongestLabel = 130;

    public static string NameOf(CellState state) => state switch
    {
        CellState.Established => "established",
        CellState.Suggestive => "suggestive: a gate fails",
        CellState.NotEstablished => "not established",
        _ => "",
    };

    public static Place Measure(Panel panel, float room)
    {
        var grid = panel.Grid!;
        var (rows, columns) = (panel.Y.Categories!.Count, panel.X.Categories!.Count);
        var left = Labels(panel.Y).Select(l => Letters.Width(l, LabelSize)).DefaultIfEmpty(0).Max() + 8 + (panel.Y.Title.Length > 0 ? 16 : 0);
        const float Right = ColourBar.Room;
        var number = grid.Values.SelectMany(r => r).Select(v => Letters.Width(Number(v, grid.Decimals), NumberSize)).DefaultIfEmpty(0).Max();
        var cell = Math.Clamp((room - left - Right) / columns, Math.Max(number + 5, 16), Math.Max(number + 5, 44));
        if (Dense(panel))
            cell = DenseRow;
        var height = Math.Max(rows * RowHeight(panel), 84);
        return new Place(left + columns * cell + Right, height + ColumnRoom(panel, cell) + 20, left, columns * cell, rows * RowHeight(panel));
    }

    public static Action<SKCanvas> Place(Panel panel, Place place, Page page, float x, float top)
    {
        var grid = panel.Grid!;
        var data = SKRect.Create(x + place.Left, top, place.DataWidth, place.DataHeight);
        var (cellWidth, cellHeight) = (data.Width / panel.X.Categories!.Count, RowHeight(panel));
        var rows = panel.Y.Categories!;
        foreach (var (label, r) in Labels(panel.Y).Select((l, r) => (l, r)))
            page.Write(label, data.Left - 6, data.Top + (r + 0.5f) * cellHeight + 3.6f, LabelSize, anchor: Anchor.End, full: Letters.Label(rows[r]));
        var columnRoom = ColumnRoom(panel, cellWidth);
        foreach (var (label, c) in Labels(panel.X).Select((l, c) => (l, c)))
            if (Upright(panel, cellWidth))
                page.Write(label, data.Left + (c + 0.5f) * cellWidth, data.Bottom + 13, LabelSize, anchor: Anchor.Middle);
            else
                page.Write(label, data.Left + (c + 0.5f) * cellWidth + 3.6f, data.Bottom + 6, LabelSize, anchor: Anchor.End, angle: -90, full: Letters.Label(panel.X.Categories[c]));
        page.Write(panel.X.Title, data.MidX, data.Bottom + columnRoom + 11, LabelSize, anchor: Anchor.Middle);
        if (panel.Y.Title.Length > 0)
            page.Write(panel.Y.Title, x + 9, data.MidY, LabelSize, anchor: Anchor.Middle, angle: -90);
        for (var r = 0; r < grid.Values.Count; r++)
            for (var c = 0; c < grid.Values[r].Count; c++)
                if (grid.Values[r][c] is { } value)
                    page.Write(Number(value, grid.Decimals), data.Left + (c + 0.5f) * cellWidth, data.Top + (r + 0.5f) * cellHeight + 3.2f, NumberSize,
                        Cells.Ink(page.Theme, page.Theme.Of(grid.Scale, value), grid.States[r][c]), Anchor.Middle);
        if (grid.Scale.Title.Length > 0)
            ColourBar.Write(grid.Scale, page, data);
        return canvas =>
        {
            using var plot = Plots.New(page.Theme, (-0.5, panel.X.Categories.Count - 0.5), (rows.Count - 0.5, -0.5), data);
            plot.HideGrid();
            Plots.Marks(plot.Axes.Bottom, []);
            Plots.Marks(plot.Axes.Left, []);
            plot.Axes.Bottom.FrameLineStyle.Width = plot.Axes.Left.FrameLineStyle.Width = 0;
            plot.PlottableList.Add(new Cells(grid, page.Theme));
            Plots.Render(plot, canvas);
            if (grid.Scale.Title.Length > 0)
                ColourBar.Draw(canvas, page.Theme, grid.Scale, data);
        };
    }

    /// <summary>The swatch of a legend.</summary>
    public static void Sample(SKCanvas canvas, Theme theme, CellState state, float x, float middle)
    {
        using var paint = Paint.NewDisposablePaint();
        Cells.Draw(canvas, paint, theme, new PixelRect(x + 2, x + 20, middle + 6, middle - 6), theme.Of(new ColourScale("", 0, 1, false), 0.75), state);
    }

    /// <summary>Without the zero before the point, which says nothing and takes room.</summary>
    private static string Number(double? value, int decimals)
    {
        if (value is not { } number || decimals < 0)
            return "";
        var text = number.ToString($"F{decimals}", CultureInfo.InvariantCulture);
        if (text.Trim('-', '0', '.').Length == 0)
            return "0";
        return text.StartsWith("0.", StringComparison.Ordinal) ? text[1..] : text.StartsWith("-0.", StringComparison.Ordinal) ? $"−{text[2..]}" : text.Replace('-', '−');
    }

    /// <summary>So many cells that numbers in them would fill pages.</summary>
    private static bool Dense(Panel panel) => panel.Grid!.Decimals < 0 && panel.X.Categories!.Count > 24;

    private const float DenseRow = 15;

    private static float RowHeight(Panel panel) => Dense(panel) ? DenseRow : 20;

    private static IEnumerable<string> Labels(PlotAxis axis) => axis.Categories!.Select(name => Letters.Fit(Letters.Label(name), LongestLabel, LabelSize));

    private static bool Upright(Panel panel, float cell) => Labels(panel.X).All(l => Letters.Width(l, LabelSize) <= cell - 2);

    private static float ColumnRoom(Panel panel, float cell) => Upright(panel, cell) ? 16 : Labels(panel.X).Max(l => Letters.Width(l, LabelSize)) + 10;

    /// <summary>The cells as ScottPlot has things to plot.</summary>
    private sealed class Cells(Grid grid, Theme theme) : IPlottable
    {
        public bool IsVisible { get; set; } = true;
        public IAxes Axes { get; set; } = new Axes();
        public IEnumerable<LegendItem> LegendItems => [];

        public AxisLimits GetAxisLimits() => new(-0.5, grid.Values[0].Count - 0.5, grid.Values.Count - 0.5, -0.5);

        public void Render(RenderPack rp)
        {
            for (var r = 0; r < grid.Values.Count; r++)
                for (var c = 0; c < grid.Values[r].Count; c++)
                {
                    var (corner, opposite) = (Axes.GetPixel(new Coordinates(c - 0.5, r - 0.5)), Axes.GetPixel(new Coordinates(c + 0.5, r + 0.5)));
                    Draw(rp.Canvas, rp.Paint, theme, new PixelRect(corner.X + 0.5f, opposite.X - 0.5f, opposite.Y - 0.5f, corner.Y + 0.5f),
                        grid.Values[r][c] is { } value ? theme.Of(grid.Scale, value) : null, grid.States[r][c]);
                }
        }

        private static readonly float[] s_wide = [4, 8], s_narrow = [4];

        /// <summary>Of the number on it.</summary>
        public static string Ink(Theme theme, Color colour, CellState state) => state == CellState.NotEstablished ? theme.Muted : Theme.InkOn(Fill(theme, colour, state));

        private static Color Fill(Theme theme, Color colour, CellState state) => state switch
        {
            CellState.NotEstablished => Color.FromHex(theme.Empty),
            CellState.Suggestive => theme.Pale(colour),
            _ => colour,
        };

        /// <param name="colour">Null: an empty cell.</param>
        public static void Draw(SKCanvas canvas, Paint paint, Theme theme, PixelRect cell, Color? colour, CellState state)
        {
            Drawing.FillRectangle(canvas, cell, paint, new FillStyle { Color = colour is { } full ? Fill(theme, full, state) : Color.FromHex(theme.Empty), AntiAlias = true });
            if (colour is null || state != CellState.Suggestive)
                return;
            // Strokes along the corners leave the number free.
            var style = new LineStyle { Color = Color.FromHex(theme.Muted), Width = 0.7f, AntiAlias = true };
            foreach (var cut in cell.Width < 32 ? s_narrow : s_wide)
            {
                Drawing.DrawLine(canvas, paint, new PixelLine(cell.Left, cell.Top + cut, cell.Left + cut, cell.Top), style);
                Drawing.DrawLine(canvas, paint, new PixelLine(cell.Right - cut, cell.Bottom, cell.Right, cell.Bottom - cut), style);
            }
        }
    }
}
