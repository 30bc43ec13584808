using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.Checkpoints;
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
        var ct = MainJobTests.Patience();
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
            { "model": { "id": "{{model}}" }, "dataset": { "id": "{{dataset}}", "max_words": 6000 }, "layers": [0, 3], "mode": "quick",
              "sae": { "train_tokens": 60000, "variants": [{ "seed": 1 }, { "architecture": "batchtopk", "k": 12 }] }, "information": { "max_train_words": 3000, "bootstrap_samples": 100 } }
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
        Assert.Equal("mit", left["provenance"]!["model"]!["licence"]!.GetValue<string>());
        Assert.Equal(ended["request"]!["dataset"]!["revision"]!.GetValue<string>(), left["provenance"]!["data"]!["revision"]!.GetValue<string>());
        Assert.Equal("MIT", left["provenance"]!["data"]!["licence"]!.GetValue<string>());
        Assert.Null(right["provenance"]!["data"]!["licence"]);
        Assert.Equal(right["provenance"]!["model"]!["files"]!.ToJsonString(), left["provenance"]!["model"]!["files"]!.ToJsonString());
        Assert.Equal(right["layers"]!.ToJsonString(), left["layers"]!.ToJsonString());
        Assert.True(File.Exists(Path.Combine(home, "hub", "models--org--grammar", "snapshots", repo.Commit, "model.safetensors")));
        Assert.All(hub.CdnRequests, r => Assert.Null(r.Authorization));

        // Trained in the same pass, and each a file of its own.
        var variants = right["provenance"]!["sae"]![1]!["variants"]!.AsArray();
        Assert.Equal([("topk", 1), ("batchtopk", 0)], variants.Select(v => (v!["arch"]!.GetValue<string>(), v["seed"]!.GetValue<int>())));
        Assert.InRange(variants[1]!["l0"]!.GetValue<double>(), 6, 18);
        Assert.All(variants, v => Assert.InRange(v!["fvu"]!.GetValue<double>(), 0.01, 0.9));
        var stability = Assert.Single(right["layers"]![1]!["seed_stability"]!.AsArray())!;
        Assert.Equal((0, 1), (stability["seed"]!.GetValue<int>(), stability["other_seed"]!.GetValue<int>()));
        Assert.InRange(stability["matched"]!.GetValue<double>(), 0.01, 0.999);
        Assert.Contains(stability["labels"]!.AsArray(), task => task!["labelled"]!.GetValue<int>() > 0 && task["same_label"]!.GetValue<double>() > 0);
        var batch = await ExportAsync(client, here, 3, jumpRelu: false, ct, variant: 2);
        Assert.Equal(variants[1]!["sha256"]!.GetValue<string>(), FakeHub.Sha256(batch["sae_weights.safetensors"]));
        var exported = JsonNode.Parse(batch["cfg.json"])!;
        Assert.Equal(("jumprelu", "batchtopk"), (exported["architecture"]!.GetValue<string>(), exported["metadata"]!["training_architecture"]!.GetValue<string>()));
        var curves = JsonNode.Parse(await client.Http.GetStringAsync($"/v1/jobs/{here}/layers/3", ct))!["training"]!["variants"]!.AsArray();
        Assert.All(curves, c => Assert.NotEmpty(c!["curve"]!.AsArray()));

        // The autoencoders of that job, put on the hub: one as it was exported, the other as the JumpReLU that its threshold makes of it.
        var saes = hub.Add("models/org/saes@main", new FakeRepo(FakeHub.CommitOf(8)));
        foreach (var layer in new[] { 0, 3 })
            foreach (var (name, bytes) in await ExportAsync(client, here, layer, jumpRelu: layer == 3, ct))
                saes.With($"layer-{layer}/{name}", bytes);
        var named = await client.SubmitAsync(Request("sample", "sample").Replace("\"train_tokens\": 60000, \"variants\": [{ \"seed\": 1 }, { \"architecture\": \"batchtopk\", \"k\": 12 }]", "\"id\": \"org/saes\", \"folder\": \"layer-{layer}\"", StringComparison.Ordinal), ct);
        ended = await client.WaitForEndAsync(named, ct);
        Assert.True(ended["status"]!.GetValue<string>() == "succeeded", ended.ToJsonString());
        var loaded = await DocumentAsync(named);
        // What a layer's findings say of the mean over layers may differ; its features are the same, all figures included.
        var features = await FeaturesAsync(here);
        Assert.NotEqual("[]", features);
        Assert.Equal(features, await FeaturesAsync(named));
        var (trained, first, second) = (right["provenance"]!["sae"]![0]!, loaded["provenance"]!["sae"]![0]!, loaded["provenance"]!["sae"]![1]!);
        foreach (var figure in new[] { "arch", "k", "d_sae", "fvu", "l0", "dead", "sha256" })
            Assert.Equal(trained[figure]!.ToJsonString(), first[figure]!.ToJsonString());
        Assert.Null(trained["pretrained"]);
        Assert.Equal(("org/saes/layer-0", saes.Commit, "saelens"), (first["pretrained"]!["name"]!.GetValue<string>(),
            first["pretrained"]!["revision"]!.GetValue<string>(), first["pretrained"]!["format"]!.GetValue<string>()));
        Assert.Equal(FakeHub.Sha256(saes.Files["layer-3/sae_weights.safetensors"]), second["pretrained"]!["files"]![0]!["sha256"]!.GetValue<string>());
        Assert.Equal(("jumprelu", 0), (second["arch"]!.GetValue<string>(), second["k"]!.GetValue<int>()));
        Assert.InRange(second["l0"]!.GetValue<double>(), 1, 40);
        Assert.InRange(second["fvu"]!.GetValue<double>(), 0.01, 1);

        async Task<string> FeaturesAsync(string id) => JsonNode.Parse(await client.Http.GetStringAsync($"/v1/jobs/{id}/layers/0/features?limit=100", ct))!["data"]!.ToJsonString();

        async Task<JsonNode> DocumentAsync(string id) => JsonNode.Parse(await client.Http.GetStringAsync($"/v1/jobs/{id}/layers", ct))!;
    }

    /// <summary>The two files of a layer's autoencoder as the interface gives them.</summary>
    private static async Task<Dictionary<string, byte[]>> ExportAsync(Client client, string job, int layer, bool jumpRelu, CancellationToken ct, int variant = 0)
    {
        var files = new Dictionary<string, byte[]>();
        using var zip = new ZipArchive(new MemoryStream(await client.Http.GetByteArrayAsync($"/v1/jobs/{job}/layers/{layer}/sae?variant={variant}", ct)));
        foreach (var entry in zip.Entries)
        {
            await using var stream = await entry.OpenAsync(ct);
            using var bytes = new MemoryStream();
            await stream.CopyToAsync(bytes, ct);
            files[Path.GetFileName(entry.FullName)] = bytes.ToArray();
        }
        if (!jumpRelu)
            return files;
        var cfg = JsonNode.Parse(files["cfg.json"])!.AsObject();
        var threshold = cfg["sae_service"]!["threshold"]!.GetValue<float>();
        cfg["architecture"] = "jumprelu";
        cfg.Remove("k");
        files["cfg.json"] = JsonSerializer.SerializeToUtf8Bytes(cfg);
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, files["sae_weights.safetensors"], ct);
            using (var weights = SafetensorsFile.Open(path))
            {
                var width = cfg["d_sae"]!.GetValue<int>();
                SafetensorsWriter.Write(path + ".jump",
                [
                    .. weights.Tensors.Values.Select(t => new TensorSource(t.Name, t.DType, t.Shape, stream => stream.Write(weights.Bytes(t.Name)))),
                    TensorSource.Of<float>("threshold", DType.F32, [width], Enumerable.Repeat(threshold, width).ToArray()),
                ]);
            }
            files["sae_weights.safetensors"] = await File.ReadAllBytesAsync(path + ".jump", ct);
            return files;
        }
        finally
        {
            File.Delete(path);
            File.Delete(path + ".jump");
        }
    }
}
