namespace SaeService.Corpora;

/// <summary>
/// A labelled data set that cannot be used as it stands. <see cref="File"/> is the file's name without its folder, <see cref="Line"/> and
/// <see cref="Column"/> count from 1 (columns are fields of the line, not characters); all are null where the problem has no single place.
/// </summary>
public sealed class CorpusException(string? file, long? line, int? column, string problem, Exception? inner = null)
    : Exception(Place(file, line, column) + problem, inner)
{
    public CorpusException(string problem) : this(null, null, null, problem) { }

    public string? File { get; } = file;
    public long? Line { get; } = line;
    public int? Column { get; } = column;

    /// <summary>What is wrong, without the place.</summary>
    public string Problem { get; } = problem;

    private static string Place(string? file, long? line, int? column) => (file, line, column) switch
    {
        (null, _, _) => "",
        (_, null, _) => $"{file}: ",
        (_, _, null) => $"{file}, line {line}: ",
        _ => $"{file}, line {line}, column {column}: ",
    };

    /// <summary>A value as it may be shown: bounded, and without characters that would break a log line.</summary>
    internal static string Quote(ReadOnlySpan<char> value)
    {
        Span<char> shown = stackalloc char[Math.Min(value.Length, 60)];
        for (var i = 0; i < shown.Length; i++)
            shown[i] = char.IsControl(value[i]) || char.IsSurrogate(value[i]) ? '?' : value[i];
        return value.Length > shown.Length ? $"'{shown}...'" : $"'{shown}'";
    }
}
