using System.Security.Cryptography;
using System.Text;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Storage.Tests;

public sealed class ArtifactStoreTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("sae-artifacts-").FullName;
    private readonly ArtifactStore _store;
    private readonly Guid _job = Guid.CreateVersion7();

    public ArtifactStoreTests() => _store = new ArtifactStore(_root);

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_file_appears_whole_with_its_length_and_hash(bool byStream)
    {
        var key = ArtifactStore.KeyOf(_job, StageKind.Train, 3, 2, "sae.safetensors");
        var content = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("weights", 50_000)));
        StoredArtifact stored;
        using (var writer = _store.Create(key))
        {
            if (byStream)
                writer.Stream.Write(content);
            else
                File.WriteAllBytes(writer.TemporaryPath, content);
            Assert.False(_store.Exists(key));
            stored = writer.Complete();
        }
        Assert.Equal($"{_job:D}/train/3/2/sae.safetensors", key);
        Assert.Equal(new StoredArtifact(key, content.Length, Convert.ToHexStringLower(SHA256.HashData(content))), stored);
        Assert.Equal(content, File.ReadAllBytes(_store.Path(key)));
        Assert.Single(Directory.EnumerateFiles(_root, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public void What_a_dead_writer_left_is_not_visible_and_is_swept_once_old()
    {
        var key = ArtifactStore.KeyOf(_job, StageKind.Capture, null, 1, "activations");
        // A process that is killed neither completes nor disposes.
        var writer = _store.Create(key);
        writer.Stream.Write(new byte[10]);
        writer.Stream.Flush();

        Assert.False(_store.Exists(key));
        Assert.Null(_store.FindLatest(_job, StageKind.Capture, null, 1, "activations"));
        Assert.Equal(0, _store.RemoveOrphans(TimeSpan.FromHours(1)));
        File.SetLastWriteTimeUtc(writer.TemporaryPath, new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        Assert.Equal(1, _store.RemoveOrphans(TimeSpan.FromHours(1)));
        Assert.Empty(Directory.EnumerateFiles(_root, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public void A_writer_disposed_before_completion_leaves_nothing()
    {
        using (var writer = _store.Create("datasets/a"))
            writer.Stream.Write([1, 2, 3]);
        Assert.Empty(Directory.EnumerateFiles(_root, "*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../b")]
    [InlineData("..")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("a\\b")]
    [InlineData("a/.hidden")]
    [InlineData("a/b\n")]
    [InlineData("C:/a")]
    [InlineData("a/x.tmp")]
    public void What_is_no_key_is_refused(string key)
    {
        Assert.Throws<ArgumentException>(() => _store.Path(key));
        Assert.Throws<ArgumentException>(() => _store.Create(key));
        Assert.Throws<ArgumentException>(() => _store.DeletePrefix(key));
    }

    [Fact]
    public void A_checkpoint_is_found_by_later_attempts_until_others_are_deleted()
    {
        Write(ArtifactStore.KeyOf(_job, StageKind.Train, 0, 1, "checkpoint"));
        Write(ArtifactStore.KeyOf(_job, StageKind.Train, 0, 3, "checkpoint"));
        Write(ArtifactStore.KeyOf(_job, StageKind.Train, 1, 1, "checkpoint"));
        Assert.Equal(ArtifactStore.KeyOf(_job, StageKind.Train, 0, 1, "checkpoint"), _store.FindLatest(_job, StageKind.Train, 0, 2, "checkpoint"));
        Assert.Equal(ArtifactStore.KeyOf(_job, StageKind.Train, 0, 3, "checkpoint"), _store.FindLatest(_job, StageKind.Train, 0, 4, "checkpoint"));

        _store.DeleteOtherAttempts(_job, StageKind.Train, 0, 3);
        Assert.Null(_store.FindLatest(_job, StageKind.Train, 0, 2, "checkpoint"));
        Assert.True(_store.Exists(ArtifactStore.KeyOf(_job, StageKind.Train, 1, 1, "checkpoint")));

        _store.DeletePrefix(_job.ToString("D"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_root));
    }

    private void Write(string key)
    {
        using var writer = _store.Create(key);
        writer.Stream.Write("x"u8);
        writer.Complete();
    }
}
