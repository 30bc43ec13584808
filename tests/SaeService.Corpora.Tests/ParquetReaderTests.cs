using System.IO.Compression;
using SaeService.TestSupport;
using Xunit;
using ZstdSharp;

namespace SaeService.Corpora.Tests;

/// <summary>The fixtures are of Arrow C++ and of arrow-rs; see the README beside them.</summary>
public sealed class ParquetReaderTests : IDisposable
{
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    private static string Fixture(string name) => Path.Combine(SharedData.RepositoryRoot, "tests", "SaeService.Corpora.Tests", "Fixtures", name);

    private static List<Sentence> Read(string path, params string[] tasks) =>
        [.. DatasetFolder.Open(path).Read(settings: new ReadSettings { Tasks = tasks.Length == 0 ? null : tasks, AllowNumericLabels = true })];

    [Theory]
    [InlineData("arrow-plain-v1", "arrow.txt")]
    [InlineData("arrow-delta-length-v2", "arrow.txt")]
    [InlineData("arrow-delta-strings-v2", "arrow.txt")]
    [InlineData("rust-v1-snappy", "rust.txt")]
    [InlineData("rust-v2-zstd", "rust.txt")]
    [InlineData("rust-v2-delta", "rust.txt")]
    public void Encodings_pages_and_codecs_of_two_writers(string file, string expected)
    {
        var read = Read(Fixture(file + ".parquet"));
        var rows = File.ReadAllLines(Fixture(expected)).Select(l => l.Split('\t')).ToArray();
        Assert.Equal(rows.Select(r => r[^1]), read.Select(s => string.Join(' ', s.Words.Select((w, i) => $"{w.Form}/{s.Labels["kind"][i]}"))));
        if (rows[0].Length == 2)
            Assert.Equal(rows.Select(r => r[0]), read.Select(s => s.Document));
    }

    [Fact]
    public void Columns_of_numbers_and_truth_values_are_tasks_by_their_names()
    {
        foreach (var file in (string[])["rust-v1-snappy", "rust-v2-zstd", "rust-v2-delta"])
        {
            var read = Read(Fixture(file + ".parquet"), "numbers", "flags");
            Assert.All(read, s => Assert.Equal(s.Words.Select((_, i) => (i * 1000 - 3).ToString()), s.Labels["numbers"]));
            Assert.All(read, s => Assert.Equal(s.Words.Select((_, i) => i % 2 == 0 ? "true" : "false"), s.Labels["flags"]));
        }
    }

    [Fact]
    public void Numbers_of_a_hub_data_set_get_their_names()
    {
        var read = Read(Fixture("hub-ner-train.parquet"), "pos", "ner", "ner:bio");
        Assert.Equal(["0", "1", "2", "3", "4"], read.Select(s => s.Id));
        Assert.Equal("Anna Berg lebt in Köln .", read[0].Text);
        Assert.Equal(["NNP", "NNP", "VBZ", "IN", "NNP", "."], read[0].Labels["pos"]);
        Assert.Equal(["PER", "PER", "O", "O", "LOC", "O"], read[0].Labels["ner"]);
        Assert.Equal(["B-PER", "I-PER", "O", "O", "B-LOC", "O"], read[0].Labels["ner:bio"]);
        Assert.Equal([null, "NNP", null], read[2].Labels["pos"]); // null, and the name "_"
        Assert.Equal(["😀", "我們", "ok"], read[2].Words.Select(w => w.Form));
        Assert.Equal([null, null], read[3].Labels["ner"]); // the whole list is null
        Assert.Equal("train", DatasetFolder.Open(Fixture("hub-ner-train.parquet")).Files[0].Split);
    }

    [Fact]
    public void Surfaces_and_empty_nodes_of_a_hub_treebank_are_no_words()
    {
        var read = Read(Fixture("hub-ud.parquet"), "pos", "dep", "dep:full", "feats:Number");
        Assert.Equal(["ud-1", "ud-2", "ud-3"], read.Select(s => s.Id));
        Assert.Equal([new("I", 0, 1), new("do", 2, 4), new("n't", 4, 7), new("go", 8, 10), new(".", 10, 11)], read[0].Words);
        Assert.Equal(["PRON", "AUX", "PART", "VERB", "PUNCT"], read[0].Labels["pos"]);
        Assert.Equal([new("Er", 0, 2), new("geht", 3, 7), new("zu", 8, 11, true), new("dem", 8, 11, true), new("Haus", 12, 16), new(".", 16, 17)], read[1].Words);
        Assert.Equal(["PRON", "VERB", "ADP", "DET", "NOUN", "PUNCT"], read[1].Labels["pos"]);
        Assert.Equal(("obl", "obl:arg"), (read[1].Labels["dep"][4], read[1].Labels["dep:full"][4]));
        Assert.Equal(["Sing", null, null, null, "Sing", null], read[1].Labels["feats:Number"]);
        Assert.Equal(["He", "came", "and", "she", "too", "."], read[2].Words.Select(w => w.Form));
        Assert.All(read, s => Assert.False(s.TextReconstructed));
    }

    [Theory]
    [InlineData("two-level-list")]
    [InlineData("repeated")]
    public void Older_forms_of_a_list(string file)
    {
        var read = Read(Fixture(file + ".parquet"));
        Assert.Equal(["Rome calls", "Yes"], read.Select(s => s.Text));
        Assert.Equal(["LOC", "O"], read[0].Labels["ner"]);
    }

    [Fact]
    public void Compressed_whole_or_named_anything()
    {
        var plain = File.ReadAllBytes(Fixture("hub-ud.parquet"));
        using var zipped = new MemoryStream();
        using (var gzip = new GZipStream(zipped, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(plain);
        using var zstd = new Compressor();
        foreach (var path in new[] { files.Write("a.parquet.gz", zipped.ToArray()), files.Write("b.parquet.zst", zstd.Wrap(plain).ToArray()), files.Write("c.bin", plain), files.Write("d", zipped.ToArray()) })
            Assert.Equal(3, Read(path, "pos").Count);
    }

    [Fact]
    public void Numbers_without_names_are_refused_with_their_place()
    {
        var refusal = Assert.Throws<CorpusException>(() => DatasetFolder.Open(Fixture("rust-v2-zstd.parquet")).Read(settings: new ReadSettings { Tasks = ["numbers"] }).Count());
        Assert.StartsWith("rust-v2-zstd.parquet: row group 1, row 1: the labels of 'numbers' are numbers", refusal.Message);
    }

    [Theory]
    [InlineData("PAR1", "too short")]
    [InlineData("PAR1 and no more than that", "does not end with 'PAR1'")]
    [InlineData("no Parquet file at all..", "does not begin with 'PAR1'")]
    [InlineData("PAR1........\u0001\u0001\u0001\u0001PAR1", "footer claims 16843009 bytes")]
    [InlineData("PAR1........\u0008\0\0\0PAR1", "its metadata")]
    [InlineData("PAR1....\0\0\0\0PARE", "encrypted")]
    public void What_is_no_parquet_file_is_refused(string content, string problem)
    {
        var refusal = Assert.Throws<CorpusException>(() => files.Read("bad.parquet", content));
        Assert.Equal("bad.parquet", refusal.File);
        Assert.Contains(problem, refusal.Problem);
    }

    /// <summary>Claims that no bytes stand behind. A test that would need the memory it claims could not pass.</summary>
    [Theory]
    [InlineData("rows", "claims 1000000000000 rows")]
    [InlineData("groups", "more than there are bytes")]
    [InlineData("page", "a page claims")]
    [InlineData("values", "a page claims")]
    [InlineData("runs", "expand beyond")]
    [InlineData("deep", "nested too deep")]
    [InlineData("schema", "too deep or too wide")]
    [InlineData("place", "claims 1 values in")]
    public void Claims_that_the_file_can_not_meet_are_refused_before_memory_is_spent(string claim, string problem)
    {
        var path = files.Write("claim.parquet", HostileParquet.Make(claim));
        Assert.True(new FileInfo(path).Length < 10_000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var refusal = Assert.Throws<CorpusException>(() => DatasetFolder.Open(path).Read().Count());
        Assert.Contains(problem, refusal.Message);
        Assert.True(claim == "runs" || GC.GetAllocatedBytesForCurrentThread() - before < 4 << 20, "memory was spent on a claim");
    }

    [Fact]
    public void Damaged_files_are_refused_and_never_more()
    {
        var random = new Random(3);
        foreach (var fixture in Directory.EnumerateFiles(Fixture("."), "*.parquet").Order(StringComparer.Ordinal))
        {
            var good = File.ReadAllBytes(fixture);
            for (var round = 0; round < 100; round++)
            {
                var bad = random.Next(4) == 0 ? good[..random.Next(good.Length)] : good[..];
                for (var flips = random.Next(1, 4); flips > 0 && bad.Length == good.Length; flips--)
                    bad[random.Next(bad.Length)] = (byte)(random.Next(3) switch { 0 => 0xff, 1 => 0, _ => random.Next(256) });
                try
                {
                    Assert.True(Read(files.Write("damaged.parquet", bad)).Count < 1000);
                }
                catch (CorpusException refusal)
                {
                    Assert.Equal("damaged.parquet", refusal.File);
                }
            }
        }
    }
}
