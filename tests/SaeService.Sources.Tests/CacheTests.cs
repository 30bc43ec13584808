using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sources.Tests;

public sealed class CacheTests : HubTestBase
{
    private static HubRepo Repo(string name) => HubRepo.Of(RepoKind.Model, "org/" + name);

    private FakeRepo AddModel(string name, int weights, int commit) => Hub.Add($"models/org/{name}@main", new FakeRepo(FakeHub.CommitOf(commit)))
        .With("config.json", "{}").With("model.safetensors", Noise(weights, commit));

    private async Task FetchAsync(string name, SourceSettings settings)
    {
        using var hub = new HubSource(settings);
        using var model = await hub.FetchModelAsync(Repo(name), "main", null, Ct);
    }

    private bool Has(string name) => Directory.Exists(Path.Combine(CacheFolder, "models--org--" + name, "snapshots"))
        && Directory.EnumerateDirectories(Path.Combine(CacheFolder, "models--org--" + name, "snapshots")).Any();

    [Fact]
    public async Task Without_a_network_the_cache_is_used()
    {
        var repo = AddTiny();
        using (var hub = new HubSource(Settings()))
        using (await hub.FetchModelAsync(Tiny, "main", null, Ct))
            Hub.Requests.Clear();
        using (var offline = new HubSource(Settings(offline: true)))
        {
            using (var model = await offline.FetchModelAsync(Tiny, "main", null, Ct))
                SameFiles(model.Path, repo, "config.json", "model.safetensors", "tokenizer.json");
            await FaultAsync(SourceFault.Offline, () => offline.FetchModelAsync(Tiny, "v2", null, Ct));
            await FaultAsync(SourceFault.Offline, () => offline.FetchModelAsync(Repo("absent"), "main", null, Ct));
            File.Delete(Path.Combine(CacheFolder, "models--org--tiny", "snapshots", repo.Commit, "model.safetensors"));
            await FaultAsync(SourceFault.Offline, () => offline.FetchModelAsync(Tiny, "main", null, Ct));
        }
        Assert.Empty(Hub.Requests);
        // The blob is still there: only its name in the snapshot is missing.
        using (var again = new HubSource(Settings()))
        using (await again.FetchModelAsync(Tiny, "main", null, Ct))
            Assert.Empty(Hub.CdnRequests);
    }

    [Fact]
    public async Task A_hub_that_can_not_be_reached_is_as_it_was_last_seen()
    {
        var repo = AddTiny();
        using var hub = new HubSource(Settings());
        using (await hub.FetchModelAsync(Tiny, "main", null, Ct)) { }
        Hub.Intercept = (context, _) =>
        {
            context.Abort();
            return Task.FromResult(true);
        };
        using (var model = await hub.FetchModelAsync(Tiny, "main", null, Ct))
            Assert.Equal(repo.Commit, model.Commit);
        await FaultAsync(SourceFault.Network, () => hub.FetchModelAsync(Repo("absent"), "main", null, Ct));
    }

    [Fact]
    public async Task What_hugging_face_s_tools_fetched_is_used()
    {
        var repo = AddTiny();
        var folder = Path.Combine(CacheFolder, "models--org--tiny");
        var snapshot = Directory.CreateDirectory(Path.Combine(folder, "snapshots", repo.Commit)).FullName;
        Directory.CreateDirectory(Path.Combine(folder, "blobs"));
        Directory.CreateDirectory(Path.Combine(folder, "refs"));
        await File.WriteAllTextAsync(Path.Combine(folder, "refs", "main"), repo.Commit, Ct);
        foreach (var (name, bytes) in repo.Files)
        {
            var blob = bytes.Length >= 1000 ? FakeHub.Sha256(bytes) : FakeHub.GitBlob(bytes);
            await File.WriteAllBytesAsync(Path.Combine(folder, "blobs", blob), bytes, Ct);
            File.CreateSymbolicLink(Path.Combine(snapshot, name), "../../blobs/" + blob);
        }
        using (var offline = new HubSource(Settings(offline: true)))
        using (var model = await offline.FetchModelAsync(Tiny, "main", null, Ct))
            Assert.Equal(snapshot, model.Path);
        using (var online = new HubSource(Settings()))
        using (await online.FetchModelAsync(Tiny, "main", null, Ct))
            Assert.Single(Hub.Requests);
    }

    [Fact]
    public async Task A_new_commit_takes_over_what_did_not_change()
    {
        AddTiny();
        using var hub = new HubSource(Settings());
        using (await hub.FetchModelAsync(Tiny, "main", null, Ct)) { }
        var old = Hub.Repos["models/org/tiny@main"];
        var next = Hub.Add("models/org/tiny@main", new FakeRepo(FakeHub.CommitOf(2)));
        foreach (var (name, bytes) in old.Files)
            next.With(name, bytes);
        next.With("config.json", """{"model_type":"gpt2"}""");
        Hub.Requests.Clear();
        using var model = await hub.FetchModelAsync(Tiny, "main", null, Ct);
        Assert.Equal(next.Commit, model.Commit);
        Assert.Empty(Hub.CdnRequests);
        // The old commit is still what it was.
        Hub.Add("models/org/tiny@v1", old);
        using var before = await hub.FetchModelAsync(Tiny, old.Commit, null, Ct);
        SameFiles(before.Path, old, "config.json", "model.safetensors", "tokenizer.json");
    }

    [Fact]
    public async Task What_was_not_used_for_longest_makes_room_and_nothing_that_is_in_use()
    {
        foreach (var (name, n) in new[] { ("a", 1), ("b", 2), ("c", 3), ("d", 4) })
            AddModel(name, 100_000, n);
        var foreign = Directory.CreateDirectory(Path.Combine(CacheFolder, "something", "snapshots", FakeHub.CommitOf(7))).FullName;
        await File.WriteAllBytesAsync(Path.Combine(foreign, "x"), new byte[500_000], Ct);
        var odd = Directory.CreateDirectory(Path.Combine(CacheFolder, "models--org--a", "snapshots", "not-a-commit")).FullName;
        await FetchAsync("a", Settings());
        await FetchAsync("b", Settings());
        await FetchAsync("c", Settings());
        // Last use by name: b is the oldest, then c, then a; and b is in use.
        foreach (var (name, age) in new[] { ("a", 1), ("c", 2), ("b", 3) })
            File.SetLastWriteTimeUtc(Directory.GetFiles(Path.Combine(CacheFolder, "models--org--" + name, ".sae"), "*.used").Single(), DateTime.UtcNow.AddHours(-age));
        using (var hub = new HubSource(Settings()))
        using (await hub.Cache.LeaseAsync("models--org--b", FakeHub.CommitOf(2), Ct))
        {
            await FetchAsync("d", Settings(maxBytes: 320_000));
            Assert.Equal((true, true, false, true), (Has("a"), Has("b"), Has("c"), Has("d")));
            Assert.Empty(Directory.EnumerateFiles(Path.Combine(CacheFolder, "models--org--c", "blobs")));
            Assert.False(File.Exists(Path.Combine(CacheFolder, "models--org--c", "refs", "main")));
        }
        Assert.True(File.Exists(Path.Combine(foreign, "x")));
        Assert.True(Directory.Exists(odd));
        // What is gone comes again, and then another goes.
        await FetchAsync("c", Settings(maxBytes: 320_000));
        Assert.True(Has("c"));
        Assert.True(new DirectoryInfo(CacheFolder).EnumerateDirectories("models--*").Sum(d => d.EnumerateFiles("*", SearchOption.AllDirectories).Where(f => f.LinkTarget is null).Sum(f => f.Length)) < 330_000);
    }

    [Fact]
    public async Task A_blob_that_another_snapshot_needs_stays()
    {
        var shared = Noise(50_000, 1);
        Hub.Add("models/org/a@main", new FakeRepo(FakeHub.CommitOf(1))).With("config.json", "{}").With("model.safetensors", shared);
        await FetchAsync("a", Settings());
        Hub.Add("models/org/a@main", new FakeRepo(FakeHub.CommitOf(2))).With("config.json", """{"a":1}""").With("model.safetensors", shared);
        await FetchAsync("a", Settings());
        File.SetLastWriteTimeUtc(Path.Combine(CacheFolder, "models--org--a", ".sae", FakeHub.CommitOf(1) + ".used"), DateTime.UtcNow.AddHours(-1));
        using var hub = new HubSource(Settings());
        await hub.Cache.EvictAsync(50_008, 0, Ct);
        Assert.False(Directory.Exists(hub.Cache.SnapshotOf("models--org--a", FakeHub.CommitOf(1))));
        Assert.NotNull(hub.Cache.FindFile("models--org--a", FakeHub.CommitOf(2), "model.safetensors", shared.Length));
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_before_it_is_fetched()
    {
        AddTiny(200_000);
        Assert.Contains("Hub:MaxBytes", (await FaultAsync(SourceFault.NoSpace, () => FetchAsync("tiny", Settings(maxBytes: 100_000)))).Message, StringComparison.Ordinal);
        Assert.Contains("disk", (await FaultAsync(SourceFault.NoSpace, () => FetchAsync("tiny", Settings(freeBytes: _ => (64 << 20) + 100_000)))).Message, StringComparison.Ordinal);
        Assert.Empty(Hub.CdnRequests);
    }

    [Fact]
    public async Task A_lease_of_a_process_that_ended_holds_nothing()
    {
        AddTiny();
        await FetchAsync("tiny", Settings());
        var leases = Path.Combine(CacheFolder, "models--org--tiny", ".sae", "leases");
        Assert.Empty(Directory.EnumerateFiles(leases));
        await File.WriteAllTextAsync(Path.Combine(leases, FakeHub.CommitOf(1) + ".1-x"), "", Ct);
        using var hub = new HubSource(Settings());
        Assert.Equal(0, await hub.Cache.EvictAsync(1, 0, Ct));
        Assert.False(Has("tiny"));
    }
}
