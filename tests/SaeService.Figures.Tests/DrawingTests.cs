using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Xml.Linq;
using SaeService.Figures.Data;
using SaeService.Figures.Painting;
using Xunit;

namespace SaeService.Figures.Tests;

/// <summary>What a picture must be, whatever it is of.</summary>
public sealed class DrawingTests
{
    private static readonly string[] s_hostile =
    [
        "<script>alert(1)</script>", "a\0b\u001b[31mred", "\u202Eevil\u202C", "名词", "اسم فاعل", "\"quoted\" & <b>", "", new string('x', 5000), "broken\uD800", "]]>", "url(#x)", "\uFFFE", "Überlängenwörtersammlung mit Umlauten und noch mehr",
    ];

    public static TheoryData<int, int, bool> Shapes => new() { { 4, 6, true }, { 1, 3, true }, { 2, 1, true }, { 4, 6, false }, { 48, 17, true }, { 13, 90, true } };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Every_figure_is_one_element_with_its_name_and_description_that_runs_and_fetches_nothing(int layers, int labels, bool established)
    {
        foreach (var figure in Documents.Figures(Documents.Of(layers, labels, established: established)))
            foreach (var theme in new[] { Theme.Light, Theme.Dark })
            {
                var root = Parse(FigurePainter.Svg(figure, theme));
                Assert.Equal(figure.Title, root.Elements().First(e => e.Name.LocalName == "title").Value);
                Assert.StartsWith(figure.Alt, root.Elements().First(e => e.Name.LocalName == "desc").Value, StringComparison.Ordinal);
                Assert.Equal("img", root.Attribute("role")!.Value);
                AssertHarmless(root);
            }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void No_text_leaves_the_page_or_lies_on_other_text(int layers, int labels, bool established)
    {
        foreach (var figure in Documents.Figures(Documents.Of(layers, labels, (task, i) => $"{task}:{new string((char)('a' + i % 26), 3 + i * 5 % 60)}{i}", established)))
        {
            var root = Parse(FigurePainter.Svg(figure, Theme.Light));
            var (width, height) = (Number(root, "width"), Number(root, "height"));
            var boxes = root.Elements().Where(e => e.Name.LocalName == "text").Select(Box).ToList();
            foreach (var (text, left, top, right, bottom) in boxes)
                Assert.True(left >= 0 && top >= 0 && right <= width && bottom <= height, $"{figure.Name}: '{text}' at {left:0},{top:0} to {right:0},{bottom:0} of {width} x {height}");
            for (var i = 0; i < boxes.Count; i++)
                for (var j = 0; j < i; j++)
                    Assert.False(boxes[i].Left < boxes[j].Right && boxes[j].Left < boxes[i].Right && boxes[i].Top < boxes[j].Bottom && boxes[j].Top < boxes[i].Bottom,
                        $"{figure.Name}: '{boxes[i].Text}' lies on '{boxes[j].Text}'");
        }
    }

    [Fact]
    public void Hostile_labels_are_text_and_nothing_else()
    {
        var document = Documents.Of(5, s_hostile.Length, (_, i) => s_hostile[i], model: "<img src=x onerror=alert(1)>");
        foreach (var figure in Documents.Figures(document))
        {
            var root = Parse(FigurePainter.Svg(figure, Theme.Light));
            AssertHarmless(root);
            Assert.DoesNotContain(root.Value, c => char.IsControl(c) || c is '\u202E' or '\u202C' or '\uFFFE');
            Assert.NotEmpty(FigurePainter.Png(figure, Theme.Light));
        }
        var heatmap = Parse(FigurePainter.Svg(Heatmap.Of(document, "pos")!, Theme.Light));
        var texts = heatmap.Elements().Where(e => e.Name.LocalName == "text").Select(e => e.Nodes().OfType<XText>().Single().Value).ToList();
        // Readable where the reader has a font, whatever this machine has.
        Assert.Contains("<script>alert(1)</script>", texts);
        Assert.Contains("名词", texts);
        Assert.Contains("اسم فاعل", texts);
        Assert.Contains("(blank)", texts);
        Assert.Contains("a b [31mred", texts);
        Assert.Contains("evil", texts);
        Assert.Contains("broken\uFFFD", texts);
        Assert.All(texts, t => Assert.True(t.Length < 400));
    }

    [Fact]
    public void Equal_documents_have_equal_bytes_whatever_was_drawn_between()
    {
        var first = Documents.Figures(Documents.Of()).Select(Drawn).ToList();
        Documents.Figures(Documents.Of(7, 9)).ToList().ForEach(f => Drawn(f));
        Assert.Equal(first, Documents.Figures(Documents.Of()).Select(Drawn));
        Assert.Equal(first.Count, first.Distinct().Count());

        static string Drawn(Figure figure) => Convert.ToBase64String([.. FigurePainter.Svg(figure, Theme.Dark), .. FigurePainter.Png(figure, Theme.Dark)]);
    }

    [Fact]
    public void A_picture_has_two_pixels_for_one_of_the_vector_graphic_and_a_theme_its_background()
    {
        var figure = InformationCurves.Of(Documents.Of(), "pos")!;
        var root = Parse(FigurePainter.Svg(figure, Theme.Dark));
        var png = FigurePainter.Png(figure, Theme.Dark);
        Assert.Equal("\x89PNG", Encoding.Latin1.GetString(png, 0, 4));
        Assert.Equal((2 * (int)Number(root, "width"), 2 * (int)Number(root, "height")), (BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)), BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20))));
        Assert.Equal(Theme.Dark.Background, root.Elements().First(e => e.Name.LocalName == "rect").Attribute("fill")!.Value);
        Assert.Throws<ArgumentException>(() => Theme.Named("sepia"));
    }

    [Fact]
    public void Ids_of_two_figures_on_one_page_differ()
    {
        var ids = Documents.Figures(Documents.Of()).SelectMany(f => Parse(FigurePainter.Svg(f, Theme.Light)).DescendantsAndSelf().Attributes("id").Select(a => a.Value)).ToList();
        Assert.NotEmpty(ids);
        Assert.Equal(ids.Count, ids.Distinct().Count());
    }

    private static XElement Parse(byte[] svg) => XDocument.Parse(Encoding.UTF8.GetString(svg)).Root!;

    private static void AssertHarmless(XElement root)
    {
        string[] known = ["svg", "title", "desc", "rect", "path", "ellipse", "circle", "line", "polyline", "polygon", "g", "clipPath", "text"];
        var ids = root.DescendantsAndSelf().Attributes("id").Select(a => $"url(#{a.Value})").ToHashSet();
        foreach (var element in root.DescendantsAndSelf())
        {
            Assert.Contains(element.Name.LocalName, known);
            foreach (var attribute in element.Attributes().Where(a => !a.IsNamespaceDeclaration))
            {
                Assert.False(attribute.Name.LocalName.StartsWith("on", StringComparison.OrdinalIgnoreCase) || attribute.Name.LocalName is "href" or "style" or "src", $"{attribute}");
                Assert.True(!attribute.Value.Contains("url(", StringComparison.Ordinal) || ids.Contains(attribute.Value), $"{attribute}");
            }
        }
    }

    private static double Number(XElement element, string attribute) => double.Parse(element.Attribute(attribute)!.Value, CultureInfo.InvariantCulture);

    /// <summary>From the baseline up to the height of capitals, along the width the letters have in the service's font.</summary>
    private static (string Text, double Left, double Top, double Right, double Bottom) Box(XElement element)
    {
        var text = element.Nodes().OfType<XText>().Single().Value;
        var size = Number(element, "font-size");
        double width = Letters.Width(text, (float)size, element.Attribute("font-weight") is not null);
        var (x, y) = (Number(element, "x"), Number(element, "y"));
        var before = element.Attribute("text-anchor")?.Value switch { "middle" => width / 2, "end" => width, _ => 0 };
        return element.Attribute("transform") is null
            ? (text, x - before, y - 0.7 * size, x - before + width, y)
            : (text, x - 0.7 * size, y + before - width, x, y + before); // turned to run upwards
    }
}
