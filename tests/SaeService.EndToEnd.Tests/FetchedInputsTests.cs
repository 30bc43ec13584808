using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary>A job whose model and data set are fetched, from a hub on loopback.</summary>
public sealed class FetchedInputsTests
{
    [Fact]
    public async Task A_job_on_what_is_fetched_says_the_same_as_one_on_the_same_files_here()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "starts processes as the other tests here do");
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(6));
        var ct = patience.Token;
        await using var hub = await FakeHub.StartAsync();
        var bundle = Path.Combine(SharedData.RepositoryRoot, "src", "SaeService.Sample", "bundle");
        var repo = hub.Add("models/org/grammar@main", new FakeRepo(FakeHub.CommitOf(7)) { Licence = "mit" });
        foreach (var file in Directory.EnumerateFiles(Path.Combine(bundle, "model")))
            repo.With(Path.GetFileName(file), await File.ReadAllBytesAsync(file, ct));
        var corpus = Directory.EnumerateFiles(Path.Combine(bundle, "corpus"), "*.conllu").Order(StringComparer.Ordinal).ToDictionary(f => "/corpus/" + Path.GetFileName(f), File.ReadAllBytes);
        hub.Intercept = async (context, _) =>
        {
            if (!corpus.TryGetValue(context.Request.Path.Value!, out var bytes))
                return false;
            await hub.ServeAsync(context, bytes, "\"corpus\"");
            return true;
        };

        var home = SaeCommand.NewHome();
        var catalogue = Path.Combine(home, "catalogue.json");
        await File.WriteAllTextAsync(catalogue, JsonSerializer.Serialize(new
        {
            entries = new[]
            {
                new
                {
                    name = "grammar",
                    licence = "MIT",
                    tasks = new[] { "pos", "dep", "ner" },
                    files = corpus.Select(f => new { name = Path.GetFileName(f.Key), url = new Uri(hub.Address, f.Key), sha256 = FakeHub.Sha256(f.Value) }),
                },
            },
        }), ct);
        await using var service = SaeCommand.Start(home, ["up", "--port", "0"], environment: new Dictionary<string, string>
        {
            ["Hub__Endpoint"] = hub.Address.ToString(),
            ["Hub__CacheFolder"] = Path.Combine(home, "hub"),
            ["Hub__Token"] = "hf_test",
            ["Hub__Offline"] = "false",
            ["Hub__AllowedHosts__0"] = hub.CdnHost,
            ["Catalogue__File"] = catalogue,
        });
        var output = await service.WaitForOutputAsync("Ctrl-C stops it", ct);
        using var client = new Client(output.Split('\n').Select(l => l.Trim()).First(l => l.StartsWith("Swagger UI", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[2].Replace("/swagger", "", StringComparison.Ordinal));

        string Request(string model, string dataset) => $$"""
            { "model": { "id": "{{model}}" }, "dataset": { "id": "{{dataset}}", "max_words": 9000 }, "layers": [0, 3], "mode": "quick",
              "sae": { "train_tokens": 100000 }, "information": { "max_train_words": 3000, "bootstrap_samples": 100 } }
            """;
        var fetched = await client.SubmitAsync(Request("org/grammar", "grammar"), ct);
        Assert.Empty(Directory.Exists(Path.Combine(home, "hub", "catalogue--grammar")) ? Directory.GetFiles(Path.Combine(home, "hub", "catalogue--grammar"), "*.conllu", SearchOption.AllDirectories) : []);
        var here = await client.SubmitAsync(Request("sample", "sample"), ct);
        var ended = await client.WaitForEndAsync(fetched, ct);
        Assert.True(ended["status"]!.GetValue<string>() == "succeeded", ended.ToJsonString());
        Assert.Equal(repo.Commit, ended["request"]!["model"]!["revision"]!.GetValue<string>());
        Assert.Equal("succeeded", (await client.WaitForEndAsync(here, ct))["status"]!.GetValue<string>());

        var (left, right) = (await DocumentAsync(fetched), await DocumentAsync(here));
        Assert.Equal(repo.Commit, left["provenance"]!["model"]!["revision"]!.GetValue<string>());
        Assert.Equal(right["provenance"]!["model"]!["files"]!.ToJsonString(), left["provenance"]!["model"]!["files"]!.ToJsonString());
        Assert.Equal(right["layers"]!.ToJsonString(), left["layers"]!.ToJsonString());
        Assert.True(File.Exists(Path.Combine(home, "hub", "models--org--grammar", "snapshots", repo.Commit, "model.safetensors")));
        Assert.All(hub.CdnRequests, r => Assert.Null(r.Authorization));

        async Task<JsonNode> DocumentAsync(string id) => JsonNode.Parse(await client.Http.GetStringAsync($"/v1/jobs/{id}/layers", ct))!;
    }
}
