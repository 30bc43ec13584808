using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary>The main job from the outside, as processes: command line, private cluster, interface, worker.</summary>
public sealed class MainJobTests(RunningService up) : IClassFixture<RunningService>
{
    internal const string Request = """
        { "model": { "id": "sample" }, "dataset": { "id": "sample", "max_words": 9000 }, "layers": [0, 3], "mode": "quick",
          "sae": { "train_tokens": 200000 }, "information": { "max_train_words": 3000, "bootstrap_samples": 200 } }
        """;

    /// <summary>For what never comes, not for what is slow: jobs run beside each other and beside a browser here, on whatever machine it is.</summary>
    internal static CancellationToken Patience() =>
        CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken, new CancellationTokenSource(TimeSpan.FromMinutes(15)).Token).Token;

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
    public async Task Jobs_on_the_same_documents_are_compared_in_pairs_and_a_job_fills_every_table()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience();
        var client = up.Client;
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

    [Fact]
    public async Task Cancelling_takes_effect_within_seconds_and_retry_finishes_the_job()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = Patience();
        var client = up.Client;
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
        // The next test's jobs would wait for this one for ever.
        using var again = await client.Http.PostAsync($"/v1/jobs/{job}/cancel", null, ct);
        Assert.Equal("cancelled", (await client.WaitForEndAsync(job, ct))["status"]!.GetValue<string>());
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
        var client = up.Client;
        await client.Http.GetStringAsync("/v1/models", ct);
        await client.Http.GetStringAsync("/swagger/index.html", ct);
        var maps = await File.ReadAllTextAsync($"/proc/{Assert.Single(up.Service.Children("SaeService.Api.dll"))}/maps", ct);
        Assert.DoesNotContain("torch", maps, StringComparison.OrdinalIgnoreCase);
        var worker = await File.ReadAllTextAsync($"/proc/{Assert.Single(up.Service.Children("SaeService.Worker.dll"))}/maps", ct);
        Assert.Contains("libtorch", worker, StringComparison.Ordinal);
    }
}

/// <summary><c>sae up</c>, for the tests that leave it as they found it.</summary>
public sealed class RunningService : IAsyncLifetime
{
    public SaeCommand Service { get; private set; } = null!;
    internal Client Client { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        if (OperatingSystem.IsLinux())
            (Service, Client) = await MainJobTests.UpAsync(SaeCommand.NewHome(), MainJobTests.Patience());
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        if (Service is not null)
            await Service.DisposeAsync();
    }
}
