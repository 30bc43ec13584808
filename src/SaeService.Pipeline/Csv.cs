using System.Globalization;
using System.Text;
using SaeService.Corpora;

namespace SaeService.Pipeline;

/// <summary>Comma-separated values (RFC 4180, but lines end in LF), as exports have them.</summary>
internal static class Csv
{
    public static StreamWriter Writer(Stream stream) => new(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };

    public static string Row(IEnumerable<string> fields) => string.Join(',', fields.Select(Quote));

    private static string Quote(string field) => field.AsSpan().IndexOfAny(",\"\r\n") < 0 ? field : $"\"{field.Replace("\"", "\"\"")}\"";
}

/// <summary>Every word that packing did not keep, with its reason (<see cref="DroppedWord.Reasons"/>), as it comes.</summary>
internal sealed class AlignmentList : IDisposable
{
    /// <summary>A list of more is read by nobody; how many there were in all is said in its last line, and by reason in the document's counts.</summary>
    public const int MaxRows = 1_000_000;

    private readonly StreamWriter _writer;
    private long _count;

    public AlignmentList(Stream stream)
    {
        _writer = Csv.Writer(stream);
        _writer.WriteLine("sentence,position,form,reason");
    }

    public void Add(DroppedWord word)
    {
        if (++_count <= MaxRows)
            _writer.WriteLine(Csv.Row([word.Sentence, (word.Word + 1).ToString(CultureInfo.InvariantCulture), word.Form, word.Reason]));
    }

    public void Dispose()
    {
        if (_count > MaxRows)
            _writer.WriteLine(Csv.Row(["", "", "", $"{_count - MaxRows} more words are not listed"]));
        _writer.Dispose();
    }
}
