using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SaeService.Corpora;

/// <summary>
/// A packed corpus as one file: eight bytes "SAEPACK" and the version; the length of a JSON header (uint32), the header (report, sizes, labels);
/// then the arrays in the order of <see cref="Write"/>, little endian, a string array as the lengths of its strings in UTF-8 and their bytes; at
/// the end the SHA-256 of all before. No time and no path goes in, so equal corpora are equal files.
/// </summary>
internal static class PackedCorpusFile
{
    private const int MaxHeaderBytes = 64 << 20;
    private static ReadOnlySpan<byte> Magic => "SAEPACK\u0001"u8;

    private sealed record Sizes(int Tokens, int Contexts, int Words, int Forms, int Types, int Sentences, int Documents);

    private sealed record TaskHeader(string Name, string[] Labels);

    private sealed record Header(PackingReport Report, Sizes Sizes, TaskHeader[] Tasks);

    public static void Write(PackedCorpus corpus, Stream stream)
    {
        if (!BitConverter.IsLittleEndian)
            throw new PlatformNotSupportedException("packed corpora are written on little-endian machines");
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Put(ReadOnlySpan<byte> bytes)
        {
            hash.AppendData(bytes);
            stream.Write(bytes);
        }

        void PutInts(int[] values) => Put(MemoryMarshal.AsBytes(values.AsSpan()));

        void PutStrings(string[] values)
        {
            var bytes = Array.ConvertAll(values, Encoding.UTF8.GetBytes);
            PutInts(Array.ConvertAll(bytes, b => b.Length));
            foreach (var one in bytes)
                Put(one);
        }

        var header = new Header(corpus.Report,
            new(corpus.TokenIds.Length, corpus.Contexts, corpus.Words, corpus.Forms.Length,
                corpus.Types.Length, corpus.SentenceIds.Length, corpus.DocumentIds.Length),
            [.. corpus.Tasks.Select(t => new TaskHeader(t.Name, t.Labels))]);
        var json = JsonSerializer.SerializeToUtf8Bytes(header);
        Put(Magic);
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, json.Length);
        Put(length);
        Put(json);

        PutInts(corpus.TokenIds);
        PutInts(corpus.ContextStart);
        Put(MemoryMarshal.AsBytes(corpus.SpecialOrExcluded.AsSpan()));
        foreach (var column in (int[][])[corpus.FirstToken, corpus.LastToken, corpus.WordSentence,
            corpus.WordPosition, corpus.WordStart, corpus.WordEnd, corpus.WordForm, corpus.WordType])
            PutInts(column);
        PutStrings(corpus.Forms);
        PutStrings(corpus.Types);
        PutStrings(corpus.SentenceIds);
        PutStrings(corpus.SentenceTexts);
        PutInts(corpus.SentenceDocument);
        PutInts(corpus.SentenceWords);
        PutStrings(corpus.DocumentIds);
        Put(corpus.DocumentPart);
        foreach (var task in corpus.Tasks)
            PutInts(task.LabelOfWord);
        stream.Write(hash.GetHashAndReset());
    }

    public static PackedCorpus Read(Stream stream)
    {
        using var source = new Source(stream);
        if (!source.Bytes(Magic.Length).AsSpan().SequenceEqual(Magic))
            throw Damaged("it does not begin like a packed corpus of version 1");
        var header = ReadHeader(source);
        var (sizes, words) = (header.Sizes, header.Sizes.Words);
        var corpus = new PackedCorpus
        {
            Report = header.Report,
            TokenIds = source.Ints(sizes.Tokens),
            ContextStart = source.Ints(sizes.Contexts + 1),
            SpecialOrExcluded = Array.ConvertAll(source.Bytes(sizes.Tokens), b => b <= 1 ? b == 1 : throw Damaged("a flag is neither 0 nor 1")),
            FirstToken = source.Ints(words),
            LastToken = source.Ints(words),
            WordSentence = source.Ints(words),
            WordPosition = source.Ints(words),
            WordStart = source.Ints(words),
            WordEnd = source.Ints(words),
            WordForm = source.Ints(words),
            WordType = source.Ints(words),
            Forms = source.Strings(sizes.Forms),
            Types = source.Strings(sizes.Types),
            SentenceIds = source.Strings(sizes.Sentences),
            SentenceTexts = source.Strings(sizes.Sentences),
            SentenceDocument = source.Ints(sizes.Sentences),
            SentenceWords = source.Ints(sizes.Sentences),
            DocumentIds = source.Strings(sizes.Documents),
            DocumentPart = source.Bytes(sizes.Documents),
            Tasks = [.. header.Tasks.Select(t => new PackedTask(t.Name, t.Labels, source.Ints(words)))],
        };
        source.End();
        Validate(corpus);
        return corpus;
    }

    private static Header ReadHeader(Source source)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(source.Bytes(4));
        if (length is <= 0 or > MaxHeaderBytes)
            throw Damaged($"its header claims {length} bytes");
        try
        {
            var header = JsonSerializer.Deserialize<Header>(source.Bytes(length));
            var sizes = header?.Sizes;
            if (header?.Report is null || header.Tasks is null || header.Tasks.Any(t => t?.Name is null || t.Labels is null || t.Labels.Contains(null!))
                || sizes is null || sizes.Contexts == int.MaxValue
                || sizes.Tokens < 0 || sizes.Contexts < 0 || sizes.Words < 0
                || sizes.Forms < 0 || sizes.Types < 0 || sizes.Sentences < 0 || sizes.Documents < 0)
                throw Damaged("its header lacks parts");
            return header;
        }
        catch (JsonException wrong)
        {
            throw Damaged("its header is no JSON of this version", wrong);
        }
    }

    private static void Validate(PackedCorpus c)
    {
        Require(c.ContextStart[0] == 0 && c.ContextStart[^1] == c.TokenIds.Length && Rising(c.ContextStart), "context starts");
        Require(Within(c.TokenIds, 0, int.MaxValue), "token ids");
        Require(Within(c.FirstToken, 0, c.TokenIds.Length) && Rising(c.FirstToken), "first tokens");
        var context = 0;
        for (var w = 0; w < c.Words; w++)
        {
            while (c.ContextStart[context + 1] <= c.FirstToken[w])
                context++;
            Require(c.LastToken[w] >= c.FirstToken[w] && c.LastToken[w] < c.ContextStart[context + 1], "last tokens");
        }
        Require(Within(c.WordSentence, 0, c.SentenceIds.Length), "sentences of words");
        Require(Within(c.WordForm, 0, c.Forms.Length) && Within(c.WordType, 0, c.Types.Length), "forms");
        Require(Within(c.SentenceDocument, 0, c.DocumentIds.Length), "documents of sentences");
        Require(c.DocumentPart.All(p => p <= (byte)Part.Test), "parts");
        for (var w = 0; w < c.Words; w++)
        {
            var sentence = c.WordSentence[w];
            Require(c.WordStart[w] >= 0 && c.WordStart[w] < c.WordEnd[w] && c.WordEnd[w] <= c.SentenceTexts[sentence].Length, "spans of words");
            Require(c.WordPosition[w] >= 0 && c.WordPosition[w] < c.SentenceWords[sentence], "positions of words");
        }
        foreach (var task in c.Tasks)
            Require(Within(task.LabelOfWord, -1, task.Labels.Length), "labels");
    }

    private static bool Within(int[] values, int low, int high) => Array.TrueForAll(values, v => v >= low && v < high);

    private static bool Rising(int[] values)
    {
        for (var i = 1; i < values.Length; i++)
            if (values[i] <= values[i - 1])
                return false;
        return true;
    }

    private static void Require(bool holds, string what)
    {
        if (!holds)
            throw Damaged($"its {what} are out of range or order");
    }

    private static CorpusException Damaged(string how, Exception? inner = null) => new(null, null, null, $"this is no usable packed corpus: {how}", inner);

    /// <summary>Reads and hashes. Claimed lengths are believed only as far as bytes arrive for them.</summary>
    private sealed class Source(Stream stream) : IDisposable
    {
        private const int Block = 1 << 20;
        private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public void Dispose() => hash.Dispose();

        public byte[] Bytes(int count) => Fill<byte>(count);

        public int[] Ints(int count) => Fill<int>(count);

        public string[] Strings(int count)
        {
            var lengths = Ints(count);
            var strings = new string[count];
            for (var i = 0; i < count; i++)
                strings[i] = Encoding.UTF8.GetString(Bytes(lengths[i] >= 0 ? lengths[i] : throw Damaged("a string has a negative length")));
            return strings;
        }

        public void End()
        {
            var expected = hash.GetHashAndReset();
            Span<byte> written = stackalloc byte[32];
            if (stream.ReadAtLeast(written, 32, throwOnEndOfStream: false) < 32 || !written.SequenceEqual(expected))
                throw Damaged("its SHA-256 does not match");
            if (stream.ReadByte() >= 0)
                throw Damaged("bytes follow its end");
        }

        private T[] Fill<T>(int count) where T : unmanaged
        {
            var values = new T[Math.Min(count, Block)];
            for (var done = 0; done < count;)
            {
                if (done == values.Length)
                    Array.Resize(ref values, (int)Math.Min(count, 2L * done));
                var span = MemoryMarshal.AsBytes(values.AsSpan(done));
                if (stream.ReadAtLeast(span, span.Length, throwOnEndOfStream: false) < span.Length)
                    throw Damaged("it is cut short");
                hash.AppendData(span);
                done = values.Length;
            }
            return values;
        }
    }
}
