using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary>The main job from the outside, as processes: command line, private cluster, interface, worker.</summary>
public sealed class MainJobTests
{
    internal const string Request = """
        { "model": { "id": "sample" }, "dataset": { "id": "sample", "max_words": 9000 }, "layers": [0, 3], "mode": "quick",
          "sae": { "train_tokens": 200000 }, "information": { "max_train_words": 3000, "bootstrap_samples": 200 } }
        """;

    internal static CancellationToken Patience(int minutes = 5) =>
        CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken, new CancellationTokenSource(TimeSpan.FromMinutes(minutes)).Token).Token;

    internal static async Task<(SaeCommand Service, Client Client)> UpAsync(string home, CancellationToken ct, bool keepHome = false, IReadOnlyDictionary<string, string>? environment = null,
        params string[] arguments)
    {
        var (service, address) = await SaeCommand.UpAsync(home, ct, keepHome, environment, arguments);
        return (service, new Client(address));
    }

    [Fact]
    public async Task Demo_shows_a_table_writes_the_document_and_leaves_nothing_behind()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var home = SaeCommand.NewHome();
        var file = Path.Combine(home, "layers.json");
        await using var demo = SaeCommand.Start(home, ["demo", "--exit", "--port", "0", "--json", file, "--train-tokens", "150000"]);
        var status = await demo.WaitForExitAsync(Patience());
        Assert.True(status == 0, demo.Output);
        Assert.Contains("/swagger", demo.Output, StringComparison.Ordinal);
        Assert.Contains("/hangfire", demo.Output, StringComparison.Ordinal);

        var document = JsonNode.Parse(await File.ReadAllTextAsync(file, Patience()))!;
        PublishedSchema.AssertValid(document.ToJsonString());
        Assert.Equal("layer-functionality/1.0", document["schema"]!.GetValue<string>());
        Assert.Equal([0, 1, 2, 3, 4], document["layers"]!.AsArray().Select(l => l!["layer"]!.GetValue<int>()));
        var tasks = document["tasks"]!.AsArray().Select(t => t!["task"]!.GetValue<string>()).ToList();
        Assert.Equal(["pos", "dep", "ner"], tasks);
        foreach (var task in document["tasks"]!.AsArray())
            foreach (var layer in task!["layers"]!.AsArray())
            {
                // Information is there, is less than there is to know, and vanishes when the labels are shuffled.
                var bits = layer!["iv_bits"]!["value"]!.GetValue<double>();
                Assert.InRange(bits, 0.02, task["entropy_bits"]!.GetValue<double>());
                Assert.True(layer["shuffled_bits"]!.GetValue<double>() < 0.05);
            }
        foreach (var sae in document["provenance"]!["sae"]!.AsArray())
        {
            double Of(string figure) => sae![figure]!.GetValue<double>();
            Assert.Equal(1 - Of("fvu"), Of("explained_variance"), 2e-6);
            foreach (var figure in new[] { "cosine", "norm_ratio", "relative_reconstruction_bias" })
                Assert.InRange(Of(figure), 0.5, 1.1);
            Assert.InRange(Of("explained_variance_legacy"), -1, Of("explained_variance") + 0.05);
            Assert.InRange(Of("decoder_cosine_mean"), 0.05, Of("decoder_cosine_max"));
            Assert.InRange(Of("decoder_cosine_max"), 0.1, 1);
        }
        Assert.Empty(demo.LeftBehind());
        await TruthTests.HoldAgainstTheGrammarAsync(file, Patience());
    }

    [Fact]
    public async Task A_worker_killed_while_training_changes_nothing_in_the_result()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience(8);
        var bounded = new Dictionary<string, string> { ["Worker__MaxMemoryBytes"] = "2000000000" };
        var (service, client) = await UpAsync(SaeCommand.NewHome(), ct, environment: bounded);
        await using var _ = service;
        using var __ = client;

        var request = Request.Replace("\"train_tokens\": 200000", "\"train_tokens\": 1500000");
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
    public async Task Jobs_on_the_same_documents_are_compared_in_pairs_and_a_job_fills_every_table()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience(6);
        var (service, client) = await UpAsync(SaeCommand.NewHome(), ct);
        await using var _ = service;
        using var __ = client;
        var job = await client.SubmitAsync(Request, ct);
        // Another seed of the autoencoders, the same documents: features differ, information does not.
        var other = await client.SubmitAsync(Request.Replace("\"train_tokens\"", "\"seed\": 7, \"train_tokens\""), ct);
        foreach (var id in new[] { job, other })
        {
            var ended = await client.WaitForEndAsync(id, ct);
            Assert.True(ended["status"]!.GetValue<string>() == "succeeded", ended.ToJsonString());
        }
        var compared = JsonNode.Parse(await client.Http.GetStringAsync($"/v1/compare?left={job}&right={other}", ct))!;
        Assert.True(compared["paired"]!.GetValue<bool>());
        Assert.All(compared["information"]!.AsArray(), i => Assert.Equal([0.0, 0.0], i!["iv_bits"]!["ci95"]!.AsArray().Select(v => v!.GetValue<double>())));
        Assert.Contains(compared["labels"]!.AsArray().SelectMany(l => l!["cells"]!.AsArray()), c => c!["union_f1"]!["value"]!.GetValue<double>() != 0);
        // The same from the terminal, at an address of its own.
        var address = client.Http.BaseAddress!.ToString();
        foreach (var (arguments, shown) in new[] { (new[] { "compare", job, other }, "NOUN"), (["show", job], "Layer"), (["watch", job], "succeeded") })
        {
            await using var command = SaeCommand.Start(SaeCommand.NewHome(), [.. arguments, "--address", address]);
            Assert.True(await command.WaitForExitAsync(ct) == 0, command.Output);
            Assert.Contains(shown, command.Output, StringComparison.OrdinalIgnoreCase);
        }
        await using (var nowhere = SaeCommand.Start(SaeCommand.NewHome(), ["show", job, "--address", "nowhere"]))
        {
            Assert.NotEqual(0, await nowhere.WaitForExitAsync(ct));
            Assert.Contains("no address of a service", nowhere.Output, StringComparison.Ordinal);
        }

        var document = JsonNode.Parse(await client.ComparableDocumentAsync(job, ct))!;
        Assert.Contains(document["layers"]!.AsArray().SelectMany(l => l!["cells"]!.AsArray()), c => c!["sparse_probes"] is JsonArray { Count: 2 });
        Assert.Contains(document["layers"]!.AsArray().SelectMany(l => l!["split_consistency"]!.AsArray()), s => s!["features"]!.GetValue<int>() > 0);
        Assert.All((string[])["settings_sha256", "corpus_sha256"], hash => Assert.Equal(64, document["provenance"]![hash]!.GetValue<string>().Length));
        foreach (var table in (string[])["features", "cells", "probes"])
        {
            Assert.True((await client.Http.GetStringAsync($"/v1/jobs/{job}/exports/{table}.csv", ct)).Split('\n').Length > 10);
            Assert.Equal("PAR1"u8.ToArray(), (await client.Http.GetByteArrayAsync($"/v1/jobs/{job}/exports/{table}.parquet", ct))[^4..]);
        }
    }

    [Fact]
    public async Task A_job_that_its_worker_can_not_hold_is_refused_by_prepare_with_the_numbers()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience();
        // The machine has enough, so that the interface takes the job; this worker may have less than it holds when idle.
        var tooSmall = new Dictionary<string, string> { ["Worker__MaxMemoryBytes"] = "250000000" };
        var (service, client) = await UpAsync(SaeCommand.NewHome(), ct, environment: tooSmall);
        await using var _ = service;
        using var __ = client;
        var ended = await client.WaitForEndAsync(await client.SubmitAsync(Request, ct), ct);
        Assert.Equal("failed", ended["status"]!.GetValue<string>());
        Assert.Equal(("insufficient_resources", "prepare"), (ended["error"]!["code"]!.GetValue<string>(), ended["error"]!["stage"]!.GetValue<string>()));
        Assert.Matches(@"needs about [\d,]+ MiB of memory \(in stage \w+\), and may use 238 MiB", ended["error"]!["detail"]!.GetValue<string>());
        Assert.Equal(1, ended["attempt"]!.GetValue<int>());
    }

    [Theory]
    [InlineData("after-claim:capture")]
    [InlineData("checkpoint:capture")]
    [InlineData("before-publish:train")]
    [InlineData("before-publish:label")]
    [InlineData("after-publish:inform")]
    public async Task A_worker_that_dies_at_a_named_point_costs_an_attempt_not_the_job(string point)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience(6);
        // The first worker dies at the point; the one started in its place does not, for the point is armed by a file that is gone by then.
        var home = SaeCommand.NewHome();
        await File.WriteAllTextAsync(Path.Combine(home, "failpoint"), point, ct);
        // Small batches and frequent checkpoints, so that a capture of less than a second has some to go on from.
        var (service, client) = await UpAsync(home, ct, environment: new Dictionary<string, string> { ["Worker__CheckpointSeconds"] = "0.2", ["Worker__CaptureBatchTokens"] = "512" });
        await using var _ = service;
        using var __ = client;
        var job = await client.SubmitAsync(Request, ct);
        var ended = await client.WaitForEndAsync(job, ct);
        Assert.Equal("succeeded", ended["status"]!.GetValue<string>());
        Assert.False(File.Exists(Path.Combine(home, "failpoint")), "the worker never came to the point");
        Assert.Contains("starting it again", service.Output, StringComparison.Ordinal);
        if (point.StartsWith("checkpoint", StringComparison.Ordinal))
            Assert.Contains("resumed from the checkpoint", await client.Http.GetStringAsync($"/v1/jobs/{job}/events?limit=200", ct), StringComparison.Ordinal);

        if (s_undisturbed is null)
        {
            var undisturbed = await client.SubmitAsync(Request, ct);
            await client.WaitForEndAsync(undisturbed, ct);
            s_undisturbed = await client.ComparableDocumentAsync(undisturbed, ct);
        }
        Assert.Equal(s_undisturbed, await client.ComparableDocumentAsync(job, ct));
    }

    [Fact]
    public async Task A_full_job_runs_the_untrained_model_beside_the_trained_one_and_survives_a_death_in_it()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience(6);
        var home = SaeCommand.NewHome();
        // The first worker dies in the training of the untrained model's autoencoder, behind a checkpoint: that takes a tenth of a second, so these are frequent.
        await File.WriteAllTextAsync(Path.Combine(home, "failpoint"), "checkpoint:untrained", ct);
        var (service, client) = await UpAsync(home, ct, environment: new Dictionary<string, string> { ["Worker__CheckpointSeconds"] = "0.01" });
        await using var _ = service;
        using var __ = client;
        var request = Request.Replace("\"quick\"", "\"full\"").Replace("[0, 3]", "[3]").Replace("9000", "6000").Replace("200000", "100000");
        var killed = await client.SubmitAsync(request, ct);
        Assert.Equal("succeeded", (await client.WaitForEndAsync(killed, ct))["status"]!.GetValue<string>());
        Assert.False(File.Exists(Path.Combine(home, "failpoint")), "the worker never came to the point");
        Assert.Contains("resumed from the checkpoint", await client.Http.GetStringAsync($"/v1/jobs/{killed}/events?limit=200", ct), StringComparison.Ordinal);

        var document = JsonNode.Parse(await client.ComparableDocumentAsync(killed, ct))!;
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

        var undisturbed = await client.SubmitAsync(request, ct);
        await client.WaitForEndAsync(undisturbed, ct);
        Assert.Equal(await client.ComparableDocumentAsync(undisturbed, ct), await client.ComparableDocumentAsync(killed, ct));
    }

    [Fact]
    public async Task Documents_are_the_same_on_any_number_of_threads()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var ct = Patience(10);
        // Every stage that there is but the permuted model's: another seed, dictionaries, the untrained model, the loss with the autoencoder in place.
        var request = Request.Replace("\"quick\"", "\"full\"").Replace("[0, 3]", "[3]").Replace("9000", "5000").Replace("\"train_tokens\": 200000",
            "\"train_tokens\": 60000, \"variants\": [{ \"seed\": 5 }]");
        var documents = new List<string>();
        foreach (var processors in (string[])["1", "3"])
        {
            // Small batches, so that there are some for every thread.
            var (service, client) = await UpAsync(SaeCommand.NewHome(), ct, environment: new Dictionary<string, string>
            {
                ["DOTNET_PROCESSOR_COUNT"] = processors,
                ["Worker__CaptureBatchTokens"] = "512",
            });
            await using var _ = service;
            using var __ = client;
            var worker = Assert.Single(service.Children("SaeService.Worker.dll"));
            Assert.Contains($"Worker__Threads={processors}\0", await File.ReadAllTextAsync($"/proc/{worker}/environ", ct), StringComparison.Ordinal);
            var job = await client.SubmitAsync(request, ct);
            var ended = await client.WaitForEndAsync(job, ct);
            Assert.True(ended["status"]!.GetValue<string>() == "succeeded", ended.ToJsonString());
            documents.Add(await client.ComparableDocumentAsync(job, ct));
        }
        Assert.Equal(documents[0], documents[1]);
    }

    // Made once, by the first of the deaths.
    private static string? s_undisturbed;

    [Fact]
    public async Task Cancelling_takes_effect_within_seconds_and_retry_finishes_the_job()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience(6);
        var (service, client) = await UpAsync(SaeCommand.NewHome(), ct);
        await using var _ = service;
        using var __ = client;
        // Far more tokens than would be done in the time, so that only the cancellation ends it.
        var job = await client.SubmitAsync(Request.Replace("\"train_tokens\": 200000", "\"train_tokens\": 2000000000"), ct);
        await client.WaitAsync(job, j => j["stage"]?.GetValue<string>() == "train", ct);
        using var cancelled = await client.Http.PostAsync($"/v1/jobs/{job}/cancel", null, ct);
        Assert.Equal(202, (int)cancelled.StatusCode);
        var ended = await client.WaitForEndAsync(job, ct);
        Assert.Equal("cancelled", ended["status"]!.GetValue<string>());

        using var retried = await client.Http.PostAsync($"/v1/jobs/{job}/retry", null, ct);
        Assert.Equal(202, (int)retried.StatusCode);
        var running = await client.WaitAsync(job, j => j["stage"]?.GetValue<string>() == "train", ct);
        Assert.Equal(2, running["attempt"]!.GetValue<int>());
        using var deleted = await client.Http.DeleteAsync($"/v1/jobs/{job}", ct);
        Assert.Equal(409, (int)deleted.StatusCode);
    }

    [Fact]
    public async Task Up_stops_everything_it_started_when_it_is_told_to_and_when_it_is_killed()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var ct = Patience();
        var (told, client) = await UpAsync(SaeCommand.NewHome(), ct);
        client.Dispose();
        SaeCommand.Signal(told.ProcessId, SaeCommand.CtrlC);
        Assert.True(await told.WaitForExitAsync(ct) == 0, told.Output);
        Assert.Empty(told.LeftBehind());
        await told.DisposeAsync();

        var home = SaeCommand.NewHome();
        var (killed, other) = await UpAsync(home, ct, keepHome: true);
        other.Dispose();
        SaeCommand.Signal(killed.ProcessId, "KILL");
        while (killed.Children("SaeService").Count > 0)
            await Task.Delay(100, ct);
        await killed.DisposeAsync();
        // The cluster outlives a command that could not stop it by some seconds; the next one finds it or starts it, and stops it.
        var (next, last) = await UpAsync(home, ct);
        last.Dispose();
        SaeCommand.Signal(next.ProcessId, SaeCommand.CtrlC);
        Assert.Equal(0, await next.WaitForExitAsync(ct));
        Assert.Empty(next.LeftBehind());
        await next.DisposeAsync();
    }

    [Fact]
    public async Task The_interface_loads_no_libtorch()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var ct = Patience();
        var (service, client) = await UpAsync(SaeCommand.NewHome(), ct);
        await using var _ = service;
        using var __ = client;
        await client.Http.GetStringAsync("/v1/models", ct);
        await client.Http.GetStringAsync("/swagger/index.html", ct);
        var maps = await File.ReadAllTextAsync($"/proc/{Assert.Single(service.Children("SaeService.Api.dll"))}/maps", ct);
        Assert.DoesNotContain("torch", maps, StringComparison.OrdinalIgnoreCase);
        var worker = await File.ReadAllTextAsync($"/proc/{Assert.Single(service.Children("SaeService.Worker.dll"))}/maps", ct);
        Assert.Contains("libtorch", worker, StringComparison.Ordinal);
    }
}
