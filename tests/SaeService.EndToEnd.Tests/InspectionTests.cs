using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.EndToEnd.Tests;

/// <summary>Texts through a finished job's model and autoencoders, by real processes.</summary>
public sealed class InspectionTests
{
    private static async Task<(HttpStatusCode Status, JsonNode Body)> InspectAsync(Client client, string job, object request, CancellationToken ct)
    {
        using var answer = await client.Http.PostAsync($"/v1/jobs/{job}/inspect", new StringContent(JsonSerializer.Serialize(request), Encoding.UTF8, "application/json"), ct);
        return (answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync(ct))!);
    }

    private static async Task<JsonNode> InspectedAsync(Client client, string job, object request, CancellationToken ct)
    {
        var (status, body) = await InspectAsync(client, job, request, ct);
        return status == HttpStatusCode.OK ? body : throw new InvalidOperationException(body.ToJsonString());
    }

    [Fact]
    public async Task A_worker_inspects_a_text_as_the_job_saw_it_whatever_it_is_at_and_whatever_happens_to_it()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sends signals");
        var ct = MainJobTests.Patience();
        var home = SaeCommand.NewHome();
        var (service, client) = await MainJobTests.UpAsync(home, ct);
        await using var _ = service;
        using var __ = client;
        var job = await client.SubmitAsync(MainJobTests.Request, ct);
        Assert.Equal("succeeded", (await client.WaitForEndAsync(job, ct))["status"]!.GetValue<string>());

        await SameAsTheJobSawAsync(client, job, ct);
        await AnswerIsWholeAsync(client, job, ct);
        var worker = Assert.Single(service.Children("SaeService.Worker.dll"));
        await HostileTextsAsync(client, job, ct);
        Assert.Equal(worker, Assert.Single(service.Children("SaeService.Worker.dll")));

        // A stage is at work, and stays at work.
        var other = await client.SubmitAsync(MainJobTests.Request.Replace("\"train_tokens\": 200000", "\"train_tokens\": 2000000000"), ct);
        await client.WaitAsync(other, j => j["stage"]?.GetValue<string>() == "train", ct);
        var request = new { text = "The old dog barked.", top = 3 };
        var beside = await InspectedAsync(client, job, request, ct);
        Assert.Equal("train", (await client.JobAsync(other, ct))["stage"]?.GetValue<string>());
        using (await client.Http.PostAsync($"/v1/jobs/{other}/cancel", null, ct))
            await client.WaitForEndAsync(other, ct);

        // kill -9 in the middle of one: the worker that is started in its place answers, and the same.
        await File.WriteAllTextAsync(Path.Combine(home, "failpoint"), "at:inspection", ct);
        var after = await InspectedAsync(client, job, request, ct);
        Assert.False(File.Exists(Path.Combine(home, "failpoint")), "the worker never came to the point");
        Assert.NotEqual(worker, Assert.Single(service.Children("SaeService.Worker.dll")));
        Assert.Equal(beside.ToJsonString(), after.ToJsonString());
    }

    /// <summary>The activations of a feature's stored contexts, at sentences that begin a context of the model, and so have nothing before them.</summary>
    private static async Task SameAsTheJobSawAsync(Client client, string job, CancellationToken ct)
    {
        var first = FirstSentences();
        var compared = 0;
        foreach (var layer in new[] { 0, 3 })
        {
            var page = JsonNode.Parse(await client.Http.GetStringAsync($"/v1/jobs/{job}/layers/{layer}/features?consistent=true&limit=100", ct))!;
            foreach (var summary in page["data"]!.AsArray().DistinctBy(f => f!["index"]!.GetValue<int>()).Take(25))
            {
                var index = summary!["index"]!.GetValue<int>();
                var feature = JsonNode.Parse(await client.Http.GetStringAsync($"/v1/jobs/{job}/layers/{layer}/features/{index}", ct))!;
                var threshold = feature["tasks"]!.AsArray().Where(t => t!["consistent"]!.GetValue<bool>()).Min(t => t!["threshold"]!.GetValue<double>());
                foreach (var context in feature["top_contexts"]!.AsArray().Where(c => first.Contains(c!["sentence"]!.GetValue<string>())).Take(2))
                {
                    var text = context!["text"]!.GetValue<string>();
                    var answer = await InspectedAsync(client, job, new { text, layers = new[] { layer }, positions = new[] { 0 } }, ct);
                    var words = answer["words"]!.AsArray().Select(w => w!["text"]!.GetValue<string>()).ToArray();
                    string[] shown = [.. context["words"]!.AsArray().Select(w => w!.GetValue<string>())];
                    var at = Enumerable.Range(0, Math.Max(0, words.Length - shown.Length + 1)).FirstOrDefault(i => words.AsSpan(i, shown.Length).SequenceEqual(shown), -1);
                    if (at < 0)
                        continue; // cut into other words by the treebank
                    var seen = answer["layers"]![0]!["features"]!.AsArray().Where(f => f!["index"]!.GetValue<int>() == index)
                        .GroupBy(f => f!["word"]!.GetValue<int>()).ToDictionary(g => g.Key, g => g.First()!);
                    for (var i = 0; i < shown.Length; i++)
                    {
                        var stored = context["activations"]![i]!.GetValue<double>();
                        if (seen.TryGetValue(at + i, out var entry))
                        {
                            Assert.Equal(stored, entry["activation"]!.GetValue<double>(), 2e-4 * Math.Max(1, stored));
                            Assert.Equal(feature["max_activation"]!.GetValue<double>(), entry["max_activation"]!.GetValue<double>(), 1e-3);
                            compared++;
                        }
                        else
                            Assert.True(stored <= threshold + 1e-3, $"feature {index} of layer {layer} fires on '{shown[i]}' with {stored} and is not in the answer");
                    }
                }
            }
        }
        Assert.True(compared > 30, $"only {compared} activations could be compared");
    }

    private static async Task AnswerIsWholeAsync(Client client, string job, CancellationToken ct)
    {
        const string Text = "The old dog barked.";
        var answer = await InspectedAsync(client, job, new { text = Text, top = 7 }, ct);
        Assert.Equal((job, Text, "next"), (answer["job_id"]!.GetValue<string>(), answer["text"]!.GetValue<string>(), answer["lens_predicts"]!.GetValue<string>()));
        Assert.Equal(["The", "old", "dog", "barked", "."], answer["words"]!.AsArray().Select(w => w!["text"]!.GetValue<string>()));
        foreach (var word in answer["words"]!.AsArray())
            Assert.Equal(word!["text"]!.GetValue<string>(), Text[word["start"]!.GetValue<int>()..word["end"]!.GetValue<int>()]);
        var tokens = answer["tokens"]!.AsArray();
        Assert.All(tokens, t => Assert.InRange(t!["word"]!.GetValue<int>(), 0, 4));
        Assert.Equal([0, 3], answer["layers"]!.AsArray().Select(l => l!["layer"]!.GetValue<int>()));
        foreach (var layer in answer["layers"]!.AsArray())
        {
            Assert.Equal(Enumerable.Range(0, tokens.Count), layer!["lens"]!.AsArray().Select(l => l!["token"]!.GetValue<int>()));
            foreach (var position in layer["lens"]!.AsArray())
            {
                var probabilities = position!["top"]!.AsArray().Select(t => t!["probability"]!.GetValue<double>()).ToList();
                Assert.Equal(7, probabilities.Count);
                Assert.Equal(probabilities.OrderDescending(), probabilities);
                Assert.InRange(probabilities.Sum(), 1e-6, 1 + 1e-4);
            }
            foreach (var feature in layer["features"]!.AsArray())
            {
                Assert.NotNull(feature!["label"]);
                Assert.Equal(feature["word"]!.GetValue<int>(), tokens[feature["token"]!.GetValue<int>()]!["word"]!.GetValue<int>());
            }
        }
        Assert.NotEmpty(answer["layers"]!.AsArray().SelectMany(l => l!["features"]!.AsArray()));

        var one = await InspectedAsync(client, job, new { text = Text, layers = new[] { 3 }, task = "pos", positions = new[] { 2 }, all_features = true }, ct);
        var only = Assert.Single(one["layers"]!.AsArray())!;
        Assert.Equal(2, Assert.Single(only["lens"]!.AsArray())!["token"]!.GetValue<int>());
        Assert.All(only["features"]!.AsArray(), f => Assert.True(f!["task"] is null || f["task"]!.GetValue<string>() == "pos"));
        Assert.Contains(only["features"]!.AsArray(), f => f!["task"] is null);
        Assert.InRange(only["features"]!.AsArray().Where(f => f!["task"] is null).GroupBy(f => f!["word"]!.GetValue<int>()).Max(g => g.Count()), 1, 5);
    }

    private static async Task HostileTextsAsync(Client client, string job, CancellationToken ct)
    {
        string[] texts =
        [
            "\u200b", "\ufeff", "\u0301\u0301\u0301", new('\u0301', 500), "\U0001F469\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466", "\u202Eevil\u202C", "\u0001\u0002\u001b[31m",
            "'; DROP TABLE inspections; --", "<script>alert(1)</script>", "<|endoftext|><s></s>[MASK]<unk>", new('a', 2000), string.Concat(Enumerable.Repeat("a ", 1000)),
            new('.', 2000), string.Concat(Enumerable.Repeat("\U0001D400", 900)), "\ufffd\uffff\ufdd0", "{{7*7}} %s%n $(id) \\", "\u0e44\u0e17\u0e22 \u6211\u7231\u4f60", "\r\n\t x",
        ];
        foreach (var text in texts)
        {
            var (status, body) = await InspectAsync(client, job, new { text }, ct);
            if (status == HttpStatusCode.OK)
                Assert.Equal(text, body["text"]!.GetValue<string>());
            else
                Assert.True(status == HttpStatusCode.UnprocessableEntity && body["errors"]!["$.text"] is not null, body.ToJsonString());
        }
        var (refused, problem) = await InspectAsync(client, job, new { text = "The dog.", positions = new[] { 400 } }, ct);
        Assert.True(refused == HttpStatusCode.UnprocessableEntity && problem["errors"]!["$.positions"] is not null, problem.ToJsonString());
    }

    /// <summary>Ids of the sentences that begin a document of the sample: packing begins a context with each.</summary>
    private static HashSet<string> FirstSentences()
    {
        var first = new HashSet<string>(StringComparer.Ordinal);
        var begins = false;
        foreach (var line in File.ReadLines(Path.Combine(SharedData.RepositoryRoot, "src", "SaeService.Sample", "bundle", "corpus", "sample.conllu")))
        {
            begins |= line.StartsWith("# newdoc", StringComparison.Ordinal);
            if (!begins || !line.StartsWith("# sent_id = ", StringComparison.Ordinal))
                continue;
            first.Add(line["# sent_id = ".Length..].Trim());
            begins = false;
        }
        return first;
    }
}
