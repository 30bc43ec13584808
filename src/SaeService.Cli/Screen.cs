using Spectre.Console;

namespace SaeService.Cli;

/// <summary>Where tables go: a terminal, which has a width and colours, or a file or pipe, which should get plain text that another program can cut.</summary>
internal static class Screen
{
    private const int PlainWidth = 1000;

    public static bool IsTerminal => !Console.IsOutputRedirected;

    /// <summary>Call before the first table: away from a terminal there is no width to fit, so that no cell is cut.</summary>
    public static void Prepare()
    {
        if (!IsTerminal)
            AnsiConsole.Profile.Width = PlainWidth;
    }

    /// <summary>Lines around the cells for the eye, none for a program.</summary>
    public static Table Table(string? title = null)
    {
        Prepare();
        var table = new Table { Border = IsTerminal ? TableBorder.Rounded : TableBorder.None };
        if (title is not null)
            table.Title = IsTerminal ? new TableTitle(Markup.Escape(title)) : new TableTitle(Markup.Escape(title), Style.Plain);
        return table;
    }

    /// <summary>Eighths of a character fill a bar of <paramref name="width"/> characters; plain text has # and dots.</summary>
    public static string Bar(double fraction, int width)
    {
        fraction = Math.Clamp(fraction, 0, 1);
        if (!IsTerminal)
            return new string('#', (int)Math.Round(fraction * width)).PadRight(width, '.');
        var eighths = (int)Math.Round(fraction * width * 8);
        var bar = new string('█', eighths / 8) + (eighths % 8 == 0 ? "" : ((char)('▉' + 7 - eighths % 8)).ToString());
        return bar.PadRight(width, '·');
    }
}
