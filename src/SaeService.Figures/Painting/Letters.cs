using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using SkiaSharp;
using SkiaSharp.HarfBuzz;

namespace SaeService.Figures.Painting;

public enum Anchor { Start, Middle, End }

/// <summary>
/// Text: made harmless, measured, cut to fit, and drawn on bitmaps. The font comes with the service (Liberation Sans, as wide as Arial), so that figures are the same on a
/// machine without any; letters that it lacks are taken from the first installed font that has them, shaped by HarfBuzz, and are boxes where none has. SVG keeps text as
/// text, which is the reader's machine's to draw.
/// </summary>
internal static class Letters
{
    public const string Family = "Liberation Sans, Arial, Helvetica, sans-serif";

    /// <summary>Labels longer than this are cut before anything is measured.</summary>
    private const int LongestLabel = 400;

    private static readonly SKTypeface s_regular = Embedded("LiberationSans-Regular.ttf");
    private static readonly SKTypeface s_bold = Embedded("LiberationSans-Bold.ttf");
    private static readonly ConcurrentDictionary<int, SKTypeface?> s_fallbacks = new();

    /// <summary>Looked at before all other installed fonts.</summary>
    private static readonly string[] s_preferred = ["Noto Sans CJK SC", "Noto Sans SC", "WenQuanYi Micro Hei", "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans Hebrew", "DejaVu Sans"];

    /// <summary>Without control and formatting characters (which turn text around), broken surrogates and what XML can not hold.</summary>
    public static string Clean(string text, int longest = LongestLabel)
    {
        var clean = new StringBuilder(Math.Min(text.Length, longest));
        var rest = text.AsSpan();
        while (rest.Length > 0 && clean.Length < longest)
        {
            var whole = Rune.DecodeFromUtf16(rest, out var rune, out var taken) == OperationStatus.Done;
            rest = rest[taken..];
            if (!whole || rune.Value is 0xFFFE or 0xFFFF)
                clean.Append('\uFFFD');
            else if (Rune.IsControl(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator)
                clean.Append(' ');
            else if (Rune.GetUnicodeCategory(rune) != UnicodeCategory.Format || rune.Value is 0x200C or 0x200D) // joiners are letters' business
                clean.Append(rune);
        }
        return clean.ToString().Trim();
    }

    /// <summary>A label is always seen.</summary>
    public static string Label(string text) => Clean(text) is { Length: > 0 } clean ? clean : "(blank)";

    public static float Width(string text, float size, bool bold = false) => Runs(text, bold).Sum(r => Measure(r, size));

    /// <summary>Cut in the middle: labels of a family often differ at their ends.</summary>
    public static string Fit(string text, float width, float size, bool bold = false)
    {
        if (Width(text, size, bold) <= width)
            return text;
        var letters = StringInfo.ParseCombiningCharacters(text);
        int low = 0, high = letters.Length - 1; // letters kept
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (Width(Cut(middle), size, bold) <= width)
                low = middle;
            else
                high = middle - 1;
        }
        return Cut(low);

        string Cut(int kept) => kept == 0 ? "…" : $"{text[..letters[(kept + 1) / 2]]}…{(kept < 2 ? "" : text[letters[letters.Length - kept / 2]..])}";
    }

    /// <summary>Lines no wider than that; a longer word is cut.</summary>
    public static List<string> Wrap(string text, float width, float size, bool bold = false)
    {
        var lines = new List<string>();
        var line = "";
        foreach (var word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(w => Fit(w, width, size, bold)))
        {
            var longer = line.Length == 0 ? word : $"{line} {word}";
            if (line.Length > 0 && Width(longer, size, bold) > width)
            {
                lines.Add(line);
                longer = word;
            }
            line = longer;
        }
        if (line.Length > 0)
            lines.Add(line);
        return lines;
    }

    /// <param name="x">Of the anchor.</param>
    /// <param name="y">Of the baseline.</param>
    public static void Draw(SKCanvas canvas, string text, float x, float y, float size, bool bold, SKColor colour, Anchor anchor)
    {
        using var paint = new SKPaint { Color = colour, IsAntialias = true };
        var runs = Runs(text, bold);
        x -= anchor switch { Anchor.Middle => runs.Sum(r => Measure(r, size)) / 2, Anchor.End => runs.Sum(r => Measure(r, size)), _ => 0 };
        foreach (var run in runs)
        {
            using var font = Font(run.Typeface, size);
            if (run.Plain)
                canvas.DrawText(run.Text, x, y, font, paint);
            else
            {
                using var shaper = new SKShaper(run.Typeface);
                canvas.DrawShapedText(shaper, run.Text, x, y, font, paint);
            }
            x += Measure(run, size);
        }
    }

    /// <summary>Consecutive letters of one font and one direction, in the order of a line that runs to the right.</summary>
    private readonly record struct Run(string Text, SKTypeface Typeface, bool Plain);

    private static List<Run> Runs(string text, bool bold)
    {
        var own = bold ? s_bold : s_regular;
        if (text.All(c => c < 0x250))
            return [new Run(text, own, true)];
        var runs = new List<Run>();
        var letters = new StringBuilder();
        (SKTypeface Typeface, bool Plain)? current = null;
        foreach (var rune in text.EnumerateRunes())
        {
            // Spaces and the like go on with what they stand in.
            var neutral = current is not null && (Rune.IsWhiteSpace(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.Format)
                && current.Value.Typeface.ContainsGlyph(rune.Value);
            var next = neutral ? current!.Value : own.ContainsGlyph(rune.Value) && !RightToLeft(rune) ? (own, true) : (FallbackFor(rune) ?? own, false);
            if (current is not null && next != current.Value)
            {
                runs.Add(new Run(letters.ToString(), current.Value.Typeface, current.Value.Plain));
                letters.Clear();
            }
            current = next;
            letters.Append(rune);
        }
        if (current is not null)
            runs.Add(new Run(letters.ToString(), current.Value.Typeface, current.Value.Plain));
        return runs;
    }

    /// <summary>Blocks of Hebrew, Arabic, Syriac, Thaana, N'Ko and their presentation forms.</summary>
    private static bool RightToLeft(Rune rune) => rune.Value is (>= 0x590 and <= 0x8FF) or (>= 0xFB1D and <= 0xFDFF) or (>= 0xFE70 and <= 0xFEFF) or (>= 0x10800 and <= 0x10FFF) or (>= 0x1E800 and <= 0x1EFFF);

    private static SKTypeface? FallbackFor(Rune rune) => s_fallbacks.GetOrAdd(rune.Value, static value =>
    {
        foreach (var family in s_preferred.Concat(SKFontManager.Default.FontFamilies.Order(StringComparer.Ordinal)).Distinct())
        {
            var typeface = SKFontManager.Default.MatchFamily(family);
            if (typeface?.ContainsGlyph(value) == true)
                return s_fonts.GetOrAdd(typeface.FamilyName, typeface);
            typeface?.Dispose();
        }
        return null;
    });

    /// <summary>One object a family, so that letters of it make one run.</summary>
    private static readonly ConcurrentDictionary<string, SKTypeface> s_fonts = new();

    private static float Measure(Run run, float size)
    {
        using var font = Font(run.Typeface, size);
        if (run.Plain)
            return font.MeasureText(run.Text);
        using var shaper = new SKShaper(run.Typeface);
        return shaper.Shape(run.Text, font).Width;
    }

    // Unhinted, so that widths do not depend on the size they are drawn at.
    private static SKFont Font(SKTypeface typeface, float size) => new(typeface, size) { Subpixel = true, Hinting = SKFontHinting.None, Edging = SKFontEdging.Antialias };

    private static SKTypeface Embedded(string name)
    {
        using var stream = typeof(Letters).Assembly.GetManifestResourceStream(name)!;
        using var data = SKData.Create(stream);
        return SKTypeface.FromData(data);
    }
}
