using System.IO.Compression;
using Xunit;

namespace SaeService.Corpora.Tests;

/// <summary>Alone in its collection and not beside others: the heap of the whole process is measured.</summary>
[CollectionDefinition(nameof(MemoryTests), DisableParallelization = true)]
[Collection(nameof(MemoryTests))]
public sealed class MemoryTests : IDisposable
{
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    [Theory]
    [InlineData("large.conllu", "# sent_id = s{0}\n1\tword{0}\t_\tX\t_\t_\t0\troot\t_\tNER=O\n2\tother\t_\tX\t_\t_\t1\tdep\t_\tNER=B-PER\n\n")]
    [InlineData("large.conll", "word{0} NN O O\nother NN O B-PER\n. . O O\nand once more CC\n\n")]
    [InlineData("large.jsonl", "{{\"id\":\"s{0}\",\"tokens\":[\"word{0}\",\"other\"],\"pos_tags\":[\"X\",\"Y\"],\"comment\":\"some more text\"}}\n")]
    [InlineData("large.json", "{1}{{\n \"id\":\"s{0}\", \"tokens\":[\"word{0}\",\"other\"],\n \"pos_tags\":[\"X\",\"Y\"], \"comment\":\"some more text\"}}\n")]
    [InlineData("large.jsonl.gz", "{{\"id\":\"s{0}\",\"tokens\":[\"word{0}\",\"other\"],\"pos_tags\":[\"X\",\"Y\"],\"comment\":\"some more text\"}}\n")]
    [InlineData("large.jsonl.zst", "{{\"id\":\"s{0}\",\"tokens\":[\"word{0}\",\"other\"],\"pos_tags\":[\"X\",\"Y\"],\"comment\":\"some more text\"}}\n")]
    [InlineData("large.txt", "Paragraph {0} of a text that has no labels and goes on and on.\n\n")]
    public void What_is_held_does_not_grow_with_the_file(string name, string sentence)
    {
        const int Sentences = 200_000;
        var path = Path.Combine(files.Folder, name);
        using (var file = File.Create(path))
        using (Stream stream = Path.GetExtension(name) switch
        {
            ".gz" => new GZipStream(file, CompressionLevel.Fastest),
            ".zst" => new ZstdSharp.CompressionStream(file),
            _ => file,
        })
        using (var writer = new StreamWriter(stream))
        {
            for (var i = 0; i < Sentences; i++)
                writer.Write(string.Format(sentence, i, i == 0 ? "{\"version\":1,\"data\":[" : ","));
            if (name.EndsWith(".json", StringComparison.Ordinal))
                writer.Write("]}");
        }
        Hold(path, Sentences);
    }

    /// <summary>A file too large for the repository: many row groups, a page in each.</summary>
    [Fact]
    public void Parquet_is_held_page_by_page() => Hold(files.Write("large.parquet", HostileParquet.Large(200, 1000)), 200_000);

    private static void Hold(string path, int sentences)
    {
        var (seen, most, before) = (0, 0L, GC.GetTotalMemory(forceFullCollection: true));
        foreach (var _ in DatasetFolder.Open(path).Read())
            if (++seen % 50_000 == 0)
                most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        Assert.Equal(sentences, seen);
        Assert.True(most < 2 << 20, $"{most} bytes are held while reading");
    }
}
