using System.Text;

namespace SaeService.Corpora;

/// <summary>
/// Text without labels, as an autoencoder may be trained on beside a labelled set. A file is one document, unless <c>&lt;|endoftext|&gt;</c>
/// parts it; a sentence is what stands between blank lines, cut where it is long. There are no words.
/// </summary>
internal sealed class PlainTextReader(Utf8Lines lines)
{
    private const string EndOfText = "<|endoftext|>";

    /// <summary>Longer pieces are cut at the end of a line, or of a word where one line is longer.</summary>
    private const int MaxPiece = 20_000;

    private readonly StringBuilder piece = new();
    private int documents = 1, sentences;

    public IEnumerable<Sentence> Read()
    {
        for (; lines.Next() is { } line; lines.BeginSentence())
        {
            var rest = line;
            for (var end = line.IndexOf(EndOfText, StringComparison.Ordinal); end >= 0; end = rest.IndexOf(EndOfText, StringComparison.Ordinal))
            {
                foreach (var sentence in Add(rest[..end], ends: true))
                    yield return sentence;
                documents++;
                rest = rest[(end + EndOfText.Length)..];
            }
            foreach (var sentence in Add(rest, ends: string.IsNullOrWhiteSpace(line)))
                yield return sentence;
        }
        foreach (var sentence in Add("", ends: true))
            yield return sentence;
    }

    private IEnumerable<Sentence> Add(string line, bool ends)
    {
        if (piece.Length > 0 && piece.Length + line.Length > MaxPiece)
            yield return Take();
        var from = 0;
        while (line.Length - from > MaxPiece)
        {
            var space = line.AsSpan(from, MaxPiece).LastIndexOf(' ');
            // Never between the two halves of a character.
            var length = space > 0 ? space + 1 : char.IsHighSurrogate(line[from + MaxPiece - 1]) ? MaxPiece - 1 : MaxPiece;
            piece.Append(line, from, length);
            from += length;
            if (!string.IsNullOrWhiteSpace(piece.ToString()))
                yield return Take();
            piece.Clear();
        }
        if (!string.IsNullOrWhiteSpace(line.AsSpan(from).ToString()))
            piece.Append(piece.Length > 0 ? "\n" : "").Append(line, from, line.Length - from);
        if (ends && piece.Length > 0)
            yield return Take();
    }

    private Sentence Take()
    {
        var text = piece.ToString().Trim();
        piece.Clear();
        return new Sentence
        {
            Id = $"{lines.File}:{++sentences}",
            Document = $"{lines.File}#{documents}",
            Text = text,
            TextReconstructed = false,
            Words = [],
            Labels = new Dictionary<string, string?[]>(),
        };
    }
}
