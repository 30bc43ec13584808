using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class PackedCorpusFileTests
{
    private static PackedCorpus Sample() => CorpusPacker.Pack(
        Enumerable.Range(0, 40).Select(i => ToyTokenizers.Sentence($"s{i}", $"d{i / 2}", $"The cat{i} 😀 sat", w => w == 1 ? null : "DNSV"[w].ToString())),
        ToyTokenizers.Pieces, new PackingSettings { ContextLength = 16, PrefixIds = [1], Seed = 3 }, TestContext.Current.CancellationToken);

    private static byte[] Bytes(PackedCorpus corpus)
    {
        using var stream = new MemoryStream();
        corpus.Save(stream);
        return stream.ToArray();
    }

    [Fact]
    public void What_is_saved_is_what_is_loaded_and_equal_corpora_are_equal_files()
    {
        var corpus = Sample();
        var bytes = Bytes(corpus);
        Assert.Equal(bytes, Bytes(Sample()));
        var loaded = PackedCorpus.Load(new MemoryStream(bytes));
        Assert.Equal(corpus.Report, loaded.Report);
        foreach (var array in typeof(PackedCorpus).GetProperties().Where(p => p.PropertyType.IsArray))
            Assert.Equal(array.GetValue(corpus), array.GetValue(loaded));
        Assert.Equal(corpus.Tasks.Select(t => t.Name), loaded.Tasks.Select(t => t.Name));
        Assert.Equal(corpus.Task("pos").Labels, loaded.Task("pos").Labels);
        Assert.Equal(corpus.Task("pos").LabelOfWord, loaded.Task("pos").LabelOfWord);
        Assert.Equal(corpus.SplitListing(), loaded.SplitListing());
        Assert.Equal(bytes, Bytes(loaded));
    }

    [Fact]
    public void Every_damage_is_noticed()
    {
        var bytes = Bytes(Sample());
        var random = new Random(5);
        for (var i = 0; i < 300; i++)
        {
            var damaged = bytes.ToArray();
            damaged[i < 20 ? i : random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            Assert.Throws<CorpusException>(() => PackedCorpus.Load(new MemoryStream(damaged)));
        }
        for (var length = 0; length < bytes.Length; length += 1 + (bytes.Length / 100))
            Assert.Throws<CorpusException>(() => PackedCorpus.Load(new MemoryStream(bytes, 0, length)));
        Assert.Contains("follow its end", Assert.Throws<CorpusException>(() => PackedCorpus.Load(new MemoryStream([.. bytes, 0]))).Message);
    }

    [Fact]
    public void A_well_hashed_file_with_impossible_contents_is_refused()
    {
        var corpus = Sample();
        corpus.LastToken[^1] = corpus.TokenIds.Length;
        Assert.Contains("last tokens", Assert.Throws<CorpusException>(() => PackedCorpus.Load(new MemoryStream(Bytes(corpus)))).Message);
        corpus = Sample();
        corpus.Task("pos").LabelOfWord[0] = 99;
        Assert.Contains("labels", Assert.Throws<CorpusException>(() => PackedCorpus.Load(new MemoryStream(Bytes(corpus)))).Message);
    }

    [Fact]
    public void A_claimed_length_is_not_believed()
    {
        var header = """{"Report":REPORT,"Sizes":{"Tokens":2000000000,"Contexts":1,"Words":0,"Forms":0,"Types":0,"Sentences":0,"Documents":0},"Tasks":[]}"""
            .Replace("REPORT", System.Text.Json.JsonSerializer.Serialize(Sample().Report));
        var json = System.Text.Encoding.UTF8.GetBytes(header);
        byte[] file = [.. "SAEPACK\u0001"u8, .. BitConverter.GetBytes(json.Length), .. json, .. new byte[100]];
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("cut short", Assert.Throws<CorpusException>(() => PackedCorpus.Load(new MemoryStream(file))).Message);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 32 << 20);
    }
}
