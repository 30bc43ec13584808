using System.Text;
using System.Text.Json;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sources.Tests;

public sealed class DatasetFetchTests : HubTestBase
{
    private const string Sentence = "# sent_id = s1\n1\tParis\tParis\tPROPN\t_\t_\t0\troot\t_\t_\n\n";

    private (DatasetSource Source, HubSource Hub) Open(string? catalogue = null, bool offline = false)
    {
        var file = catalogue is null ? null : Path.Combine(Root, "catalogue.json");
        if (file is not null)
            File.WriteAllText(file, catalogue);
        var from = Settings(offline: offline);
        var settings = new SourceSettings
        {
            Enabled = true,
            Endpoint = from.Endpoint,
            Token = Token,
            CacheFolder = from.CacheFolder,
            Offline = offline,
            AllowedHosts = from.AllowedHosts,
            CatalogueFile = file,
            GitHubApi = new Uri(Hub.Address, "/github"),
            GitHubRaw = new Uri(Hub.Address, "/raw"),
            Limits = from.Limits,
        };
        var hub = new HubSource(settings);
        return (new DatasetSource(settings, hub), hub);
    }

    private FakeRepo AddSet(string name, int commit, params string[] files)
    {
        var repo = Hub.Add($"datasets/org/{name}@main", new FakeRepo(FakeHub.CommitOf(commit)) { Licence = "cc-by-4.0" });
        foreach (var file in files)
            repo.With(file, Noise(1200, file.GetHashCode(StringComparison.Ordinal)));
        return repo;
    }

    /// <summary>Files that the server has at other addresses than a hub's.</summary>
    private void Serve(Dictionary<string, byte[]> files) => Hub.Intercept = async (context, _) =>
    {
        if (!files.TryGetValue(context.Request.Path.Value!, out var bytes))
            return false;
        await Hub.ServeAsync(context, bytes, $"\"{FakeHub.Sha256(bytes)[..8]}\"");
        return true;
    };

    [Theory]
    [InlineData("data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet data/validation-00000-of-00001.parquet", null, "train-0000.parquet train-0001.parquet dev-0000.parquet")]
    [InlineData("en/train/0000.parquet en/test/0000.parquet de/train/0000.parquet", "en", "train-0000.parquet test-0000.parquet")]
    [InlineData("default/partial-train/0000.parquet default/partial-train/0001.parquet", null, "train-0000.parquet train-0001.parquet")]
    [InlineData("default/train/0000.parquet other/train/0000.parquet", null, "train-0000.parquet")]
    [InlineData("train.jsonl dev.jsonl test.jsonl script.py", null, "train-0000.jsonl dev-0000.jsonl test-0000.jsonl")]
    [InlineData("data/train.jsonl.gz data/valid.jsonl.gz", null, "train-0000.jsonl.gz dev-0000.jsonl.gz")]
    [InlineData("en_ewt-ud-train.conllu en_ewt-ud-dev.conllu de_gsd-ud-dev.conllu", "en_ewt", "train-0000.conllu dev-0000.conllu")]
    [InlineData("en_ewt-ud-dev.conllu train.parquet", "en_ewt", "dev-0000.conllu")]
    [InlineData("corpus.conll.zst", null, "part-0000.conll.zst")]
    [InlineData("a/b/test-00000-of-00001.parquet", "a/b", "test-0000.parquet")]
    [InlineData("train.jsonl train.parquet dataset_infos.json", null, "train-0000.parquet")]
    public void Common_layouts_are_understood(string files, string? config, string parts)
    {
        var listing = new HubListing(HubRepo.Of(RepoKind.Dataset, "org/set"), FakeHub.CommitOf(1), [.. files.Split(' ').Select(name => new HubFile(name, 10, null))], null);
        Assert.Equal(parts.Split(' '), DatasetSelection.Of(listing, config).Select(part => part.Name));
    }

    [Fact]
    public async Task A_data_set_of_the_hub_is_fetched_as_far_as_it_is_needed()
    {
        var repo = AddSet("set", 1, "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet", "set.py", "extra.zip").With("README.md", "---\nlicense: x\n---\n");
        var (source, hub) = Open();
        using var _ = source;
        using var __ = hub;
        var offer = await source.FindAsync("org/set", null, Ct);
        Assert.Equal(("org/set", "hub", repo.Commit, "cc-by-4.0", null, null), (offer.Id, offer.Source, offer.Revision, offer.Licence, offer.Tasks, offer.Fetched));
        Assert.Equal(["train", "test"], offer.Splits);
        Assert.Empty(Hub.CdnRequests);

        using (var test = await source.FetchAsync("org/set", offer.Revision, ["test"], null, Ct))
            Assert.Equal(["test-0000.parquet"], Directory.EnumerateFiles(test.Path).Select(Path.GetFileName));
        Assert.Null((await source.FindAsync("org/set", null, Ct)).Fetched);
        using (var all = await source.FetchAsync("org/set", offer.Revision, null, null, Ct))
        {
            Assert.Equal(["test-0000.parquet", "train-0000.parquet"], Directory.EnumerateFiles(all.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            Assert.Equal(repo.Files["data/train-00000-of-00001.parquet"], await File.ReadAllBytesAsync(Path.Combine(all.Path, "train-0000.parquet"), Ct));
            Assert.Equal(all.Path, (await source.FindAsync("org/set", null, Ct)).Fetched);
            Assert.Equal("cc-by-4.0", all.Licence);
        }
        Assert.NotNull(hub.Cache.FindFile("datasets--org--set", repo.Commit, "README.md"));
        Assert.Null(hub.Cache.FindFile("datasets--org--set", repo.Commit, "set.py"));
        Assert.Equal(2, Hub.CdnRequests.Count());
    }

    [Fact]
    public async Task What_needs_a_script_comes_as_the_hub_converted_it()
    {
        AddSet("script", 1, "script.py");
        Hub.Add("datasets/org/script@refs/convert/parquet", new FakeRepo(FakeHub.CommitOf(2))).With("default/train/0000.parquet", Noise(1500, 1)).With("default/test/0000.parquet", Noise(1500, 2));
        AddSet("bare", 3, "bare.py");
        var (source, hub) = Open();
        using var _ = source;
        using var __ = hub;
        var offer = await source.FindAsync("org/script", null, Ct);
        Assert.Equal((FakeHub.CommitOf(2), "cc-by-4.0"), (offer.Revision, offer.Licence));
        using var all = await source.FetchAsync("org/script", offer.Revision, null, null, Ct);
        Assert.Equal(["test-0000.parquet", "train-0000.parquet"], Directory.EnumerateFiles(all.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        await FaultAsync(SourceFault.Unusable, () => source.FindAsync("org/bare", null, Ct));
    }

    [Fact]
    public async Task Where_there_are_several_configurations_one_must_be_named()
    {
        AddSet("many", 1, "en/train-00000-of-00001.parquet", "de/train-00000-of-00001.parquet");
        var (source, hub) = Open();
        using var _ = source;
        using var __ = hub;
        Assert.Contains("de, en", (await FaultAsync(SourceFault.Unusable, () => source.FindAsync("org/many", null, Ct))).Message, StringComparison.Ordinal);
        await FaultAsync(SourceFault.Unusable, () => source.FindAsync("org/many:fr", null, Ct));
        await FaultAsync(SourceFault.Refused, () => source.FindAsync("org/many:../en", null, Ct));
        var offer = await source.FindAsync("org/many:de", null, Ct);
        using var german = await source.FetchAsync("org/many:de", offer.Revision, null, null, Ct);
        Assert.EndsWith("config-de", german.Path, StringComparison.Ordinal);
        Assert.Single(Hub.CdnRequests);
    }

    [Fact]
    public async Task An_entry_of_the_catalogue_is_fetched_joined_and_remembered()
    {
        const string Entities = "# sent_id = s1\n1\tParis\tB-LOC\t-\tx\n\n";
        var files = new Dictionary<string, byte[]> { ["/x/tb-dev.conllu"] = Encoding.UTF8.GetBytes(Sentence), ["/x/tb-dev.iob2"] = Encoding.UTF8.GetBytes(Entities) };
        Serve(files);
        string Catalogue(string sha256) => $$"""
            {"entries":[{"name":"mine","title":"Mine","licence":"CC0","tasks":["pos","dep","ner"],"files":[{"name":"tb-dev.conllu","url":"{{Hub.Address}}x/tb-dev.conllu",
             "sha256":"{{sha256}}","entities":{"url":"{{Hub.Address}}x/tb-dev.iob2","sha256":null} }]}]}
            """;
        var (source, hub) = Open(Catalogue(FakeHub.Sha256(files["/x/tb-dev.conllu"])));
        using (source)
        using (hub)
        {
            var offer = await source.FindAsync("mine", null, Ct);
            Assert.Equal(("catalogue", "Mine", "CC0", null), (offer.Source, offer.Title, offer.Licence, offer.Fetched));
            Assert.Equal(["dev"], offer.Splits);
            Assert.Empty(Hub.Requests);
            using var mine = await source.FetchAsync("mine", offer.Revision, null, null, Ct);
            Assert.Contains("\tNER=B-LOC\n", await File.ReadAllTextAsync(Path.Combine(mine.Path, "tb-dev.conllu"), Ct), StringComparison.Ordinal);
            Assert.Equal(["tb-dev.conllu"], Directory.EnumerateFiles(mine.Path).Select(Path.GetFileName));
            Assert.Equal(mine.Path, source.FindEntry("mine")!.Fetched);
            Assert.Equal("CC0", mine.Licence);
            await FaultAsync(SourceFault.NoRevision, () => source.FindAsync("mine", "main", Ct));
            await FaultAsync(SourceFault.NoRevision, () => source.FetchAsync("mine", FakeHub.CommitOf(1), null, null, Ct));

            // Once here, it is not asked for again.
            Hub.Requests.Clear();
            using (await source.FetchAsync("mine", offer.Revision, null, null, Ct)) { }
            Assert.Empty(Hub.Requests);

            // The one without a hash is held to what it first was.
            Directory.Delete(Path.Combine(CacheFolder, "catalogue--mine", "snapshots"), recursive: true);
            Directory.Delete(Path.Combine(CacheFolder, "catalogue--mine", "blobs"), recursive: true);
            files["/x/tb-dev.iob2"] = Encoding.UTF8.GetBytes(Entities.Replace("LOC", "PER", StringComparison.Ordinal));
            await FaultAsync(SourceFault.Damaged, () => source.FetchAsync("mine", offer.Revision, null, null, Ct));
        }
        // And the other to its entry.
        var (wrong, hub2) = Open(Catalogue(new string('a', 64)));
        using var _ = wrong;
        using var __ = hub2;
        Assert.NotEqual(source.FindEntry("mine")!.Revision, wrong.FindEntry("mine")!.Revision);
        await FaultAsync(SourceFault.Damaged, () => wrong.FetchAsync("mine", wrong.FindEntry("mine")!.Revision, null, null, Ct));
    }

    [Fact]
    public async Task Entities_of_another_text_are_not_joined()
    {
        Serve(new() { ["/x/a-dev.conllu"] = Encoding.UTF8.GetBytes(Sentence), ["/x/a-dev.iob2"] = "# sent_id = s1\n1\tLondon\tB-LOC\n\n"u8.ToArray() });
        var (source, hub) = Open($$"""
            {"entries":[{"name":"other","tasks":["ner"],"files":[{"name":"a-dev.conllu","url":"{{Hub.Address}}x/a-dev.conllu","entities":{"url":"{{Hub.Address}}x/a-dev.iob2"} }]}]}
            """);
        using var _ = source;
        using var __ = hub;
        var e = await FaultAsync(SourceFault.Damaged, () => source.FetchAsync("other", source.FindEntry("other")!.Revision, null, null, Ct));
        Assert.Contains("1 of 1", e.Message, StringComparison.Ordinal);
        Assert.Null(source.FindEntry("other")!.Fetched);
    }

    [Theory]
    [InlineData("ud:Latin-Tiny")]
    [InlineData("UD_Latin-Tiny")]
    public async Task Any_treebank_is_found_by_its_name_and_checked_against_git_s_hashes(string id)
    {
        var commit = FakeHub.CommitOf(77);
        var train = Encoding.UTF8.GetBytes(Sentence);
        var readme = "= Machine-readable metadata\nLicense: CC BY-SA 4.0\nIncludes text: yes\n"u8.ToArray();
        object Blob(string path, byte[] bytes) => new { path, type = "blob", size = bytes.Length, sha = FakeHub.GitBlob(bytes) };
        var tree = JsonSerializer.SerializeToUtf8Bytes(new
        {
            tree = new object[] { Blob("la_tiny-ud-train.conllu", train), Blob("la_tiny-ud-test.conllu", train), Blob("README.md", readme), Blob("stats.xml", train), new { path = "not-to-release", type = "tree", sha = commit } },
        });
        var files = new Dictionary<string, byte[]>
        {
            ["/github/repos/UniversalDependencies/UD_Latin-Tiny/commits/r2.16"] = Encoding.ASCII.GetBytes(commit),
            [$"/github/repos/UniversalDependencies/UD_Latin-Tiny/git/trees/{commit}"] = tree,
            [$"/raw/UniversalDependencies/UD_Latin-Tiny/{commit}/la_tiny-ud-train.conllu"] = train,
            [$"/raw/UniversalDependencies/UD_Latin-Tiny/{commit}/la_tiny-ud-test.conllu"] = train,
            [$"/raw/UniversalDependencies/UD_Latin-Tiny/{commit}/README.md"] = readme,
        };
        Serve(files);
        var (source, hub) = Open();
        using var _ = source;
        using var __ = hub;
        Assert.True(source.Names(id));
        var offer = await source.FindAsync(id, null, Ct);
        Assert.Equal((id, "catalogue", commit, "CC BY-SA 4.0", null), (offer.Id, offer.Source, offer.Revision, offer.Licence, offer.Fetched));
        Assert.Equal(["train", "test"], offer.Splits);
        Assert.Equal(["pos", "dep"], offer.Tasks!);
        using (var latin = await source.FetchAsync(id, offer.Revision, null, null, Ct))
            Assert.Equal(["la_tiny-ud-test.conllu", "la_tiny-ud-train.conllu"], Directory.EnumerateFiles(latin.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.All(Hub.Requests, r => Assert.Null(r.Authorization)); // the hub's token is not GitHub's

        // A release does not move: it is not asked about again, and all of it is here without a network.
        Hub.Requests.Clear();
        Assert.NotNull((await source.FindAsync(id, "r2.16", Ct)).Fetched);
        var (offline, hub2) = Open(offline: true);
        using var ___ = offline;
        using var ____ = hub2;
        using (var again = await offline.FetchAsync(id, offer.Revision, ["test"], null, Ct))
            Assert.Equal("CC BY-SA 4.0", again.Licence);
        Assert.Empty(Hub.Requests);
        await FaultAsync(SourceFault.Offline, () => offline.FindAsync("ud:Latin-Other", null, Ct));
        await FaultAsync(SourceFault.NotFound, () => source.FindAsync("ud:Latin-Other", null, Ct));
    }

    [Fact]
    public async Task A_busy_github_is_told_from_a_closed_one()
    {
        Hub.Intercept = (context, _) =>
        {
            context.Response.StatusCode = 403;
            context.Response.Headers["X-RateLimit-Remaining"] = "0";
            context.Response.Headers.RetryAfter = "3000";
            return Task.FromResult(true);
        };
        var (source, hub) = Open();
        using var _ = source;
        using var __ = hub;
        await FaultAsync(SourceFault.RateLimited, () => source.FindAsync("ud:Latin-Tiny", null, Ct));
    }

    [Fact]
    public void The_built_in_catalogue_is_pinned_and_licensed()
    {
        var entries = CatalogueEntry.Load(null);
        Assert.Contains("ewt-uner", entries.Select(e => e.Name));
        Assert.All(entries, entry =>
        {
            Assert.False(string.IsNullOrEmpty(entry.Licence), entry.Name);
            Assert.True(HubRepo.IsCommit(entry.Pin));
            Assert.All(entry.Files ?? [], file => Assert.Matches("/[0-9a-f]{40}/", file.Url.AbsolutePath));
        });
        Assert.Equal(entries.Select(e => e.Pin), CatalogueEntry.Load(null).Select(e => e.Pin));
    }

    [Theory]
    [InlineData("""{"entries":[{"name":"A","tasks":["pos"],"treebank":{"repository":"UD_X-Y","revision":"r1.0"}}]}""", "name")]
    [InlineData("""{"entries":[{"name":"a","tasks":[],"treebank":{"repository":"UD_Xx-Y","revision":"r1.0"}}]}""", "tasks")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"]}]}""", "one of")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"treebank":{"repository":"../x","revision":"r1.0"}}]}""", "treebank")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"hub":{"id":"a/b","revision":"main"}}]}""", "commit")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[]}]}""", "files")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[{"name":"../x.conllu","url":"https://x/y"}]}]}""", "file name")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[{"name":"x.conllu","url":"ftp://x/y"}]}]}""", "address")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[{"name":"x.conllu","url":"y"}]}]}""", "address")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[{"name":"x.conllu","url":"https://x/y","sha256":"123"}]}]}""", "sha256")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[{"name":"x.conll","url":"https://x/y","entities":{"url":"https://x/z"}}]}]}""", "conllu")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"colour":"red","files":[{"name":"x.conllu","url":"https://x/y"}]}]}""", "colour")]
    [InlineData("""{"entries":[{"tasks":["pos"],"files":[{"name":"x.conllu","url":"https://x/y"}]}]}""", "name")]
    [InlineData("""{"entries":[{"name":"a","tasks":["pos"],"files":[{"name":"x.conllu","url":"https://x/y"}]},{"name":"a","tasks":["pos"],"files":[{"name":"x.conllu","url":"https://x/y"}]}]}""", "twice")]
    [InlineData("[]", "Catalogue:File")]
    [InlineData("{", "Catalogue:File")]
    public void An_operator_s_catalogue_is_read_strictly(string json, string says)
    {
        var file = Path.Combine(Root, "bad.json");
        File.WriteAllText(file, json);
        Assert.Contains(says, Assert.Throws<FormatException>(() => CatalogueEntry.Load(file)).Message, StringComparison.Ordinal);
    }
}
