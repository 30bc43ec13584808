using SkiaSharp;

namespace SaeService.Figures.Painting;

/// <summary>What colours stand for, to the right of a panel.</summary>
internal static class ColourBar
{
    public const float Room = 66;
    private const float Width = 10, NumberSize = 9, TitleSize = 10.5f;

    public static void Write(ColourScale scale, Page page, SKRect data)
    {
        var bar = Bar(data);
        foreach (var (position, label) in Ticks.Of(new PlotAxis("", scale.Min, scale.Max), (int)(bar.Height / 28)))
            page.Write(label, bar.Right + 4, (float)(bar.Bottom - (position - scale.Min) / Math.Max(scale.Max - scale.Min, 1e-12) * bar.Height) + 3.2f, NumberSize, page.Theme.Muted);
        page.Write(Letters.Fit(scale.Title, bar.Height, TitleSize), bar.Right + 40, bar.MidY, TitleSize, anchor: Anchor.Middle, angle: -90, full: scale.Title);
    }

    public static void Draw(SKCanvas canvas, Theme theme, ColourScale scale, SKRect data)
    {
        const int Steps = 40;
        var bar = Bar(data);
        using var paint = new SKPaint { IsAntialias = false };
        for (var i = 0; i < Steps; i++)
        {
            paint.Color = theme.Of(scale, scale.Min + (scale.Max - scale.Min) * (i + 0.5) / Steps).ToSKColor();
            // A little overlap, so that nothing shines through between them.
            canvas.DrawRect(SKRect.Create(bar.Left, bar.Bottom - (i + 1) * bar.Height / Steps, bar.Width, bar.Height / Steps + (i == 0 ? 0 : 0.5f)), paint);
        }
    }

    private static SKRect Bar(SKRect data) => SKRect.Create(data.Right + 14, data.Top, Width, Math.Clamp(data.Height, 84, 180));
}
