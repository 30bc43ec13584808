using System.Text.Json;

namespace SaeService.Corpora;

/// <summary>
/// The objects of a JSON file, one at a time: of one array, of the one array of objects inside an object (<c>{"data":[...]}</c>), or one after
/// another. Holds one object, whatever the size of the file; line breaks may stand anywhere.
/// </summary>
internal sealed class JsonRecords(CorpusStream stream)
{
    public const int MaxDepth = 16;

    /// <summary>As for a line of JSONL.</summary>
    private const int MaxRecordBytes = Utf8Lines.MaxSentenceBytes;

    private static readonly JsonReaderOptions Options = new() { MaxDepth = MaxDepth };
    private byte[] buffer = new byte[1 << 16];
    private int at, filled;
    private long line = 1, number;
    private bool ended;

    /// <summary>Each is valid until the next is asked for.</summary>
    /// <exception cref="CorpusException">No such JSON.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Read()
    {
        if (Has(at + 2) && buffer.AsSpan(at).StartsWith("\uFEFF"u8))
            Consume(at + 3);
        Consume(Space(at));
        if (Has(at) && buffer[at] == '[')
            foreach (var record in Elements())
                yield return record;
        else if (Has(at) && buffer[at] == '{' && FindArray(at + 1, passed: false) is >= 0 and var array)
        {
            Consume(array);
            foreach (var record in Elements())
                yield return record;
            FindArray(at, passed: true);
        }
        else
            while (Has(at))
            {
                var end = RecordEnd();
                yield return buffer.AsMemory(at, end - at);
                Consume(Space(end));
            }
        Consume(Space(at));
        if (Has(at))
            throw Error("more follows where the JSON ends");
    }

    /// <summary>Names the record last given, and the line that it begins in.</summary>
    public CorpusException Error(string problem, Exception? inner = null) =>
        new(stream.File, line, null, number == 0 ? problem : $"record {number}: {problem}", inner);

    private IEnumerable<ReadOnlyMemory<byte>> Elements()
    {
        Consume(Space(at + 1));
        for (var more = Byte(at) != ']'; more;)
        {
            var end = RecordEnd();
            yield return buffer.AsMemory(at, end - at);
            Consume(Space(end));
            more = Byte(at) == ',';
            if (!more && Byte(at) != ']')
                throw Error("neither ',' nor ']' follows it");
            if (more)
                Consume(Space(at + 1));
        }
        Consume(at + 1);
    }

    private int RecordEnd()
    {
        number++;
        return Byte(at) == '{' ? ValueEnd(at) : throw Error("a JSON object is needed");
    }

    /// <summary>
    /// Where the array of objects begins in the object whose members begin at <paramref name="i"/>, or -1 where none of its members is one, so
    /// that it is a record itself. With <paramref name="passed"/>, <paramref name="i"/> is behind that array, and the rest is consumed.
    /// </summary>
    private int FindArray(int i, bool passed)
    {
        i = Space(i);
        for (var behind = passed; ; behind = true)
        {
            if (Byte(i) == '}' && (behind || !passed))
            {
                if (passed)
                    Consume(i + 1);
                return -1;
            }
            if (behind)
            {
                if (Byte(i) != ',')
                    throw Error("neither ',' nor '}' follows");
                i = Space(i + 1);
            }
            if (passed)
            {
                Consume(i);
                i = at;
            }
            if (Byte(i) != '"')
                throw Error("a member of the object has no name");
            var end = ValueEnd(i);
            var own = buffer.AsSpan(i, end - i) is var name
                && (name.SequenceEqual("\"words\""u8) || name.SequenceEqual("\"tokens\""u8) || name.SequenceEqual("\"sentences\""u8));
            i = Space(end);
            if (Byte(i) != ':')
                throw Error("no ':' follows a name");
            i = Space(i + 1);
            if (Byte(i) == '[' && !own && Byte(Space(i + 1)) == '{')
                return passed ? throw Error("a second array of objects; one is read") : i;
            i = Space(ValueEnd(i));
        }
    }

    /// <summary>Behind the value that begins at <paramref name="from"/>.</summary>
    private int ValueEnd(int from)
    {
        if (Byte(from) is not ((byte)'{' or (byte)'[' or (byte)'"'))
        {
            var end = from;
            while (Has(end) && !",}] \t\r\n"u8.Contains(buffer[end]))
                end++;
            return end > from ? end : throw Error("a value is missing");
        }
        while (true)
        {
            // Looked through again from its start with twice as many bytes each time.
            var reader = new Utf8JsonReader(buffer.AsSpan(from, filled - from), ended, new JsonReaderState(Options));
            try
            {
                if (reader.Read() && reader.TrySkip())
                    return from + (int)reader.BytesConsumed;
            }
            catch (JsonException wrong)
            {
                throw new CorpusException(stream.File, line + buffer.AsSpan(at, from - at).Count((byte)'\n') + (wrong.LineNumber ?? 0), null,
                    $"no JSON: {wrong.Message}", wrong);
            }
            for (var wanted = from + (2 * (filled - from)); filled < wanted && Fill();)
            {
            }
        }
    }

    private int Space(int i)
    {
        while (Has(i) && buffer[i] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            i++;
        return i;
    }

    private byte Byte(int i) => Has(i) ? buffer[i] : throw Error("the JSON ends too early");

    private bool Has(int i)
    {
        while (i >= filled)
            if (!Fill())
                return false;
        return true;
    }

    private void Consume(int to)
    {
        line += buffer.AsSpan(at, to - at).Count((byte)'\n');
        at = to;
        if (at < buffer.Length / 2)
            return;
        buffer.AsSpan(at, filled - at).CopyTo(buffer);
        (at, filled) = (0, filled - at);
    }

    private bool Fill()
    {
        if (ended)
            return false;
        if (filled - at > MaxRecordBytes)
            throw Error($"an object (or white space) of over {MaxRecordBytes >> 20} MiB: no labelled text in this format");
        if (filled == buffer.Length)
            Array.Resize(ref buffer, buffer.Length * 2);
        var count = stream.Read(buffer, filled, buffer.Length - filled);
        filled += count;
        ended = count == 0;
        return !ended;
    }
}
