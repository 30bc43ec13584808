using System.IO.Compression;
using Microsoft.Win32.SafeHandles;
using Snappier;
using ZstdSharp;

namespace SaeService.Corpora.Parquet;

internal enum PageKind
{
    Data = 0,
    Index = 1,
    Dictionary = 2,
    DataV2 = 3,
}

internal enum Encoding
{
    Plain = 0,
    PlainDictionary = 2,
    Rle = 3,
    DeltaBinaryPacked = 5,
    DeltaLengthByteArray = 6,
    DeltaByteArray = 7,
    RleDictionary = 8,
}

/// <summary>What may still be made of a file: shared by all its columns, so that small pages can not claim great contents for ever.</summary>
internal sealed class ExpansionBudget(long left)
{
    public void Spend(long bytes)
    {
        left -= bytes;
        if (left < 0)
            throw new FormatException("its pages expand beyond what the size of the file allows: no labelled text does");
    }
}

/// <summary>One page of a column (parquet.thrift: PageHeader), its levels and values uncompressed.</summary>
/// <param name="RepetitionEnd">Version 2 only: the levels' lengths stand in the header; else -1.</param>
internal sealed record Page(PageKind Kind, int Values, Encoding Encoding, byte[] Bytes, int RepetitionEnd, int DefinitionEnd)
{
    /// <summary>Writers cut pages at 1 MiB or so; a dictionary is held whole.</summary>
    public const int MaxBytes = 32 << 20;
    private const int MaxValues = 16 << 20, MaxHeader = 1 << 16;

    /// <summary>Reads the page at an offset, which moves behind it.</summary>
    /// <exception cref="FormatException">What is wrong with it.</exception>
    public static Page Read(SafeFileHandle file, ref long offset, long end, int codec, ExpansionBudget budget)
    {
        var start = new byte[Math.Min(MaxHeader, end - offset)];
        ReadExactly(file, start, offset);
        var header = new ThriftReader(start);
        var (kind, expanded, stored) = (-1, -1, -1);
        var (values, encoding, definition, repetition, compressed) = (-1, -1, 0, 0, true);
        for (var id = 0; header.Next(ref id, out var field);)
            switch (id, field)
            {
                case (1, ThriftReader.Kind.Int32):
                    kind = (int)header.Int();
                    break;
                case (2, ThriftReader.Kind.Int32):
                    expanded = (int)header.Int();
                    break;
                case (3, ThriftReader.Kind.Int32):
                    stored = (int)header.Int();
                    break;
                case (5 or 7 or 8, ThriftReader.Kind.Struct):
                    ReadKind(ref header, v2: id == 8, ref values, ref encoding, ref definition, ref repetition, ref compressed);
                    break;
                default:
                    header.Skip(field);
                    break;
            }
        offset += header.Position;
        if (stored < 0 || stored > end - offset || expanded < 0 || expanded > MaxBytes || values < 0 || values > MaxValues
            || definition < 0 || repetition < 0 || (long)definition + repetition > Math.Min(stored, expanded))
            throw new FormatException($"a page claims {values} values in {expanded} bytes, {stored} stored");
        budget.Spend(expanded + (8L * values)); // a run may claim millions in a few bytes
        var bytes = new byte[stored];
        ReadExactly(file, bytes, offset);
        offset += stored;
        var levels = definition + repetition; // of version 2, never compressed
        if (compressed && codec != 0)
        {
            var whole = new byte[expanded];
            bytes.AsSpan(0, levels).CopyTo(whole);
            Decompress(codec, bytes.AsSpan(levels), whole.AsSpan(levels));
            bytes = whole;
        }
        var isV2 = kind == (int)PageKind.DataV2;
        return new((PageKind)kind, values, (Encoding)encoding, bytes, isV2 ? repetition : -1, isV2 ? levels : -1);
    }

    private static void ReadKind(ref ThriftReader header, bool v2, ref int values, ref int encoding, ref int definition, ref int repetition, ref bool compressed)
    {
        for (var id = 0; header.Next(ref id, out var field);)
            switch (id, field)
            {
                case (1, ThriftReader.Kind.Int32):
                    values = (int)header.Int();
                    break;
                case (2, ThriftReader.Kind.Int32) when !v2:
                case (4, ThriftReader.Kind.Int32) when v2:
                    encoding = (int)header.Int();
                    break;
                case (5, ThriftReader.Kind.Int32) when v2:
                    definition = (int)header.Int();
                    break;
                case (6, ThriftReader.Kind.Int32) when v2:
                    repetition = (int)header.Int();
                    break;
                case (7, ThriftReader.Kind.True or ThriftReader.Kind.False) when v2:
                    compressed = field == ThriftReader.Kind.True;
                    break;
                default:
                    header.Skip(field);
                    break;
            }
    }

    /// <summary>Into exactly as many bytes as the header says: nothing is held that was not claimed, and no claim is believed that is not met.</summary>
    private static void Decompress(int codec, ReadOnlySpan<byte> source, Span<byte> target)
    {
        bool whole;
        try
        {
            switch (codec)
            {
                case 1:
                    whole = Snappy.GetUncompressedLength(source) == target.Length && Snappy.Decompress(source, target) == target.Length;
                    break;
                case 2:
                    using (var gzip = new GZipStream(new MemoryStream(source.ToArray()), CompressionMode.Decompress))
                        whole = gzip.ReadAtLeast(target, target.Length, throwOnEndOfStream: false) == target.Length && gzip.ReadByte() < 0;
                    break;
                case 4:
                    whole = BrotliDecoder.TryDecompress(source, target, out var written) && written == target.Length;
                    break;
                case 6:
                    using (var zstd = new Decompressor())
                        whole = zstd.TryUnwrap(source, target, out written) && written == target.Length;
                    break;
                default:
                    throw new FormatException($"pages compressed with codec {codec}; uncompressed, Snappy, gzip, Brotli and Zstandard are read");
            }
        }
        catch (Exception damaged) when (damaged is InvalidDataException or ZstdException or ArgumentException or InvalidOperationException)
        {
            throw new FormatException("a page's compressed bytes are damaged", damaged);
        }
        if (!whole)
            throw new FormatException("a page's compressed bytes are damaged, or do not give the bytes that it claims");
    }

    private static void ReadExactly(SafeFileHandle file, Span<byte> target, long offset)
    {
        for (var got = 0; got < target.Length;)
            got += RandomAccess.Read(file, target[got..], offset + got) is > 0 and var count ? count : throw new FormatException("it ends too early");
    }
}
