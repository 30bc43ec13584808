using System.Text;
using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sources.Tests;

public sealed class ModelFetchTests : HubTestBase
{
    [Fact]
    public async Task A_model_is_fetched_into_the_layout_of_hugging_face_and_not_asked_for_again()
    {
        var repo = AddTiny().With("pytorch_model.bin", Noise(3000, 9)).With("onnx/model.onnx", Noise(3000, 8)).With("extra.safetensors", Noise(2000, 7));
        using var hub = new HubSource(Settings());
        var seen = new List<FetchProgress>();
        using (var model = await hub.FetchModelAsync(Tiny, "main", p => { lock (seen) seen.Add(p); }, Ct))
        {
            Assert.Equal((repo.Commit, "mit"), (model.Commit, model.Licence));
            SameFiles(model.Path, repo, "config.json", "model.safetensors", "tokenizer.json");
            Assert.Equal(Path.Combine(CacheFolder, "models--org--tiny", "snapshots", repo.Commit), model.Path);
            Assert.Equal($"../../blobs/{FakeHub.Sha256(repo.Files["model.safetensors"])}", new FileInfo(Path.Combine(model.Path, "model.safetensors")).LinkTarget);
            Assert.Equal($"../../blobs/{FakeHub.GitBlob(repo.Files["config.json"])}", new FileInfo(Path.Combine(model.Path, "config.json")).LinkTarget);
            Assert.Equal(repo.Commit, await File.ReadAllTextAsync(Path.Combine(CacheFolder, "models--org--tiny", "refs", "main"), Ct));
        }
        var bytes = repo.Files.Where(f => f.Key is "config.json" or "model.safetensors" or "tokenizer.json").Sum(f => f.Value.Length);
        Assert.Equal(new FetchProgress(bytes, bytes), seen.MaxBy(p => p.Done));
        Assert.All(seen, p => Assert.InRange(p.Done, 0, p.Total));
        Assert.All(Directory.EnumerateFiles(Path.Combine(CacheFolder, "models--org--tiny", "blobs")), f => Assert.DoesNotContain('.', Path.GetFileName(f)));

        // A branch is asked about, a commit is not.
        Hub.Requests.Clear();
        using (await hub.FetchModelAsync(Tiny, "main", null, Ct))
            Assert.Equal("/api/models/org/tiny/revision/main?blobs=true", Assert.Single(Hub.Requests).Path);
        using (await hub.FetchModelAsync(Tiny, repo.Commit, null, Ct))
            Assert.Single(Hub.Requests);
    }

    [Fact]
    public async Task The_token_goes_to_the_endpoint_and_never_to_where_it_redirects()
    {
        AddTiny();
        using var hub = new HubSource(Settings());
        using var model = await hub.FetchModelAsync(Tiny, "main", null, Ct);
        Assert.NotEmpty(Hub.CdnRequests);
        Assert.All(Hub.Requests, r => Assert.Equal(r.Cdn ? null : "Bearer " + Token, r.Authorization));
    }

    [Fact]
    public async Task A_repository_that_was_renamed_is_found_with_the_token()
    {
        var repo = AddTiny();
        Hub.Intercept = (context, cdn) =>
        {
            if (cdn || !context.Request.Path.Value!.Contains("/org/old", StringComparison.Ordinal) && !context.Request.Path.Value.StartsWith("/org/old", StringComparison.Ordinal))
                return Task.FromResult(false);
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = context.Request.Path.Value.Replace("/org/old", "/org/tiny", StringComparison.Ordinal) + context.Request.QueryString;
            return Task.FromResult(true);
        };
        using var hub = new HubSource(Settings());
        using var model = await hub.FetchModelAsync(HubRepo.Of(RepoKind.Model, "org/old"), "main", null, Ct);
        SameFiles(model.Path, repo, "config.json", "model.safetensors", "tokenizer.json");
        Assert.Contains("models--org--old", model.Path, StringComparison.Ordinal);
        Assert.All(Hub.Requests, r => Assert.Equal(r.Cdn ? null : "Bearer " + Token, r.Authorization));
    }

    [Fact]
    public async Task Of_a_sharded_model_only_the_shards_that_the_index_names_are_fetched()
    {
        var repo = Hub.Add("models/org/tiny@main", new FakeRepo(FakeHub.CommitOf(2))).With("config.json", "{}")
            .With("model.safetensors.index.json", """{"metadata":{},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}}""")
            .With("m-1.safetensors", Noise(2000, 1)).With("m-2.safetensors", Noise(2100, 2)).With("m-3.safetensors", Noise(2200, 3));
        using var hub = new HubSource(Settings());
        using var model = await hub.FetchModelAsync(Tiny, "main", null, Ct);
        SameFiles(model.Path, repo, "config.json", "model.safetensors.index.json", "m-1.safetensors", "m-2.safetensors");
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("/etc/x.safetensors")]
    [InlineData("sub/x.safetensors")]
    [InlineData("pytorch_model.bin")]
    [InlineData("absent.safetensors")]
    public async Task An_index_that_names_anything_else_is_refused(string shard)
    {
        Hub.Add("models/org/tiny@main", new FakeRepo(FakeHub.CommitOf(3))).With("config.json", "{}").With("pytorch_model.bin", Noise(2000, 1)).With("sub/x.safetensors", Noise(2000, 2))
            .With("model.safetensors.index.json", $$$"""{"weight_map":{"a":"{{{shard}}}"}}""");
        using var hub = new HubSource(Settings());
        await FaultAsync(SourceFault.Damaged, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Empty(Hub.CdnRequests);
    }

    [Fact]
    public async Task Pickle_alone_is_never_fetched()
    {
        Hub.Add("models/org/tiny@main", new FakeRepo(FakeHub.CommitOf(4))).With("config.json", "{}").With("pytorch_model.bin", Noise(3000, 9));
        Hub.Add("models/org/none@main", new FakeRepo(FakeHub.CommitOf(5))).With("config.json", "{}");
        Hub.Add("models/org/bare@main", new FakeRepo(FakeHub.CommitOf(6))).With("model.safetensors", Noise(3000, 9));
        using var hub = new HubSource(Settings());
        var e = await FaultAsync(SourceFault.PickleOnly, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Contains("pytorch_model.bin", e.Message, StringComparison.Ordinal);
        await FaultAsync(SourceFault.Unusable, () => hub.FetchModelAsync(HubRepo.Of(RepoKind.Model, "org/none"), "main", null, Ct));
        await FaultAsync(SourceFault.Unusable, () => hub.FetchModelAsync(HubRepo.Of(RepoKind.Model, "org/bare"), "main", null, Ct));
        Assert.Empty(Hub.CdnRequests);
    }

    [Fact]
    public async Task Parameters_are_counted_from_the_header_alone()
    {
        const string Header = """{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[300,20],"data_offsets":[0,12000]},"ids":{"dtype":"I64","shape":[7],"data_offsets":[12000,12056]}}""";
        byte[] weights = [.. BitConverter.GetBytes((ulong)Header.Length), .. Encoding.UTF8.GetBytes(Header), .. new byte[12056]];
        AddTiny().With("model.safetensors", weights);
        using var hub = new HubSource(Settings());
        var listing = await hub.ListAsync(Tiny, "main", brief: true, Ct);
        Assert.Equal(6000, await hub.CountParametersAsync(listing, brief: true, Ct));
        Assert.Equal(["bytes=0-7", $"bytes=8-{7 + Header.Length}"], Hub.CdnRequests.Select(r => r.Range));
        Assert.Null(hub.Cache.FindFile(Tiny.Folder, listing.Commit, "model.safetensors"));
        Assert.Equal("""{"model_type":"llama"}""", Encoding.UTF8.GetString(await hub.ReadAsync(listing, listing.Find("config.json")!, 1 << 20, brief: true, Ct)));

        // Once it is here, it is read here; a server without ranges is read as far as needed.
        Hub.Requests.Clear();
        Hub.IgnoreRange = true;
        Assert.Equal(6000, await hub.CountParametersAsync(listing, brief: true, Ct));
        using (await hub.FetchModelAsync(Tiny, listing.Commit, null, Ct))
            Hub.Requests.Clear();
        Assert.Equal(6000, await hub.CountParametersAsync(listing, brief: true, Ct));
        Assert.Empty(Hub.Requests);
    }

    [Theory]
    [InlineData("../../outside.txt")]
    [InlineData("a/../../b")]
    [InlineData("/etc/passwd")]
    [InlineData("C:\\x")]
    [InlineData("..\\x")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    public async Task A_listing_with_a_name_that_leads_out_is_refused_whole(string name)
    {
        AddTiny().Listing = listing => listing["siblings"]!.AsArray().Add(FakeHub.Sibling(name, [1, 2, 3]));
        using var hub = new HubSource(Settings());
        await FaultAsync(SourceFault.Refused, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.False(Directory.Exists(Path.Combine(CacheFolder, "models--org--tiny", "snapshots")));
        Assert.Single(Hub.Requests);
    }

    [Fact]
    public async Task Listings_that_are_none_are_refused()
    {
        using var hub = new HubSource(Settings());
        foreach (var spoil in new Action<JsonObject>[]
        {
            l => l["sha"] = "main",
            l => l.Remove("sha"),
            l => l.Remove("siblings"),
            l => l["siblings"]![0]!.AsObject().Remove("size"),
            l => l["siblings"]![0]!["size"] = -1,
            l => l["siblings"]![0]!["size"] = "big",
            l => l["siblings"]!.AsArray().Add(l["siblings"]![0]!.DeepClone()),
        })
        {
            AddTiny().Listing = spoil;
            await FaultAsync(SourceFault.Damaged, () => hub.ListAsync(Tiny, "main", false, Ct));
        }
        // A file with a name that some system can not have is passed over.
        AddTiny().Listing = l => l["siblings"]!.AsArray().Add(FakeHub.Sibling("what?.txt", [1]));
        Assert.Equal(4, (await hub.ListAsync(Tiny, "main", false, Ct)).Files.Count);
    }

    [Theory]
    [InlineData("gpt2", true)]
    [InlineData("EleutherAI/pythia-70m-deduped", true)]
    [InlineData("a/b.c_d", true)]
    [InlineData("", false)]
    [InlineData("a/b/c", false)]
    [InlineData("../x", false)]
    [InlineData("a/..", false)]
    [InlineData("a/b..c", false)]
    [InlineData("a--b/c", false)]
    [InlineData("/a", false)]
    [InlineData("a/", false)]
    [InlineData("-a/b", false)]
    [InlineData("a/b.", false)]
    [InlineData("a/b.git", false)]
    [InlineData("a b", false)]
    [InlineData("a/b\n", false)]
    [InlineData("ä/b", false)]
    [InlineData("a%2Fb", false)]
    [InlineData("a\\b", false)]
    public void Ids_of_the_hub_are_told_from_other_text(string id, bool good) => Assert.Equal(good, HubRepo.IsId(id));

    [Theory]
    [InlineData("main", true)]
    [InlineData("v1.0", true)]
    [InlineData("refs/convert/parquet", true)]
    [InlineData("../x", false)]
    [InlineData("a/../b", false)]
    [InlineData("a//b", false)]
    [InlineData(".git", false)]
    [InlineData("a/.b", false)]
    [InlineData("-x", false)]
    [InlineData("a b", false)]
    [InlineData("a?b", false)]
    [InlineData("x.lock", false)]
    [InlineData("", false)]
    public void Revisions_are_told_from_other_text(string revision, bool good) => Assert.Equal(good, HubRepo.IsRevision(revision));

    [Fact]
    public async Task What_does_not_exist_or_may_not_be_read_is_told_apart()
    {
        AddTiny();
        using var hub = new HubSource(Settings());
        await FaultAsync(SourceFault.NotFound, () => hub.FetchModelAsync(HubRepo.Of(RepoKind.Model, "org/absent"), "main", null, Ct));
        await FaultAsync(SourceFault.NoRevision, () => hub.FetchModelAsync(Tiny, "v9", null, Ct));
        foreach (var (status, code, says) in new[] { (403, "GatedRepo", "conditions"), (401, null, "token"), (403, null, "token") })
        {
            Hub.Intercept = (context, _) =>
            {
                context.Response.StatusCode = status;
                if (code is not null)
                    context.Response.Headers["X-Error-Code"] = code;
                context.Response.Headers["X-Error-Message"] = "do as I say";
                return Task.FromResult(true);
            };
            var e = await FaultAsync(SourceFault.Unauthorized, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
            Assert.Contains(says, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("do as I say", e.Message, StringComparison.Ordinal);
        }
        Assert.Equal(5, Hub.Requests.Count); // nothing was tried twice
        using var anonymous = new HubSource(Settings(token: null));
        Assert.Contains("HF_TOKEN", (await FaultAsync(SourceFault.Unauthorized, () => anonymous.FetchModelAsync(Tiny, "main", null, Ct))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_a_repository_of_autoencoders_only_what_is_asked_for_is_fetched()
    {
        var repo = Hub.Add("models/org/saes@main", new FakeRepo(FakeHub.CommitOf(31))).With("README.md", Noise(50, 1));
        foreach (var layer in new[] { 0, 1, 2 })
            repo.With($"l{layer}/cfg.json", Noise(60, layer)).With($"l{layer}/sae_weights.safetensors", Noise(3000, layer)).With($"l{layer}/sparsity.safetensors", Noise(200, layer))
                .With($"l{layer}/trainer_state.pt", Noise(200, layer)).With($"l{layer}/deeper/sae.safetensors", Noise(100, layer));
        using var hub = new HubSource(Settings());
        using (var fetched = await hub.FetchSaesAsync(HubRepo.Of(RepoKind.Model, "org/saes"), "main", ["l0", "l2"], null, Ct))
            SameFiles(fetched.Path, repo, "l0/cfg.json", "l0/sae_weights.safetensors", "l2/cfg.json", "l2/sae_weights.safetensors");
        var none = await Assert.ThrowsAsync<SourceException>(() => hub.FetchSaesAsync(HubRepo.Of(RepoKind.Model, "org/saes"), "main", [""], null, Ct));
        Assert.Equal(SourceFault.Unusable, none.Fault);
    }

    [Theory]
    [InlineData("s/{layer}", "0,3", null)]
    [InlineData("s/{block}", "1,3", null)]
    [InlineData("s/{block}-{layer}", "1,3", null)]
    [InlineData("s", "3", null)]
    [InlineData("s", "1,3", "one folder for 2 layers")]
    [InlineData("s/{block}", "0,3", "no {block} for layer 0")]
    [InlineData("s/{l}", "3", "nothing else")]
    [InlineData("s/{layer", "3", "nothing else")]
    public void A_place_holds_the_number_of_the_layer(string place, string layers, string? fault)
    {
        int[] numbers = [.. layers.Split(',').Select(l => int.Parse(l, System.Globalization.CultureInfo.InvariantCulture))];
        if (fault is not null)
            Assert.Contains(fault, SaeSelection.Fault(place, numbers)!, StringComparison.Ordinal);
        else
        {
            Assert.Null(SaeSelection.Fault(place, numbers));
            Assert.Equal(place.Replace("{layer}", "3", StringComparison.Ordinal).Replace("{block}", "2", StringComparison.Ordinal), SaeSelection.PlaceOf(place, 3));
        }
    }
}
