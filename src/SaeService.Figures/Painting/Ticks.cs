using System.Globalization;

namespace SaeService.Figures.Painting;

/// <summary>Where an axis has marks, and what stands at them. Positions are in what is drawn: log10 of the value on a logarithmic axis.</summary>
internal static class Ticks
{
    public static double Position(PlotAxis axis, double value) => axis.Log ? Math.Log10(Math.Max(value, axis.Min)) : value;

    public static (double Low, double High) Limits(PlotAxis axis) => (Position(axis, axis.Min), Position(axis, axis.Max));

    /// <param name="most">Marks there is room for.</param>
    public static List<(double Position, string Label)> Of(PlotAxis axis, int most)
    {
        if (axis.Categories is { } categories)
            return [.. categories.Select((name, i) => ((double)i, Letters.Label(name)))];
        var (low, high) = Limits(axis);
        if (axis.Log)
        {
            var decades = Enumerable.Range((int)Math.Ceiling(low - 1e-9), Math.Max(0, (int)Math.Floor(high + 1e-9) - (int)Math.Ceiling(low - 1e-9) + 1)).ToList();
            var every = Math.Max(1, (decades.Count + most - 1) / Math.Max(most, 1));
            return [.. decades.Where(d => d % every == 0).Select(d => ((double)d, Decade(d)))];
        }
        var step = Step((high - low) / Math.Max(most, 1), axis.Whole);
        var marks = new List<(double, string)>();
        for (var i = (long)Math.Ceiling(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
            marks.Add((i * step, Number(i * step, step, high)));
        return marks;
    }

    private static double Step(double least, bool whole)
    {
        if (!(least > 0))
            return 1;
        var decade = Math.Pow(10, Math.Floor(Math.Log10(least)));
        var step = decade * (least / decade) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        return whole ? Math.Max(1, Math.Round(step)) : step;
    }

    private static string Number(double value, double step, double high)
    {
        if (value == 0)
            return "0";
        var (unit, name) = high switch { >= 1e6 => (1e6, " M"), >= 2e4 => (1e3, " k"), _ => (1, "") };
        var decimals = Math.Clamp((int)Math.Ceiling(-Math.Log10(step / unit) - 1e-9), 0, 9);
        return (value / unit).ToString($"F{decimals}", CultureInfo.InvariantCulture).Replace('-', '−') + name;
    }

    private static string Decade(int d) => d is >= 0 and <= 4 ? Math.Pow(10, d).ToString("#,0", CultureInfo.InvariantCulture) : $"1e{d}";
}
