namespace SaeService.Figures;

/// <summary>A picture as data: exactly what is drawn, and nothing that is not.</summary>
/// <param name="Name">Of its address: <c>heatmap-pos</c>.</param>
/// <param name="Alt">What it shows, in a sentence or two, for those who can not see it.</param>
/// <param name="Caption">How to read it, what the intervals are, and n.</param>
public sealed record Figure(string Name, string Title, string Alt, string Caption, IReadOnlyList<Panel> Panels)
{
    /// <summary>Panels side by side.</summary>
    public int Columns { get; init; } = 1;
}

/// <summary>Axes with series on them, or a grid of cells.</summary>
/// <param name="X">Of a grid: its columns, as categories.</param>
/// <param name="Y">Of a grid: its rows, the first at the top.</param>
public sealed record Panel(string Title, PlotAxis X, PlotAxis Y)
{
    public IReadOnlyList<Series> Series { get; init; } = [];
    public Grid? Grid { get; init; }

    /// <summary>Of the colours that points with a value have.</summary>
    public ColourScale? Scale { get; init; }

    /// <summary>Pixels at 96 to the inch, of the area between the axes; null for a grid, whose cells decide.</summary>
    public double? Height { get; init; }
}

/// <summary>From left to right, or from below to above; categories stand at 0, 1, 2 …, on a vertical axis from above.</summary>
/// <param name="Title">With the unit.</param>
public sealed record PlotAxis(string Title, double Min, double Max)
{
    public bool Log { get; init; }

    /// <summary>Where only whole numbers mean something, as layers.</summary>
    public bool Whole { get; init; }
    public IReadOnlyList<string>? Categories { get; init; }

    public static PlotAxis Of(string title, IReadOnlyList<string> categories) => new(title, -0.5, categories.Count - 0.5) { Categories = categories };

    /// <summary>Layer numbers, with half a layer to spare on each side.</summary>
    public static PlotAxis OfLayers(IReadOnlyCollection<int> layers) => new("layer", layers.Min() - 0.5, layers.Max() + 0.5) { Whole = true };
}

public enum Mark { Line, Points, Bars }

/// <summary>Points in order, all lists of one length. Null where there is none.</summary>
/// <param name="Style">Colour, dash and marker; series of one meaning have one style in all figures.</param>
public sealed record Series(string Name, Mark Mark, SeriesStyle Style, IReadOnlyList<double> X, IReadOnlyList<double?> Y)
{
    /// <summary>Ends of the interval: a band around a line, a bar through a point.</summary>
    public IReadOnlyList<double?>? Low { get; init; }
    public IReadOnlyList<double?>? High { get; init; }

    /// <summary>Ends of the interval along the other axis.</summary>
    public IReadOnlyList<double?>? XLow { get; init; }
    public IReadOnlyList<double?>? XHigh { get; init; }

    /// <summary>Of bars: where each starts and ends along x (<see cref="XHigh"/>), and from where it rises; stacked bars rise from the one below.</summary>
    public IReadOnlyList<double>? Base { get; init; }

    /// <summary>What colour (or, of a small bar, its share) stands for.</summary>
    public IReadOnlyList<double>? Value { get; init; }

    /// <summary>What each point rests on.</summary>
    public IReadOnlyList<int>? N { get; init; }

    /// <summary>What each point is, where that is not its x.</summary>
    public IReadOnlyList<string>? Of { get; init; }

    /// <summary>Whether the legend names it.</summary>
    public bool Named { get; init; } = true;

    /// <summary>A line without markers.</summary>
    public bool Plain { get; init; }
}

public enum SeriesStyle { Main, Second, Third, Fourth, Fifth, Sixth, Muted }

public enum CellState { Plain, Established, Suggestive, NotEstablished }

/// <summary>Rows x columns. Null: no such cell.</summary>
/// <param name="Values">[row][column].</param>
/// <param name="States">[row][column].</param>
/// <param name="Scale">Without a title: marks, not magnitudes.</param>
/// <param name="Decimals">Digits after the point of the numbers that stand in the cells; below 0 none do.</param>
public sealed record Grid(IReadOnlyList<IReadOnlyList<double?>> Values, IReadOnlyList<IReadOnlyList<CellState>> States, ColourScale Scale, int Decimals)
{
    /// <summary>[row][column].</summary>
    public IReadOnlyList<IReadOnlyList<int?>>? N { get; init; }
}

/// <param name="Diverging">Two colours that part at 0, where it has a meaning; else one scale, small values near the page.</param>
public sealed record ColourScale(string Title, double Min, double Max, bool Diverging)
{
    /// <summary>Of points, which lie on the page itself.</summary>
    public bool OnPage { get; init; }
}
