using ScottPlot;
using SkiaSharp;

namespace SaeService.Figures.Painting;

/// <summary>
/// Colours. Series have those of Okabe and Ito (2008), which eyes of all kinds tell apart, and differ in dash and marker as well; magnitudes have cividis (Nuñez et al.
/// 2018) on dark and ColorBrewer's YlGnBu on light pages, signed values its RdBu.
/// </summary>
/// <param name="Series">By <see cref="SeriesStyle"/>.</param>
public sealed record Theme(string Background, string Ink, string Muted, string Rule, string Empty, IReadOnlyList<string> Series)
{
    public static Theme Light { get; } = new("#FEFEFE", "#1B1F24", "#57606A", "#D8DEE4", "#ECEFF2",
        ["#0072B2", "#D55E00", "#009E73", "#B8609A", "#A87400", "#56B4E9", "#8A929B"]);

    public static Theme Dark { get; } = new("#14181D", "#E6EAEE", "#A3ADB8", "#333B44", "#262C33",
        ["#56B4E9", "#E69F00", "#2FC79B", "#CC79A7", "#F0E442", "#B9D9F0", "#7D8792"]);

    /// <exception cref="ArgumentException">Unknown.</exception>
    public static Theme Named(string name) => name switch
    {
        "light" => Light,
        "dark" => Dark,
        _ => throw new ArgumentException("is not known; known: light, dark"),
    };

    private static readonly Color[] s_ink = Color.FromHex(["#FFFFD9", "#EDF8B1", "#C7E9B4", "#7FCDBB", "#41B6C4", "#1D91C0", "#225EA8", "#253494", "#081D58"]);
    private static readonly Color[] s_light = Color.FromHex(["#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838"]);
    private static readonly Color[] s_diverging = Color.FromHex(["#2166AC", "#67A9CF", "#F7F7F7", "#EF8A62", "#B2182B"]);
    private static readonly Color[] s_pointsOnLight = Color.FromHex(["#0072B2", "#8C9299", "#D55E00"]);
    private static readonly Color[] s_pointsOnDark = Color.FromHex(["#56B4E9", "#8C9299", "#E69F00"]);

    internal Color Of(SeriesStyle style) => Color.FromHex(Series[(int)style]);

    internal static LinePattern Dash(SeriesStyle style) => style switch
    {
        SeriesStyle.Second => LinePattern.Dashed,
        SeriesStyle.Third => LinePattern.Dotted,
        SeriesStyle.Fourth => LinePattern.DenselyDashed,
        SeriesStyle.Muted => LinePattern.Dotted,
        _ => LinePattern.Solid,
    };

    internal static MarkerShape Marker(SeriesStyle style) => style switch
    {
        SeriesStyle.Main => MarkerShape.FilledCircle,
        SeriesStyle.Second => MarkerShape.FilledDiamond,
        SeriesStyle.Third => MarkerShape.FilledTriangleUp,
        SeriesStyle.Fourth => MarkerShape.FilledSquare,
        SeriesStyle.Fifth => MarkerShape.FilledTriangleDown,
        SeriesStyle.Sixth => MarkerShape.OpenCircle,
        _ => MarkerShape.None,
    };

    internal Color Of(ColourScale scale, double value)
    {
        var extent = scale.Max - scale.Min;
        var share = extent > 0 ? Math.Clamp((value - scale.Min) / extent, 0, 1) : scale.Diverging ? 0.5 : 0;
        var dark = ReferenceEquals(this, Dark);
        // More ink, or more light, for more: in cells small values are near the page; points must be seen on it, whatever they are.
        var stops = (scale.OnPage, scale.Diverging) switch
        {
            (true, _) => dark ? s_pointsOnDark : s_pointsOnLight,
            (_, true) => s_diverging,
            _ => dark ? s_light : s_ink,
        };
        var at = share * (stops.Length - 1);
        var below = Math.Min((int)at, stops.Length - 2);
        return Mix(stops[below], stops[below + 1], at - below);
    }

    private static Color Mix(Color from, Color to, double share)
    {
        byte Of(byte a, byte b) => (byte)Math.Round(a + (b - a) * share);
        return new Color(Of(from.R, to.R), Of(from.G, to.G), Of(from.B, to.B));
    }

    /// <summary>Of a cell whose value is not established: most of the way to the empty cell's.</summary>
    internal Color Pale(Color colour) => Mix(colour, Color.FromHex(Empty), 0.62);

    /// <summary>Black or white, whichever is read more easily on it (relative luminance, WCAG 2).</summary>
    internal static string InkOn(Color colour)
    {
        static double Linear(byte c) => c <= 10 ? c / 255.0 / 12.92 : Math.Pow((c / 255.0 + 0.055) / 1.055, 2.4);
        var luminance = 0.2126 * Linear(colour.R) + 0.7152 * Linear(colour.G) + 0.0722 * Linear(colour.B);
        return luminance > 0.18 ? "#101010" : "#FCFCFC";
    }

    internal static SKColor Skia(string hex) => SKColor.Parse(hex);
}
