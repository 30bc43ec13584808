using System.Text.Json.Nodes;
using Xunit;
using static SaeService.EndToEnd.Tests.MainJobTests;

namespace SaeService.EndToEnd.Tests;

/// <summary>Workers that die: killed, or by themselves at named points. The job goes on, and its document is that of a job that nothing happened to.</summary>
public sealed class WorkerDeathTests
{
    [Fact]
    public async Task A_worker_killed_while_training_changes_nothing_in_the_result()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience();
        var bounded = new Dictionary<string, string> { ["Worker__MaxMemoryBytes"] = "2000000000" };
        var (service, client) = await UpAsync(SaeCommand.NewHome(), ct, environment: bounded);
        await using var _ = service;
        using var __ = client;

        var request = Request.Replace("\"train_tokens\": 200000", "\"train_tokens\": 900000");
        string undisturbed;
        await using (var watch = new ResourceWatch(Path.Combine(service.Home, "artifacts"), () => service.Children("SaeService.Worker.dll")))
        {
            var told = await client.EstimateAsync(request, ct);
            Assert.Null(told["refusal"]);
            undisturbed = await client.SubmitAsync(request, ct);
            var ended = await client.WaitForEndAsync(undisturbed, ct);
            Assert.Equal("succeeded", ended["status"]!.GetValue<string>());
            var used = (Memory: ResourceWatch.PeakMemoryBytes(Assert.Single(service.Children("SaeService.Worker.dll"))), Disk: watch.PeakDiskBytes);
            // What was said before anything ran, and what prepare said once it had counted the tokens.
            foreach (var estimate in new[] { told["estimate"]!, ended["estimate"]! })
            {
                Assert.InRange(estimate["memory_bytes"]!.GetValue<double>() / used.Memory, 0.75, 1.25);
                Assert.InRange(estimate["disk_bytes"]!.GetValue<double>() / used.Disk, 0.75, 1.25);
            }
        }

        var disturbed = await client.SubmitAsync(request, ct);
        // Far enough for a checkpoint, which is written every second here.
        var seen = await client.WaitAsync(disturbed, job => job["layers"]!.AsArray().Any(l =>
            l!["stage"]?.GetValue<string>() == "train" && l["status"]?.GetValue<string>() == "running" && l["fraction"]!.GetValue<double>() > 0.4), ct);
        Assert.Equal("running", seen["status"]!.GetValue<string>());
        SaeCommand.Signal(Assert.Single(service.Children("SaeService.Worker.dll")), "KILL");

        Assert.Equal("succeeded", (await client.WaitForEndAsync(disturbed, ct))["status"]!.GetValue<string>());
        var events = await client.Http.GetStringAsync($"/v1/jobs/{disturbed}/events?limit=200", ct);
        Assert.Contains("stage.retrying", events, StringComparison.Ordinal);
        Assert.Contains("resumed from the checkpoint", events, StringComparison.Ordinal);
        Assert.Equal(await client.ComparableDocumentAsync(undisturbed, ct), await client.ComparableDocumentAsync(disturbed, ct));
    }

    [Fact]
    public async Task A_worker_that_dies_at_a_named_point_costs_an_attempt_not_the_job()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience();
        var home = SaeCommand.NewHome();
        var failpoint = Path.Combine(home, "failpoint");
        // Small batches and frequent checkpoints, so that a capture of less than a second has some to go on from.
        var (service, client) = await UpAsync(home, ct, environment: new Dictionary<string, string> { ["Worker__CheckpointSeconds"] = "0.02", ["Worker__CaptureBatchTokens"] = "512" });
        await using var _ = service;
        using var __ = client;
        var request = Request.Replace("[0, 3]", "[3]").Replace("9000", "5000").Replace("200000", "60000");
        var undisturbed = await client.SubmitAsync(request, ct);
        Assert.Equal("succeeded", (await client.WaitForEndAsync(undisturbed, ct))["status"]!.GetValue<string>());

        // One job that loses a worker at each of the points.
        string[] points = ["after-claim:capture", "checkpoint:capture", "before-publish:train", "before-publish:label", "after-publish:inform"];
        await File.WriteAllLinesAsync(failpoint, points, ct);
        var disturbed = await client.SubmitAsync(request, ct);
        var ended = await client.WaitForEndAsync(disturbed, ct);
        Assert.True(ended["status"]!.GetValue<string>() == "succeeded", ended.ToJsonString());
        Assert.False(File.Exists(failpoint), "no worker came to some point");
        Assert.Equal(points.Length, service.Output.Split("starting it again").Length - 1);
        var events = await client.Http.GetStringAsync($"/v1/jobs/{disturbed}/events?limit=200", ct);
        Assert.Contains("resumed from the checkpoint", events, StringComparison.Ordinal);
        // What was published stays published: behind that there is nothing to try again.
        Assert.Equal(points.Count(point => !point.StartsWith("after-publish", StringComparison.Ordinal)), events.Split("stage.retrying").Length - 1);
        Assert.Equal(await client.ComparableDocumentAsync(undisturbed, ct), await client.ComparableDocumentAsync(disturbed, ct));
    }

    /// <summary>
    /// Every stage that there is but the permuted model's: another seed, dictionaries, the untrained model, the loss with the autoencoder in place. On one thread with
    /// nothing happening to it, and on three with a death in the training of the untrained model's autoencoder, behind a checkpoint.
    /// </summary>
    [Fact]
    public async Task A_full_job_says_the_same_on_any_number_of_threads_and_through_a_death_beside_the_trained_model()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience();
        var request = Request.Replace("\"quick\"", "\"full\"").Replace("[0, 3]", "[3]").Replace("9000", "5000").Replace("\"train_tokens\": 200000",
            "\"train_tokens\": 80000, \"variants\": [{ \"seed\": 5 }]");
        var documents = new List<string>();
        foreach (var processors in (string[])["1", "3"])
        {
            var home = SaeCommand.NewHome();
            // Small batches, so that there are some for every thread. That training takes a tenth of a second, so its checkpoints are frequent.
            var (service, client) = await UpAsync(home, ct, environment: new Dictionary<string, string>
            {
                ["DOTNET_PROCESSOR_COUNT"] = processors,
                ["Worker__CaptureBatchTokens"] = "512",
                ["Worker__CheckpointSeconds"] = "0.01",
            });
            await using var _ = service;
            using var __ = client;
            var worker = Assert.Single(service.Children("SaeService.Worker.dll"));
            Assert.Contains($"Worker__Threads={processors}\0", await File.ReadAllTextAsync($"/proc/{worker}/environ", ct), StringComparison.Ordinal);
            var dies = processors == "3";
            if (dies)
                await File.WriteAllTextAsync(Path.Combine(home, "failpoint"), "checkpoint:untrained", ct);
            var job = await client.SubmitAsync(request, ct);
            var ended = await client.WaitForEndAsync(job, ct);
            Assert.True(ended["status"]!.GetValue<string>() == "succeeded", ended.ToJsonString());
            Assert.False(File.Exists(Path.Combine(home, "failpoint")), "the worker never came to the point");
            Assert.Equal(dies, (await client.Http.GetStringAsync($"/v1/jobs/{job}/events?limit=200", ct)).Contains("resumed from the checkpoint", StringComparison.Ordinal));
            documents.Add(await client.ComparableDocumentAsync(job, ct));
        }
        Assert.Equal(documents[0], documents[1]);
        ComparedWithEverything(JsonNode.Parse(documents[0])!);
    }

    private static void ComparedWithEverything(JsonNode document)
    {
        var layer = document["layers"]![0]!;
        var dictionaries = layer["dictionaries"]!.AsArray().Select(d => $"{d!["name"]} {d["matched"]}").ToList();
        Assert.Equal(
        [
            "autoencoder ", "random_directions density", "random_directions density", "random_directions density", "token_types ",
            "gaussian_autoencoder l0", "untrained_autoencoder l0", "identity l0", "identity density", "pca l0", "pca density", "ica l0", "ica density",
            "untrained_model l0",
        ], dictionaries);
        foreach (var dictionary in layer["dictionaries"]!.AsArray())
        {
            Assert.Equal(3, dictionary!["tasks"]!.AsArray().Count);
            if (dictionary["name"]!.GetValue<string>() != "token_types")
                Assert.InRange(dictionary["l0"]!.GetValue<double>() / layer["dictionaries"]![0]!["l0"]!.GetValue<double>(), 0.1, 1.3);
            foreach (var task in dictionary["tasks"]!.AsArray())
            {
                Assert.Equal(20, task!["consistency_histogram"]!.AsArray().Count);
                Assert.True(task["best_union_f1"]!.GetValue<double>() >= task["mean_union_f1"]!.GetValue<double>());
            }
        }
        double Fvu(string name) => layer["dictionaries"]!.AsArray().First(d => d!["name"]!.GetValue<string>() == name)!["fvu"]!.GetValue<double>();
        Assert.True(Fvu("autoencoder") < Fvu("gaussian_autoencoder") && Fvu("gaussian_autoencoder") < Fvu("untrained_autoencoder"));

        foreach (var task in document["tasks"]!.AsArray())
        {
            // The trained model knows more, and the untrained one as much as its tokens say.
            var here = task!["layers"]![0]!;
            Assert.InRange(here["untrained_bits"]!.GetValue<double>(), 0.05, here["iv_bits"]!["value"]!.GetValue<double>());
            Assert.Null(here["permuted_bits"]);
        }
        var cells = layer["functionalities"]!.AsArray().Select(f => f!["encodes"]!["baseline"]!["untrained_model"]).ToList();
        Assert.NotEmpty(cells);
        Assert.DoesNotContain(cells, untrained => untrained is null);
        var caveats = document["caveats"]!.AsArray().Select(c => c!.GetValue<string>()).ToList();
        Assert.DoesNotContain(caveats, c => c.Contains("not among the baselines", StringComparison.Ordinal));
        Assert.Contains(caveats, c => c.Contains("only the one with fresh weights", StringComparison.Ordinal));
    }
}
