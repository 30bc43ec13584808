using System.Text;

namespace SaeService.Corpora;

/// <summary>
/// The lines of a text file, plain or compressed, one at a time: strict UTF-8, LF or CRLF, with or without byte order mark. Holds one line and
/// one block, whatever the size of the file.
/// </summary>
internal sealed class Utf8Lines(CorpusStream stream)
{
    /// <summary>The lines of one sentence may not have more: what is held at a time is bounded, and a binary file has no line ends.</summary>
    public const int MaxSentenceBytes = 8 << 20;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly byte[] block = new byte[1 << 16];
    private byte[] line = new byte[1 << 10];
    private int position, filled, sentenceBytes;
    private long lineOffset;

    /// <summary>The name without its folder.</summary>
    public string File => stream.File;

    /// <summary>Of the line last read, from 1.</summary>
    public long Number { get; private set; }

    /// <summary>The next line without its end, or null after the last.</summary>
    public string? Next()
    {
        var length = 0;
        while (true)
        {
            if (position == filled && !Fill())
            {
                if (length == 0)
                    return null;
                break;
            }
            var rest = block.AsSpan(position, filled - position);
            var end = rest.IndexOf((byte)'\n');
            var piece = end < 0 ? rest : rest[..end];
            Append(piece, length);
            length += piece.Length;
            position += piece.Length + (end < 0 ? 0 : 1);
            if (end >= 0)
            {
                Number++;
                return Decode(line.AsSpan(0, length), length + 1);
            }
        }
        Number++;
        return Decode(line.AsSpan(0, length), length);
    }

    /// <summary>Readers call it when a sentence is complete.</summary>
    public void BeginSentence() => sentenceBytes = 0;

    public CorpusException Error(string problem, int? column = null, Exception? inner = null) => new(File, Number, column, problem, inner);

    private bool Fill()
    {
        try
        {
            position = 0;
            filled = stream.Read(block, 0, block.Length);
            return filled > 0;
        }
        catch (CorpusException damaged)
        {
            throw new CorpusException(File, Number + 1, null, damaged.Problem, damaged.InnerException);
        }
    }

    private void Append(ReadOnlySpan<byte> piece, int length)
    {
        sentenceBytes += piece.Length;
        if (sentenceBytes > MaxSentenceBytes)
            throw new CorpusException(File, Number + 1, null, $"a sentence (or a line) of over {MaxSentenceBytes >> 20} MiB: no labelled text in this format");
        if (length + piece.Length > line.Length)
            Array.Resize(ref line, Math.Max(line.Length * 2, length + piece.Length));
        piece.CopyTo(line.AsSpan(length));
    }

    private string Decode(ReadOnlySpan<byte> bytes, int consumed)
    {
        var start = lineOffset;
        lineOffset += consumed;
        if (Number == 1 && bytes.StartsWith("\uFEFF"u8))
        {
            bytes = bytes[3..];
            start += 3;
        }
        if (bytes.EndsWith("\r"u8))
            bytes = bytes[..^1];
        if (bytes.IndexOf((byte)0) is var zero and >= 0)
            throw Error($"a NUL byte at byte offset {start + zero}: not UTF-8 text (UTF-16, or binary)");
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException wrong)
        {
            throw Error($"byte offset {start + wrong.Index} is not UTF-8", null, wrong);
        }
    }
}
