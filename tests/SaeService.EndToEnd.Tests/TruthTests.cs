using System.Text.Json.Nodes;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary><c>sae bench truth</c> as a process, with few null runs: the figures of the whole are in the README.</summary>
public sealed class TruthTests
{
    [Fact]
    public async Task The_checks_are_printed_as_one_object_and_all_hold()
    {
        await using var command = SaeCommand.Start(SaeCommand.NewHome(), ["bench", "truth", "--skip-sample", "--runs", "4", "--json"]);
        var status = await command.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(status == 0, command.Output);
        // What is being done goes to standard error, and is done before the object is written.
        Assert.Contains("4 null runs", command.Output, StringComparison.Ordinal);
        var report = JsonNode.Parse(command.Output[command.Output.IndexOf('{', StringComparison.Ordinal)..])!.AsObject();
        var checks = report["checks"]!.AsArray();
        Assert.Equal(0, report["failed"]!.GetValue<int>());
        Assert.Equal(checks.Count, report["passed"]!.GetValue<int>() + report["skipped"]!.GetValue<int>());
        foreach (var about in new[] { "golden", "planted information", "planted cells", "trap", "null runs", "threads" })
            Assert.Contains(checks, c => c!["name"]!.GetValue<string>().Contains(about, StringComparison.Ordinal));
        Assert.All(checks, c => Assert.True(c!["ok"]!.GetValue<bool>() && c["want"]!.GetValue<string>().Length > 0));
    }

    /// <summary>
    /// One thread a worker, so that only the number of workers differs: on another number of threads libtorch's products and attention round otherwise where a tensor's
    /// rows do not divide evenly, and vectors of inner layers have other last bits.
    /// </summary>
    [Fact]
    public async Task Documents_are_the_same_from_one_worker_and_from_two()
    {
        var ct = MainJobTests.Patience();
        var request = MainJobTests.Request.Replace("9000", "5000").Replace("200000", "60000");
        var documents = new List<string>();
        foreach (var workers in new[] { "1", "2" })
        {
            var (service, client) = await MainJobTests.UpAsync(SaeCommand.NewHome(), ct,
                environment: new Dictionary<string, string> { ["DOTNET_PROCESSOR_COUNT"] = workers }, arguments: ["--workers", workers]);
            await using var _ = service;
            using var __ = client;
            var job = await client.SubmitAsync(request, ct);
            Assert.Equal("succeeded", (await client.WaitForEndAsync(job, ct))["status"]!.GetValue<string>());
            documents.Add(await client.ComparableDocumentAsync(job, ct));
        }
        Assert.Equal(documents[0], documents[1]);
    }

    [Theory]
    [InlineData("--runs is 0", "--runs", "0")]
    [InlineData("there is no file", "--document", "absent.json")]
    public async Task What_can_not_be_checked_is_said_so(string message, params string[] arguments)
    {
        await using var command = SaeCommand.Start(SaeCommand.NewHome(), ["bench", "truth", .. arguments]);
        Assert.Equal(1, await command.WaitForExitAsync(TestContext.Current.CancellationToken));
        Assert.Contains(message, command.Output, StringComparison.Ordinal);
    }

    /// <summary>The sample's document against its grammar: as it is, and with something found at layer 0 that forms can not give.</summary>
    internal static async Task HoldAgainstTheGrammarAsync(string file, CancellationToken ct)
    {
        await using (var command = SaeCommand.Start(SaeCommand.NewHome(), ["bench", "truth", "--document", file]))
            Assert.True(await command.WaitForExitAsync(ct) == 0, command.Output);

        var document = JsonNode.Parse(await File.ReadAllTextAsync(file, ct))!;
        foreach (var task in document["tasks"]!.AsArray())
            task!["layers"]![0]!["iv_bits"]!["value"] = task["layers"]![4]!["iv_bits"]!["value"]!.GetValue<double>();
        foreach (var cell in document["layers"]![0]!["functionalities"]!.AsArray())
            cell!["status"] = "established";
        await File.WriteAllTextAsync(file, document.ToJsonString(), ct);
        await using (var command = SaeCommand.Start(SaeCommand.NewHome(), ["bench", "truth", "--document", file]))
        {
            Assert.Equal(1, await command.WaitForExitAsync(ct));
            Assert.Contains("FAIL", command.Output, StringComparison.Ordinal);
            Assert.Contains("dep:obj", command.Output, StringComparison.Ordinal);
        }
    }
}
