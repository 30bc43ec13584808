using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class ResultTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;
    private static readonly string[] s_documentParts = ["/layers", "/layers/1", "/mutual-information", "/profiles", "/exports/layers.json", "/exports/features.csv", "/exports/report.html", "/figures", "/figures/training-1.svg"];

    [Fact]
    public async Task Nothing_is_answered_before_it_is_there_and_the_answer_says_what_is_missing()
    {
        var job = await api.SubmitAsync();
        foreach (var part in s_documentParts)
            Assert.Contains("conclude", (await ProblemAsync(job, part, ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);
        Assert.Contains("label of layer 1 is waiting", (await ProblemAsync(job, "/layers/1/features", ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);
        Assert.Contains("train of layer 1", (await ProblemAsync(job, "/layers/1/sae", ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);
        Assert.Contains("inform of layer 1", (await ProblemAsync(job, "/exports/words.csv", ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);
        Assert.Contains("prepare is ready", (await ProblemAsync(job, "/exports/split.json", ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);

        // A layer's features are there with its label stage, whatever the others do.
        await FinishedJob.LabelAsync(api, job, [1]);
        Assert.Equal(HttpStatusCode.OK, (await api.Submitter.GetAsync(job.Urls.Self + "/layers/1/features", Ct)).StatusCode);
        await ProblemAsync(job, "/layers/2/features", ProblemCodes.NotReady);

        await using var db = api.Database();
        await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Failed)
            .SetProperty(x => x.ErrorJson, """{"type":"urn:sae:problem:worker_lost","title":"The worker was lost","status":500,"code":"worker_lost","detail":"three workers died"}"""), Ct);
        var failed = await ProblemAsync(job, "/layers", ProblemCodes.NotReady);
        Assert.Contains("three workers died", failed.Detail!, StringComparison.Ordinal);
        Assert.Contains("retry", failed.Detail!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_document_is_served_as_it_was_stored_and_its_hash_is_its_tag()
    {
        var job = await FinishedAsync();
        using var answer = await api.Submitter.GetAsync(job.Urls.Layers, Ct);
        var bytes = await answer.Content.ReadAsByteArrayAsync(Ct);
        await using var db = api.Database();
        var row = await db.Jobs.SingleAsync(x => x.Id == job.Id, Ct);
        Assert.Equal(row.Document, bytes);
        Assert.Equal($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes))}\"", answer.Headers.ETag!.Tag);
        Assert.Equal("layer-functionality/1.0", (string)JsonNode.Parse(bytes)!["schema"]!);
        foreach (var part in s_documentParts)
        {
            using var first = await api.Submitter.GetAsync(job.Urls.Self + part, Ct);
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
            var request = new HttpRequestMessage(HttpMethod.Get, job.Urls.Self + part);
            request.Headers.IfNoneMatch.Add(first.Headers.ETag!);
            using var same = await api.Submitter.SendAsync(request, Ct);
            Assert.True(same.StatusCode == HttpStatusCode.NotModified, part);
        }
    }

    [Fact]
    public async Task Its_parts_are_the_parts_of_the_document()
    {
        var job = await FinishedAsync();
        var layer = await GetAsync<LayerDocument>(job, "/layers/1");
        Assert.Equal("blocks.0.resid_post", layer.Layer.HookPoint);
        Assert.Equal((1, 0.1), (layer.Sae.Layer, layer.Sae.Fvu));
        Assert.Single(layer.Training.Curve);
        Assert.Equal([0, 1, 2], (await GetAsync<MutualInformationDocument>(job, "/mutual-information")).Layers);
        Assert.Equal("NOUN", (await GetAsync<ProfilesDocument>(job, "/profiles")).Tasks.Single().Profiles.Single().Label);
        foreach (var missing in new[] { "/layers/7", "/layers/7/features", "/layers/7/sae", "/layers/-1", "/layers/x", "/exports/model.exe" })
            await ProblemAsync(job, missing, ProblemCodes.NotFound);
    }

    [Theory]
    [InlineData("", 24)]
    [InlineData("?task=pos", 12)]
    [InlineData("?task=pos&label=NOUN", 6)]
    [InlineData("?task=pos&kind=contextual", 6)]
    [InlineData("?consistent=true", 4)]
    [InlineData("?min_support=100", 2)]
    [InlineData("?sort=support", 24)]
    [InlineData("?sort=index&task=ner", 12)]
    [InlineData("?task=mood", 0)]
    [InlineData("?sort=support&order=asc", 24)]
    [InlineData("?sort=index&order=desc", 24)]
    [InlineData("?min_consistency=0.9&task=pos", 4)]
    [InlineData("?min_f1=0.61", 0)]
    [InlineData("?q=noU", 6)]
    [InlineData("?q=%25", 0)]
    [InlineData("?q=11", 2)]
    [InlineData("?q=%20zEBRa", 2)]
    [InlineData("?q=dog&task=pos", 8)]
    [InlineData("?sort=density", 24)]
    [InlineData("?sort=max_activation&order=asc&task=pos", 12)]
    [InlineData("?min_density=0.0100001&max_density=0.02", 0)]
    [InlineData("?min_density=0.01&max_density=0.01&task=pos", 12)]
    public async Task Features_are_filtered_and_paged_without_loss_or_repetition(string query, int expected)
    {
        var job = await FinishedAsync();
        var seen = new List<FeatureSummary>();
        var pages = new List<FeaturePage>();
        var next = $"{job.Urls.Self}/layers/1/features{query}{(query.Length == 0 ? "?" : "&")}limit=5";
        string? previous = null;
        while (next is not null)
        {
            (var page, next, previous) = await PageAsync(next);
            Assert.True(page.Data.Count <= 5);
            Assert.Equal(expected, page.Total);
            Assert.Equal(pages.Count > 0, previous is not null);
            pages.Add(page);
            seen.AddRange(page.Data);
            Assert.True(seen.Count <= 24);
        }
        Assert.Equal(expected, seen.Count);
        Assert.Equal(expected, seen.Select(f => (f.Index, f.Task)).Distinct().Count());
        Func<FeatureSummary, double> key = query.Contains("sort=support", StringComparison.Ordinal) ? f => f.Support
            : query.Contains("sort=index", StringComparison.Ordinal) ? f => -f.Index
            : query.Contains("sort=", StringComparison.Ordinal) ? f => 0 : f => f.ConsistencyLower;
        var sorted = query.Contains("order=", StringComparison.Ordinal) ? seen.Select(key).Order() : seen.Select(key).OrderDescending();
        Assert.Equal(sorted, seen.Select(key));

        // The same pages backwards.
        for (var n = pages.Count - 2; n >= 0; n--)
        {
            (var page, next, previous) = await PageAsync(previous);
            Assert.Equal(pages[n].Data.Select(f => (f.Index, f.Task)), page.Data.Select(f => (f.Index, f.Task)));
            Assert.Equal((pages[n].HasMore, pages[n].NextAfter, pages[n].PreviousBefore, pages[n].Total), (page.HasMore, page.NextAfter, page.PreviousBefore, page.Total));
            Assert.NotNull(next);
        }
        Assert.Null(previous);

        async Task<(FeaturePage, string?, string?)> PageAsync(string? address)
        {
            using var answer = await api.Submitter.GetAsync(address, Ct);
            Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{address}: {await answer.Content.ReadAsStringAsync(Ct)}");
            var page = await ApiFixture.ReadAsync<FeaturePage>(answer);
            var links = answer.Headers.TryGetValues("Link", out var values) ? values.Single().Split(", ").ToDictionary(l => l.Split('"')[1], l => l.Split('<', '>')[1]) : [];
            Assert.Equal((page.HasMore, page.PreviousBefore is not null), (links.ContainsKey("next"), links.ContainsKey("prev")));
            return (page, links.GetValueOrDefault("next"), links.GetValueOrDefault("prev"));
        }
    }

    [Theory]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=1000", "limit")]
    [InlineData("?sort=summary;drop table jobs", "sort")]
    [InlineData("?order=up", "order")]
    [InlineData("?kind=1", "kind")]
    [InlineData("?min_support=many", "MinSupport")]
    [InlineData("?min_consistency=NaN", "min_consistency")]
    [InlineData("?max_density=2", "max_density")]
    [InlineData("?q=%00", "q")]
    [InlineData("?label=%00", "label")]
    [InlineData("?after=AAAA", "after")]
    [InlineData("?after=%00", "after")]
    [InlineData("?before=AAAA", "before")]
    [InlineData("?before=AAAA&after=AAAA", "before")]
    public async Task Wrong_parameters_of_the_list_are_named(string query, string name)
    {
        var problem = await ProblemAsync(await FinishedAsync(), "/layers/1/features" + query, ProblemCodes.InvalidParameter);
        Assert.Contains(name, $"{problem.Detail} {string.Join(' ', problem.Errors?.Keys ?? [])}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cursor_belongs_to_its_order()
    {
        var job = await FinishedAsync();
        var page = await GetAsync<FeaturePage>(job, "/layers/1/features?limit=3");
        await ProblemAsync(job, $"/layers/1/features?sort=f1&after={page.NextAfter}", ProblemCodes.InvalidParameter);
        await ProblemAsync(job, $"/layers/1/features?order=asc&after={page.NextAfter}", ProblemCodes.InvalidParameter);
    }

    [Fact]
    public async Task A_feature_has_everything_known_of_it_and_a_dead_one_says_so()
    {
        var job = await FinishedAsync();
        var feature = await GetAsync<FeatureDetail>(job, "/layers/2/features/3");
        Assert.True(feature.Alive);
        Assert.Equal(["ner", "pos"], feature.Tasks.Select(t => t.Task));
        Assert.Equal("dogs", feature.TopContexts.Single().Words[feature.TopContexts.Single().Position]);
        Assert.Equal([5, 3], feature.Histogram.Counts);
        Assert.False((await GetAsync<FeatureDetail>(job, "/layers/2/features/100")).Alive);
        await ProblemAsync(job, "/layers/2/features/128", ProblemCodes.NotFound);
        await ProblemAsync(job, "/layers/2/features/3?view=pretty", ProblemCodes.InvalidParameter);
    }

    [Fact]
    public async Task Exports_are_files()
    {
        var job = await FinishedAsync();
        using var csv = await api.Submitter.GetAsync(job.Urls.Self + "/exports/features.csv", Ct);
        Assert.Equal("text/csv", csv.Content.Headers.ContentType?.MediaType);
        var lines = (await csv.Content.ReadAsStringAsync(Ct)).TrimEnd().Split("\r\n");
        Assert.Equal(1 + 3 * 24, lines.Length);
        Assert.StartsWith("layer,index,task,dominant_label,consistent,", lines[0], StringComparison.Ordinal);
        Assert.Contains("0,6,pos,\"VERB, \"\"x\"\"\",false,", string.Join('\n', lines), StringComparison.Ordinal);
        using var split = await api.Submitter.GetAsync(job.Urls.Self + "/exports/split.json", Ct);
        Assert.Equal("""{"d0":"train"}""", await split.Content.ReadAsStringAsync(Ct));
        Assert.Contains("split.json", split.Content.Headers.ContentDisposition!.ToString(), StringComparison.Ordinal);

        using var alignment = await api.Submitter.GetAsync(job.Urls.Self + "/exports/alignment.csv", Ct);
        Assert.Equal("text/csv", alignment.Content.Headers.ContentType?.MediaType);
        Assert.Equal("sentence,position,form,reason\n", await alignment.Content.ReadAsStringAsync(Ct));

        using var zip = new ZipArchive(await api.Submitter.GetStreamAsync(job.Urls.Self + "/layers/2/sae", Ct));
        Assert.Equal(["cfg.json", "sae_weights.safetensors"], zip.Entries.Select(e => e.FullName));
        await using var db = api.Database();
        await using var weights = await zip.Entries[1].OpenAsync(Ct);
        Assert.Equal((await db.Artifacts.SingleAsync(x => x.JobId == job.Id && x.Layer == 2 && x.Name == "sae_weights.safetensors", Ct)).Sha256,
            Convert.ToHexStringLower(await SHA256.HashDataAsync(weights, Ct)));
        await ProblemAsync(job, "/layers/2/sae?format=gguf", ProblemCodes.InvalidParameter);
    }

    [Fact]
    public async Task The_words_are_there_with_their_stage_and_their_hash_is_their_tag()
    {
        var job = await FinishedAsync();
        await using var db = api.Database();
        // Not of the document: a job that goes on has them too, and one without has not kept them.
        await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Running), Ct);
        var path = job.Urls.Self + "/exports/words.csv";
        using var first = await api.Submitter.GetAsync(path, Ct);
        Assert.Equal("text/csv; charset=utf-8; header=present", first.Content.Headers.ContentType?.ToString());
        Assert.Contains("words.csv", first.Content.Headers.ContentDisposition!.ToString(), StringComparison.Ordinal);
        Assert.Equal(FinishedJob.Words, await first.Content.ReadAsStringAsync(Ct));
        Assert.Equal($"\"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(FinishedJob.Words)))}\"", first.Headers.ETag!.Tag);

        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.IfNoneMatch.Add(first.Headers.ETag);
        using var same = await api.Submitter.SendAsync(request, Ct);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        await ApiFixture.ProblemAsync(await api.Other.GetAsync(path, Ct), ProblemCodes.NotFound);

        await db.Artifacts.Where(x => x.JobId == job.Id && x.Name == "words.csv").ExecuteDeleteAsync(Ct);
        await ProblemAsync(job, "/exports/words.csv", ProblemCodes.NotFound);
    }

    private async Task<Job> FinishedAsync()
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job);
        return job;
    }

    private async Task<T> GetAsync<T>(Job job, string path)
    {
        using var answer = await api.Submitter.GetAsync(job.Urls.Self + path, Ct);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{path}: {await answer.Content.ReadAsStringAsync(Ct)}");
        return await ApiFixture.ReadAsync<T>(answer);
    }

    private async Task<Problem> ProblemAsync(Job job, string path, string code) => await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Self + path, Ct), code);
}
