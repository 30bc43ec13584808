using System.Globalization;
using System.Text;
using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>How pages write numbers, times and text of the corpus.</summary>
public static class Shown
{
    /// <summary>A score between -1 and 1, or bits.</summary>
    public static string Score(double value) => Signed(value, "0.00", 2);

    /// <summary>Where two digits would all look alike.</summary>
    public static string Fine(double value) => Signed(value, "0.0000", 4);

    public static string Score(double? value) => value is { } v ? Score(v) : "–";

    /// <summary>An interval's ends: <c>0.31 to 0.42</c>; nothing where there is none.</summary>
    public static string Interval(double[]? ends) => ends is [var low, var high] ? $"{Score(low)} to {Score(high)}" : "";

    /// <summary>With its interval, where it has one: <c>0.36 [0.31 to 0.42]</c>.</summary>
    public static string Estimate(double value, double[]? ends) => ends is [_, _] ? $"{Score(value)} [{Interval(ends)}]" : Score(value);

    // Without this, what rounds to nothing from below would be "-0.00".
    private static string Signed(double value, string format, int digits) =>
        (Math.Round(value, digits, MidpointRounding.AwayFromZero) + 0.0).ToString(format, CultureInfo.InvariantCulture).Replace('-', '−');

    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    public static string Percent(double share) => share is > 0 and < 0.0005 ? "< 0.1\u00a0%" : (share * 100).ToString(share < 0.0995 ? "0.0" : "0", CultureInfo.InvariantCulture) + "\u00a0%"; // no line ends before the sign

    /// <summary>A probability by its logarithm, which is known where the number itself is too small for a double: <c>0.03</c>, <c>4.2e-412</c>.</summary>
    public static string Probability(double log10)
    {
        if (log10 >= -3)
            return Math.Pow(10, Math.Min(0, log10)).ToString("0.###", CultureInfo.InvariantCulture);
        var exponent = Math.Floor(log10);
        // What rounds up to ten is one of the next power.
        var digits = Math.Round(Math.Pow(10, log10 - exponent), 1, MidpointRounding.AwayFromZero);
        return string.Create(CultureInfo.InvariantCulture, $"{(digits >= 10 ? 1 : digits):0.#}e{(digits >= 10 ? exponent + 1 : exponent):0}");
    }

    /// <summary>A probability of which only the number is known: below what a double can hold well, that it is below.</summary>
    public static string Rate(double rate) => rate < 1e-300 ? "< 1e-300" : Probability(Math.Log10(rate));

    public static string Bytes(double bytes)
    {
        string[] units = ["B", "kB", "MB", "GB", "TB"];
        var unit = 0;
        for (; bytes >= 1000 && unit < units.Length - 1; unit++)
            bytes /= 1000;
        return bytes.ToString(bytes < 10 && unit > 0 ? "0.0" : "0", CultureInfo.InvariantCulture) + " " + units[unit];
    }

    public static string Duration(double seconds) => seconds switch
    {
        < 1 => "under a second",
        < 90 => $"{seconds.ToString("0", CultureInfo.InvariantCulture)} s",
        < 5400 => $"{(seconds / 60).ToString("0", CultureInfo.InvariantCulture)} min",
        _ => $"{(seconds / 3600).ToString("0.0", CultureInfo.InvariantCulture)} h",
    };

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) + " UTC";

    /// <summary>For an attribute such as <c>style="--v: …"</c>, from 0 to 1.</summary>
    public static string Strength(double value) => (double.IsFinite(value) ? Math.Clamp(value, 0, 1) : 0).ToString("0.###", CultureInfo.InvariantCulture);

    /// <summary>A token of a vocabulary, whose blank in front matters.</summary>
    public static string Token(string token) => Visible(token).Replace(' ', '␣') is { Length: > 0 } shown ? shown : "⟨empty⟩";

    /// <summary><c>1 word</c>, <c>2,310 words</c>.</summary>
    public static string Many(long count, string what) => count == 1 ? $"1 {what}" : $"{Count(count)} {what}s";

    /// <summary>A job by what it is about, for titles and links.</summary>
    public static string Name(Job job) => Visible($"{job.Request.Model.Id} on {job.Request.Dataset.Id}");

    /// <summary>Text of a corpus or a vocabulary with what can not be seen made visible: controls, and characters that would turn the direction of what follows.</summary>
    public static string Visible(string text)
    {
        if (!text.Any(Hides))
            return text;
        var shown = new StringBuilder(text.Length + 8);
        foreach (var c in text)
            shown.Append(c switch
            {
                '\n' => "⏎",
                '\t' => "⇥",
                < ' ' => ((char)('\u2400' + c)).ToString(),
                _ when Hides(c) => $"⟨U+{(int)c:X4}⟩",
                _ => c.ToString(),
            });
        return shown.ToString();
    }

    private static bool Hides(char c) => char.IsControl(c) || c is '\u200B' or (>= '\u200E' and <= '\u200F') or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069') or '\uFEFF';
}
