using System.Net;
using SaeService.Contracts;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>The interface with a hub on loopback.</summary>
public sealed class HubApiFixture : ApiFixture
{
    private readonly FakeHub _hub = FakeHub.StartAsync().GetAwaiter().GetResult();

    public FakeHub Hub => _hub;
    public string CacheFolder => Path.Combine(Folders.Root, "hub");

    protected override IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>
    {
        ["Hub:Enabled"] = "true",
        ["Hub:Endpoint"] = _hub.Address.ToString(),
        ["Hub:CacheFolder"] = CacheFolder,
        ["Hub:Token"] = "hf_operators",
        ["Hub:Offline"] = "false",
        ["Hub:AllowedHosts:0"] = _hub.CdnHost,
        ["Annotator:Url"] = new Uri(_hub.Address, "/udpipe/process").ToString(),
    };

    public FakeRepo AddModel(string name, int commit, string? config = null) => Hub.Add($"models/org/{name}@main", new FakeRepo(FakeHub.CommitOf(commit)) { Licence = "apache-2.0" })
        .With("config.json", config ?? TestFolders.TinyConfig).With("model.safetensors", File.ReadAllBytes(Path.Combine(Folders.Models, "tiny", "model.safetensors"))).With("tokenizer.json", "{}");

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _hub.DisposeAsync();
    }
}

public sealed class HubModelTests(HubApiFixture api) : IClassFixture<HubApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<HttpResponseMessage> PostAsync(string model) =>
        api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json($$$"""{"model":{{{model}}},"dataset":{"id":"mini"}}"""), Ct);

    [Fact]
    public async Task A_job_on_a_model_of_the_hub_is_pinned_to_the_commit_and_nothing_of_the_weights_is_fetched()
    {
        var repo = api.AddModel("pinned", 11);
        using var answer = await PostAsync("""{"id":"org/pinned"}""");
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        var job = await ApiFixture.ReadAsync<Job>(answer);
        Assert.Equal(new ModelReference("org/pinned", repo.Commit), job.Request.Model);
        Assert.Equal([0, 1, 2], job.Request.Layers!.Layers!);
        Assert.Equal(64, job.Request.ContextLength);
        Assert.All(api.Hub.CdnRequests.Where(r => r.Path.Contains(FakeHub.Sha256(repo.Files["model.safetensors"]), StringComparison.Ordinal)), r => Assert.NotNull(r.Range));
        Assert.Empty(Directory.GetFiles(api.CacheFolder, "model.safetensors", SearchOption.AllDirectories));

        // The branch moves on; a tag and a commit stay.
        api.Hub.Add("models/org/pinned@v1", repo);
        var next = api.AddModel("pinned", 12);
        Assert.Equal(next.Commit, (await ApiFixture.ReadAsync<Job>(await PostAsync("""{"id":"org/pinned"}"""))).Request.Model.Revision);
        Assert.Equal(repo.Commit, (await ApiFixture.ReadAsync<Job>(await PostAsync("""{"id":"org/pinned","revision":"v1"}"""))).Request.Model.Revision);
        Assert.Equal(repo.Commit, (await ApiFixture.ReadAsync<Job>(await PostAsync($$"""{"id":"org/pinned","revision":"{{repo.Commit}}"}"""))).Request.Model.Revision);
    }

    [Fact]
    public async Task Autoencoders_of_the_hub_are_pinned_to_the_commit_and_must_be_there_for_every_layer()
    {
        var repo = api.Hub.Add("models/org/saes@main", new FakeRepo(FakeHub.CommitOf(41)));
        foreach (var layer in new[] { 0, 1 })
            foreach (var file in Directory.EnumerateFiles(Path.Combine(api.Folders.Models, $"sae-{layer}")))
                repo.With($"layers.{layer}/{Path.GetFileName(file)}", await File.ReadAllBytesAsync(file, Ct));
        repo.With("layers.2/ae.pt", [0x80, 2]);
        async Task<HttpResponseMessage> PostSaeAsync(string layers, string sae) => await api.Submitter.PostAsync("/v1/jobs",
            ApiFixture.Json($$$"""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"layers":{{{layers}}},"sae":{{{sae}}}}"""), Ct);
        using var answer = await PostSaeAsync("[1,2]", """{"id":"org/saes","folder":"layers.{block}"}""");
        var job = await ApiFixture.ReadAsync<Job>(answer);
        Assert.Equal(new SaeSettings { Id = "org/saes", Folder = "layers.{block}", Revision = repo.Commit }, job.Request.Sae);
        Assert.Empty(Directory.GetFiles(api.CacheFolder, "sae_weights.safetensors", SearchOption.AllDirectories));

        using var pickled = await PostSaeAsync("[1,2]", """{"id":"org/saes","folder":"layers.{layer}"}""");
        Assert.Contains("only ae.pt", (await ApiFixture.ProblemAsync(pickled, ProblemCodes.PickleOnlyModel)).Errors!["$.sae.folder"][0], StringComparison.Ordinal);
        using var missing = await PostSaeAsync("[1]", """{"id":"org/saes","folder":"layer_{layer}"}""");
        Assert.Contains("no folder 'layer_1'", (await ApiFixture.ProblemAsync(missing, ProblemCodes.InvalidModel)).Errors!["$.sae.folder"][0], StringComparison.Ordinal);
        using var branch = await PostSaeAsync("[1]", """{"id":"org/saes","folder":"layers.{layer}","revision":"none"}""");
        Assert.Contains("$.sae.revision", (await ApiFixture.ProblemAsync(branch, ProblemCodes.UnknownModel)).Errors!.Keys);
    }

    [Fact]
    public async Task A_model_of_the_hub_is_checked_as_a_job_would()
    {
        var repo = api.AddModel("checked", 21);
        using var answer = await api.Submitter.PostAsync("/v1/models", ApiFixture.Json("""{"id":"org/checked","revision":"main"}"""), Ct);
        var model = await ApiFixture.ReadAsync<Model>(answer);
        Assert.Equal(("org/checked", "hub", repo.Commit, "apache-2.0", "llama", 2, 16, 512L, true),
            (model.Id, model.Source, model.Revision, model.Licence, model.Family, model.Layers, model.DModel, model.Parameters, model.Usable));
    }

    [Fact]
    public async Task What_can_not_be_used_is_refused_before_anything_is_queued()
    {
        api.AddModel("strange", 31, """{"model_type":"perceptron"}""");
        api.AddModel("damaged", 32, """{"model_type":"llama","hidden_size":-1}""");
        api.AddModel("nojson", 33, "[");
        api.Hub.Add("models/org/pickle@main", new FakeRepo(FakeHub.CommitOf(34))).With("config.json", TestFolders.TinyConfig).With("pytorch_model.bin", new byte[2000]);
        api.AddModel("spoilt", 35).Listing = listing => listing["sha"] = "x";
        foreach (var (model, code, field) in new[]
        {
            ("""{"id":"org/strange"}""", ProblemCodes.UnsupportedModel, "$.model.id"),
            ("""{"id":"org/damaged"}""", ProblemCodes.InvalidModel, "$.model.id"),
            ("""{"id":"org/nojson"}""", ProblemCodes.InvalidModel, "$.model.id"),
            ("""{"id":"org/pickle"}""", ProblemCodes.PickleOnlyModel, "$.model.id"),
            ("""{"id":"org/spoilt"}""", ProblemCodes.HubDamaged, "$.model.id"),
            ("""{"id":"org/absent"}""", ProblemCodes.UnknownModel, "$.model.id"),
            ("""{"id":"org/strange","revision":"v9"}""", ProblemCodes.UnknownModel, "$.model.revision"),
            ("""{"id":"org/strange","revision":"../v9"}""", ProblemCodes.UnknownModel, "$.model.revision"),
            ("""{"id":"a/b/c"}""", ProblemCodes.UnknownModel, "$.model.id"),
            ("""{"id":"../outside/secret"}""", ProblemCodes.ModelOutsideRoots, "$.model.id"),
            ("""{"id":"tiny","revision":"v2"}""", ProblemCodes.NotAvailable, "$.model.revision"), // a folder comes before the hub
        })
        {
            var problem = await ApiFixture.ProblemAsync(await PostAsync(model), code);
            Assert.Contains(field, problem.Errors!.Keys);
            Assert.DoesNotContain("hf_operators", problem.Detail!, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_hub_that_does_not_answer_is_no_error_of_the_request()
    {
        api.AddModel("away", 41);
        api.Hub.Intercept = (context, _) =>
        {
            if (!context.Request.Path.Value!.Contains("org/away", StringComparison.Ordinal))
                return Task.FromResult(false);
            context.Response.StatusCode = 503;
            return Task.FromResult(true);
        };
        try
        {
            await ApiFixture.ProblemAsync(await PostAsync("""{"id":"org/away"}"""), ProblemCodes.HubUnavailable);
        }
        finally
        {
            api.Hub.Intercept = null;
        }
    }
}
