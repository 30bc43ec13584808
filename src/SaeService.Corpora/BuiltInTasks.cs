using System.Numerics;

namespace SaeService.Corpora;

/// <summary>
/// Tasks that every data set has, because the words themselves give them (method 7): nuisances that a layer may tell apart without knowing
/// anything of language. A data set's own column of the same name goes before.
/// </summary>
internal static class BuiltInTasks
{
    /// <summary>How often the word's type occurs in what is read; needs all of it, so it is counted where the words are gathered.</summary>
    public const string Frequency = "frequency";

    private const int LongestExact = 12;
    private static readonly string[] Bins = [.. Enumerable.Range(0, 31).Select(b => b == 0 ? "1" : $"{1L << b}-{(1L << (b + 1)) - 1}")];
    private static readonly string[] Lengths = [.. Enumerable.Range(0, LongestExact + 1).Select(n => n.ToString()), $"{LongestExact + 1}+"];

    /// <summary>Those that one sentence is enough for.</summary>
    public static IReadOnlyList<string> OfSentence { get; } = ["position", "word-length", "capital", "sentence-final"];

    /// <summary>Bins that double: 1, 2-3, 4-7, 8-15, ...</summary>
    /// <param name="count">From 1.</param>
    public static string LogBin(int count) => Bins[BitOperations.Log2((uint)count)];

    /// <summary>The labels of a sentence's words, or null for a name that is none of <see cref="OfSentence"/>.</summary>
    public static string?[]? Column(string task, Word[] words) => task switch
    {
        "position" => [.. words.Select((_, i) => LogBin(i + 1))],
        "word-length" => Array.ConvertAll(words, w => Lengths[Math.Min(CodePoints(w.Form), LongestExact + 1)]),
        "capital" => Array.ConvertAll(words, w => char.IsUpper(w.Form, 0) ? "yes" : "no"),
        "sentence-final" => [.. words.Select((_, i) => i == words.Length - 1 ? "yes" : "no")],
        _ => null,
    };

    private static int CodePoints(string form)
    {
        var count = 0;
        foreach (var _ in form.EnumerateRunes())
            count++;
        return count;
    }
}
