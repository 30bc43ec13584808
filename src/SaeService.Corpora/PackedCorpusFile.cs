using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using SaeService.Columns;

namespace SaeService.Corpora;

/// <summary>
/// A packed corpus as one file: eight bytes "SAEPACK" and the version; the length of a JSON header (uint32), the header (report, sizes, labels);
/// then the arrays in the order of <see cref="Write"/>, little endian, a string array as the lengths of its strings in UTF-8 and their bytes; at
/// the end the SHA-256 of all before. No time and no path goes in, so equal corpora are equal files.
/// </summary>
internal static class PackedCorpusFile
{
    private const int MaxHeaderBytes = 64 << 20, Piece = 1 << 20;
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

        // In pieces, because the bytes of a long column do not fit a span.
        void PutInts(Column<int> values)
        {
            for (var from = 0; from < values.Length; from += Piece)
                Put(MemoryMarshal.AsBytes(values.Span.Slice(from, Math.Min(Piece, values.Length - from))));
        }

        void PutStrings(StringColumn values)
        {
            Span<byte> length = stackalloc byte[sizeof(int)];
            for (var i = 0; i < values.Length; i++)
            {
                BinaryPrimitives.WriteInt32LittleEndian(length, values.Bytes(i).Length);
                Put(length);
            }
            for (var i = 0; i < values.Length; i++)
                Put(values.Bytes(i));
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
        Put(MemoryMarshal.AsBytes(corpus.SpecialOrExcluded.Span));
        foreach (var column in (Column<int>[])[corpus.FirstToken, corpus.LastToken, corpus.WordSentence,
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

    public static PackedCorpus Read(Stream stream, ScratchSpace scratch)
    {
        using var source = new Source(stream, scratch);
        if (!source.Bytes(Magic.Length).AsSpan().SequenceEqual(Magic))
            throw Damaged("it does not begin like a packed corpus of version 1");
        var header = ReadHeader(source);
        var (sizes, words) = (header.Sizes, header.Sizes.Words);
        var corpus = new PackedCorpus
        {
            Report = header.Report,
            TokenIds = source.Ints(sizes.Tokens),
            ContextStart = source.Ints(sizes.Contexts + 1),
            SpecialOrExcluded = source.Flags(sizes.Tokens),
            FirstToken = source.Ints(words),
            LastToken = source.Ints(words),
            WordSentence = source.Ints(words),
            WordPosition = source.Ints(words),
            WordStart = source.Ints(words),
            WordEnd = source.Ints(words),
            WordForm = source.Ints(words),
            WordType = source.Ints(words),
            Forms = source.Strings(sizes.Forms).ToArray(),
            Types = source.Strings(sizes.Types).ToArray(),
            SentenceIds = source.Strings(sizes.Sentences),
            SentenceTexts = source.Strings(sizes.Sentences),
            SentenceDocument = source.Ints(sizes.Sentences),
            SentenceWords = source.Ints(sizes.Sentences),
            DocumentIds = source.Strings(sizes.Documents).ToArray(),
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
        for (int w = 0, lengthOf = -1, textLength = 0; w < c.Words; w++)
        {
            var sentence = c.WordSentence[w];
            if (sentence != lengthOf)
                (lengthOf, textLength) = (sentence, c.SentenceTexts.LengthOf(sentence));
            Require(c.WordStart[w] >= 0 && c.WordStart[w] < c.WordEnd[w] && c.WordEnd[w] <= textLength, "spans of words");
            Require(c.WordPosition[w] >= 0 && c.WordPosition[w] < c.SentenceWords[sentence], "positions of words");
        }
        foreach (var task in c.Tasks)
            Require(Within(task.LabelOfWord, -1, task.Labels.Length), "labels");
    }

    private static bool Within(Column<int> values, int low, int high)
    {
        foreach (var value in values)
            if (value < low || value >= high)
                return false;
        return true;
    }

    private static bool Rising(Column<int> values)
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
    private sealed class Source(Stream stream, ScratchSpace scratch) : IDisposable
    {
        private const int Block = 1 << 18;
        private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public void Dispose() => hash.Dispose();

        public byte[] Bytes(int count) => Fill<byte>(count).ToArray();

        public Column<int> Ints(int count) => Fill<int>(count);

        public Column<bool> Flags(int count)
        {
            var flags = new ColumnList<bool>(scratch);
            foreach (var flag in Fill<byte>(count))
                flags.Add(flag <= 1 ? flag == 1 : throw Damaged("a flag is neither 0 nor 1"));
            return flags.Complete();
        }

        public StringColumn Strings(int count)
        {
            var strings = new StringColumnList(scratch);
            foreach (var length in Ints(count))
                strings.Add(Fill<byte>(length >= 0 ? length : throw Damaged("a string has a negative length")).Span);
            return strings.Complete();
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

        private Column<T> Fill<T>(int count) where T : unmanaged
        {
            var values = new ColumnList<T>(scratch, Math.Min(count, Block));
            var block = new T[Math.Min(count, Block)];
            for (var done = 0; done < count;)
            {
                var some = block.AsSpan(0, Math.Min(block.Length, count - done));
                var bytes = MemoryMarshal.AsBytes(some);
                if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
                    throw Damaged("it is cut short");
                hash.AppendData(bytes);
                values.AddRange(some);
                done += some.Length;
            }
            return values.Complete();
        }
    }
}
