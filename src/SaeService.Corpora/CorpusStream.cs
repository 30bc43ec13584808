using System.IO.Compression;
using ZstdSharp;

namespace SaeService.Corpora;

/// <summary>
/// The bytes of a data set's file, decompressed where its first bytes are those of gzip (RFC 1952) or Zstandard (RFC 8878). What a compressed
/// file may become is bounded relative to its size, so that a small file can not keep a machine busy for a day.
/// </summary>
internal sealed class CorpusStream : Stream
{
    /// <summary>Small files may expand more: a page of one repeated word is no attack.</summary>
    private const long FreeBytes = 64 << 20;

    private readonly FileStream raw;
    private readonly Stream source;
    private readonly string kind = "";
    private readonly long limit = long.MaxValue;
    private readonly int maxExpansion;
    private long delivered;

    /// <param name="maxExpansion">See <see cref="ReadSettings.MaxExpansion"/>.</param>
    public CorpusStream(string path, int maxExpansion)
    {
        File = Path.GetFileName(path);
        this.maxExpansion = maxExpansion;
        raw = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
        Span<byte> magic = stackalloc byte[4];
        magic = magic[..raw.ReadAtLeast(magic, 4, throwOnEndOfStream: false)];
        raw.Position = 0;
        source = raw;
        if (magic.StartsWith<byte>([0x1f, 0x8b]))
            (kind, source) = ("gzip", new GZipStream(raw, CompressionMode.Decompress));
        else if (magic.StartsWith<byte>([0x28, 0xb5, 0x2f, 0xfd]))
            (kind, source) = ("zstd", new DecompressionStream(raw)); // refuses windows of over 128 MiB
        if (Compressed)
            limit = checked(FreeBytes + (maxExpansion * raw.Length));
    }

    /// <summary>The name without its folder.</summary>
    public string File { get; }
    public bool Compressed => kind.Length > 0;

    /// <exception cref="CorpusException">The compressed data are damaged or cut short, or expand beyond the limit.</exception>
    public override int Read(Span<byte> buffer)
    {
        int count;
        try
        {
            count = source.Read(buffer);
        }
        catch (Exception damaged) when (Compressed && damaged is InvalidDataException or EndOfStreamException or ZstdException)
        {
            throw new CorpusException(File, null, null, $"the {kind} stream is damaged or cut short", damaged);
        }
        delivered += count;
        return delivered <= limit ? count : throw new CorpusException(File, null, null,
            $"the {kind} stream expands to over {maxExpansion} times its size: no labelled text does");
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            source.Dispose();
            raw.Dispose();
        }
        base.Dispose(disposing);
    }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => delivered; set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
