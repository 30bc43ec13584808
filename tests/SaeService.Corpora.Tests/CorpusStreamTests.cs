using System.IO.Compression;
using System.Text;
using Xunit;
using ZstdSharp;

namespace SaeService.Corpora.Tests;

public sealed class CorpusStreamTests : IDisposable
{
    private const string Row = "{\"tokens\":[\"a\"],\"pos_tags\":[\"X\"]}\n";
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    public static TheoryData<string> Kinds => ["gz", "zst"];

    private static byte[] Pack(string kind, Action<Stream> write)
    {
        using var packed = new MemoryStream();
        if (kind == "gz")
        {
            using var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true);
            write(gzip);
        }
        else
        {
            using var zstd = new CompressionStream(packed, leaveOpen: true);
            zstd.SetParameter(ZstdSharp.Unsafe.ZSTD_cParameter.ZSTD_c_checksumFlag, 1); // as the zstd program does
            write(zstd);
        }
        return packed.ToArray();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Compressed_files_are_read_as_what_they_hold(string kind)
    {
        var bytes = Pack(kind, s => s.Write(Encoding.UTF8.GetBytes(Row + Row)));
        Assert.Equal(2, files.Read($"a.jsonl.{kind}", bytes).Count);
        Assert.Equal(2, files.Read("no-ending", bytes).Count);
        Assert.Equal(4, files.Read($"b.jsonl.{kind}", [.. bytes, .. bytes]).Count); // streams one behind another
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Cut_off_and_damaged_streams_are_refused(string kind)
    {
        var random = new Random(1);
        var bytes = Pack(kind, s =>
        {
            for (var i = 0; i < 5000; i++)
                s.Write(Encoding.UTF8.GetBytes(Row.Replace("a", $"w{random.Next()}")));
        });
        // Of gzip's last eight bytes, the checksum and the length, nothing depends.
        foreach (var length in (int[])[bytes.Length - 20, bytes.Length / 2, 20])
            Assert.Contains("cut short", Assert.Throws<CorpusException>(() => files.Read($"cut.jsonl.{kind}", bytes[..length])).Message);
        bytes[bytes.Length / 2] ^= 0x55;
        bytes[bytes.Length / 2 + 1] ^= 0x55;
        Assert.Throws<CorpusException>(() => files.Read($"bad.jsonl.{kind}", bytes));
    }

    /// <summary>Every line is a good sentence, so that nothing but the size of it all is wrong.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_expands_without_measure_is_refused(string kind)
    {
        var block = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("\n", 1 << 16)));
        var bytes = Pack(kind, s =>
        {
            for (var i = 0; i < 1600; i++)
                s.Write(block);
        });
        Assert.True(bytes.Length < 200_000);
        Assert.Contains("expands to over 100 times", Assert.Throws<CorpusException>(() => files.Read($"bomb.jsonl.{kind}", bytes)).Message);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void An_endless_line_is_refused_before_it_is_held(string kind)
    {
        var bytes = Pack(kind, s =>
        {
            var zeros = new byte[1 << 20];
            for (var i = 0; i < 1024; i++)
                s.Write(zeros);
        });
        var before = GC.GetAllocatedBytesForCurrentThread();
        foreach (var name in (string[])["line.jsonl", "line.conllu", "line.conll", "line.json", "line.txt", "line.bin"])
            Assert.Throws<CorpusException>(() => files.Read($"{name}.{kind}", bytes));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 400 << 20);
    }
}
