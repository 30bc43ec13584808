using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using SkiaSharp;

namespace SaeService.Figures.Painting;

/// <summary>What a figure is drawn on, at 96 pixels to the inch: shapes go to the canvas at once, text is kept and laid over them in the end.</summary>
internal sealed class Page(Theme theme)
{
    private readonly List<Text> _texts = [];

    public Theme Theme => theme;

    private sealed record Text(string Content, float X, float Y, float Size, bool Bold, string Colour, Anchor Anchor, float Angle, string? Full);

    /// <param name="text">Clean.</param>
    /// <param name="y">Of the baseline.</param>
    /// <param name="angle">Degrees clockwise about the anchor.</param>
    /// <param name="full">What was cut, if it was.</param>
    public void Write(string text, float x, float y, float size, string? colour = null, Anchor anchor = Anchor.Start, bool bold = false, float angle = 0, string? full = null)
    {
        if (text.Length > 0)
            _texts.Add(new Text(text, x, y, size, bold, colour ?? theme.Ink, anchor, angle, full == text ? null : full));
    }

    /// <summary>PNG at 192 pixels to the inch.</summary>
    public byte[] Png(SKSize size, Action<SKCanvas> shapes)
    {
        const float Scale = 2;
        using var surface = SKSurface.Create(new SKImageInfo((int)MathF.Ceiling(size.Width * Scale), (int)MathF.Ceiling(size.Height * Scale), SKColorType.Rgba8888, SKAlphaType.Opaque))
            ?? throw new InvalidOperationException($"a picture of {size.Width} x {size.Height} pixels does not fit in memory");
        surface.Canvas.Clear(Theme.Skia(theme.Background));
        surface.Canvas.Scale(Scale);
        shapes(surface.Canvas);
        foreach (var text in _texts)
        {
            surface.Canvas.Save();
            surface.Canvas.Translate(text.X, text.Y);
            surface.Canvas.RotateDegrees(text.Angle);
            Letters.Draw(surface.Canvas, text.Content, 0, 0, text.Size, text.Bold, Theme.Skia(text.Colour), text.Anchor);
            surface.Canvas.Restore();
        }
        using var image = surface.Snapshot();
        using var data = image.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    /// <summary>
    /// Stands alone and inside HTML: text is text, nothing outside is referred to, nothing runs, and ids begin with the figure's name so that several can stand on one page.
    /// </summary>
    public byte[] Svg(SKSize size, Figure figure, Action<SKCanvas> shapes)
    {
        using var stream = new MemoryStream();
        using (var canvas = SKSvgCanvas.Create(SKRect.Create(size), stream))
            shapes(canvas);
        stream.Position = 0;
        var drawn = XDocument.Load(stream).Root!;
        Rename(drawn, Id(figure.Name));
        XNamespace svg = "http://www.w3.org/2000/svg";
        var (title, description) = ($"{Id(figure.Name)}-title", $"{Id(figure.Name)}-desc");
        var root = new XElement(svg + "svg", new XAttribute("width", Number(size.Width)), new XAttribute("height", Number(size.Height)),
            new XAttribute("viewBox", $"0 0 {Number(size.Width)} {Number(size.Height)}"), new XAttribute("role", "img"), new XAttribute("aria-labelledby", $"{title} {description}"),
            new XAttribute("font-family", Letters.Family),
            new XElement(svg + "title", new XAttribute("id", title), Letters.Clean(figure.Title)),
            new XElement(svg + "desc", new XAttribute("id", description), Letters.Clean($"{figure.Alt} {figure.Caption}", int.MaxValue)),
            new XElement(svg + "rect", new XAttribute("width", "100%"), new XAttribute("height", "100%"), new XAttribute("fill", theme.Background)));
        root.Add(drawn.Elements());
        foreach (var text in _texts)
        {
            var element = new XElement(svg + "text", new XAttribute("x", Number(text.X)), new XAttribute("y", Number(text.Y)), new XAttribute("font-size", Number(text.Size)),
                new XAttribute("fill", text.Colour));
            if (text.Bold)
                element.Add(new XAttribute("font-weight", "bold"));
            if (text.Anchor != Anchor.Start)
                element.Add(new XAttribute("text-anchor", text.Anchor == Anchor.Middle ? "middle" : "end"));
            if (text.Angle != 0)
                element.Add(new XAttribute("transform", $"rotate({Number(text.Angle)} {Number(text.X)} {Number(text.Y)})"));
            if (text.Full is not null)
                element.Add(new XElement(svg + "title", text.Full));
            element.Add(text.Content);
            root.Add(element);
        }
        using var written = new MemoryStream();
        using (var writer = XmlWriter.Create(written, new XmlWriterSettings { OmitXmlDeclaration = true, Encoding = new UTF8Encoding(false) }))
            root.WriteTo(writer);
        return written.ToArray();
    }

    /// <summary>Skia counts its ids over all pictures there have been: counted anew, equal pictures have equal bytes.</summary>
    private static void Rename(XElement drawn, string prefix)
    {
        var names = drawn.Descendants().Attributes("id").Select((id, i) => (id.Value, New: $"{prefix}-{i}")).ToDictionary(p => p.Value, p => p.New);
        foreach (var attribute in drawn.Descendants().Attributes())
            if (attribute.Name == "id")
                attribute.Value = names[attribute.Value];
            else if (attribute.Value.StartsWith("url(#", StringComparison.Ordinal))
                attribute.Value = $"url(#{names[attribute.Value[5..^1]]})";
    }

    /// <summary>Names of tasks are the user's; an id has no spaces.</summary>
    private static string Id(string name) => string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-'));

    private static string Number(float value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
