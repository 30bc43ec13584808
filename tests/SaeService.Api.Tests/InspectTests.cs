using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using SaeService.Api.Documentation;
using SaeService.Contracts;
using SaeService.Queueing;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>Little patience: there is no worker but the desks that tests open.</summary>
public sealed class ImpatientFixture : ApiFixture
{
    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string> { ["Limits:InspectionSeconds"] = "1" };
}

public sealed class InspectTests(ImpatientFixture api) : IClassFixture<ImpatientFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<Job> FinishedAsync()
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job);
        return job;
    }

    private Task<HttpResponseMessage> PostAsync(Job job, string body, HttpClient? client = null) =>
        (client ?? api.Submitter).PostAsync(job.Urls.Self + "/inspect", ApiFixture.Json(body), Ct);

    [Theory]
    [InlineData("""{"text":""}""", "$.text", "white space")]
    [InlineData("""{"text":" \n\u3000 "}""", "$.text", "white space")]
    [InlineData("""{"text":"a\u0000b"}""", "$.text", "NUL")]
    [InlineData("""{"text":"\ud800"}""", "$.text", "half of a surrogate pair")]
    [InlineData("""{"text":"a\udc00b"}""", "$.text", "half of a surrogate pair")]
    [InlineData("""{"text":7}""", "$.text", "must be a string")]
    [InlineData("""{"text":null}""", "$.text", "")]
    [InlineData("""{}""", "$.text", "is required")]
    [InlineData("""{"text":"x","top":0}""", "$.top", "between 1 and 20")]
    [InlineData("""{"text":"x","top":1000}""", "$.top", "between 1 and 20")]
    [InlineData("""{"text":"x","layers":[]}""", "$.layers", "must name a layer")]
    [InlineData("""{"text":"x","positions":[-1]}""", "$.positions", "counted from 0")]
    [InlineData("""{"text":"x","positions":[]}""", "$.positions", "1 to 512")]
    public async Task What_is_wrong_is_named_with_its_member(string body, string field, string says)
    {
        var problem = await ApiFixture.ProblemAsync(await PostAsync(await FinishedAsync(), body), ProblemCodes.InvalidRequest);
        Assert.Contains(says, string.Join('\n', problem.Errors![field]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Length_layers_tasks_and_members_are_checked()
    {
        var job = await FinishedAsync();
        var tooLong = await ApiFixture.ProblemAsync(await PostAsync(job, JsonSerializer.Serialize(new { text = new string('x', 2001) })), ProblemCodes.InvalidRequest);
        Assert.Contains("at most 2000", Assert.Single(tooLong.Errors!["$.text"]), StringComparison.Ordinal);
        Assert.Contains("7", Assert.Single((await ApiFixture.ProblemAsync(await PostAsync(job, """{"text":"x","layers":[0,7]}"""), ProblemCodes.LayerOutOfRange)).Errors!["$.layers"]),
            StringComparison.Ordinal);
        Assert.Contains("mood", Assert.Single((await ApiFixture.ProblemAsync(await PostAsync(job, """{"text":"x","task":"mood"}"""), ProblemCodes.TaskNotInDataset)).Errors!["$.task"]),
            StringComparison.Ordinal);
        await ApiFixture.ProblemAsync(await PostAsync(job, """{"text":"x","colour":"blue"}"""), ProblemCodes.UnknownField);
        await ApiFixture.ProblemAsync(await PostAsync(job, """{"text":"x","\ud800":1}"""), ProblemCodes.MalformedJson);
        await ApiFixture.ProblemAsync(await PostAsync(job, """{"text":"x" """), ProblemCodes.MalformedJson);
        await ApiFixture.ProblemAsync(await PostAsync(job, """[]"""), ProblemCodes.InvalidRequest);
        using var latin = new ByteArrayContent([.. Encoding.ASCII.GetBytes("{\"text\":\""), 0xff, .. Encoding.ASCII.GetBytes("\"}")]) { Headers = { ContentType = new("application/json") } };
        await ApiFixture.ProblemAsync(await api.Submitter.PostAsync(job.Urls.Self + "/inspect", latin, Ct), ProblemCodes.MalformedJson);
        Assert.Empty(await RowsAsync());
    }

    [Fact]
    public async Task A_job_must_have_ended_well_and_be_the_callers()
    {
        var running = await api.SubmitAsync();
        Assert.Contains("conclude", (await ApiFixture.ProblemAsync(await PostAsync(running, """{"text":"x"}"""), ProblemCodes.NotReady)).Detail!, StringComparison.Ordinal);
        await ApiFixture.ProblemAsync(await PostAsync(await FinishedAsync(), """{"text":"x"}""", api.Other), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Submitter.PostAsync($"/v1/jobs/{Guid.NewGuid()}/inspect", ApiFixture.Json("""{"text":"x"}"""), Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await PostAsync(running, """{"text":"x"}""", api.Nobody), ProblemCodes.Unauthorized);
    }

    [Fact]
    public async Task Without_a_worker_the_answer_is_503_and_when_to_ask_again()
    {
        using var answer = await PostAsync(await FinishedAsync(), """{"text":"x"}""");
        Assert.Contains("No worker is answering", (await ApiFixture.ProblemAsync(answer, ProblemCodes.Unavailable)).Detail!, StringComparison.Ordinal);
        Assert.True(answer.Headers.RetryAfter!.Delta > TimeSpan.Zero);
        Assert.Empty(await RowsAsync());
    }

    [Fact]
    public async Task A_workers_answer_is_served_as_the_contract_has_it_and_readers_may_ask()
    {
        var job = await FinishedAsync();
        await using (var db = api.Database())
            await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.ApiKeyId, (Guid?)null), Ct);
        foreach (var example in ExampleFilter.Examples["InspectText"])
        {
            using var desk = InspectionDesk.Open(api.Services.GetRequiredService<NpgsqlDataSource>(), "desk");
            var answering = PostAsync(job, example.Body, api.Admin);
            ClaimedInspection? claimed;
            while ((claimed = desk.TryClaim()) is null)
                await Task.Delay(20, Ct);
            var said = new InspectionAnswer
            {
                JobId = job.Id,
                Text = claimed.Request.Text,
                Tokens = [new("The", 0, 3, 0)],
                Words = [new("The", 0, 3, 0, 0)],
                LensPredicts = "next",
                Layers = [new(0, "embed", [new(5, "pos", "DET", FeatureKind.Lexical, 0.9, 0, 0, 1.25, 2)], [new(0, [new(" old", 0.5)])])],
                Caveats = ["none"],
            };
            Assert.True(desk.Answer(claimed, said));
            using var answer = await answering;
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(JsonSerializer.Serialize(said, Wire.Json), await answer.Content.ReadAsStringAsync(Ct));
        }
    }

    [Fact]
    public async Task The_page_shows_the_answer_with_links_and_what_was_wrong_in_its_place()
    {
        var job = await FinishedAsync();
        using var late = await PageAsync(job, "The old farmer");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
        Assert.Contains("No worker is answering", await late.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        foreach (var (text, said) in new[] { (new string('x', 2001), "at most 2000"), ("   ", "white space"), ("a\0b", "NUL") })
        {
            using var wrong = await PageAsync(job, text);
            Assert.Equal(HttpStatusCode.UnprocessableEntity, wrong.StatusCode);
            Assert.Matches($"""id="inspect-problem"[^§]*{said}""", await wrong.Content.ReadAsStringAsync(Ct));
        }

        using var desk = InspectionDesk.Open(api.Services.GetRequiredService<NpgsqlDataSource>(), "desk");
        var asking = PageAsync(job, "<b>The</b>");
        ClaimedInspection? claimed;
        while ((claimed = desk.TryClaim()) is null)
            await Task.Delay(20, Ct);
        Assert.Equal(("<b>The</b>", "pos"), (claimed.Request.Text, claimed.Request.Task));
        Assert.True(desk.Answer(claimed, new InspectionAnswer
        {
            JobId = job.Id,
            Text = claimed.Request.Text,
            Tokens = [new("<b>", 0, 3, 0), new(" The", 3, 6, 0), new(" cat", 11, 14, 1)],
            Words = [new("<b>The</b>", 0, 10, 0, 1), new("cat", 11, 14, 2, 2, InspectedWord.AttentionSink)],
            LensPredicts = "next",
            Layers = [new(0, "embed", [new(5, "pos", "DET", FeatureKind.Lexical, 0.9, 0, 0, 1.25, 2), new(6, "pos", "DET", FeatureKind.Lexical, 0.9, 0, 0, 0.2, 2)],
                [new(0, [new("never", 0.1)]), new(1, [new(" old", 0.5)])])],
            Caveats = ["a caveat"],
        }));
        using var answer = await asking;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var page = await answer.Content.ReadAsStringAsync(Ct);
        Assert.DoesNotContain("<b>The", page, StringComparison.Ordinal);
        page = WebUtility.HtmlDecode(page);
        Assert.Matches($"""href="/jobs/{job.Id}/layers/0/features/5" style="--v: 0.625"[^>]*><bdi>DET</bdi> ×2<""", page);
        // The lens is read at the last token where none is named.
        Assert.Contains("␣old", page, StringComparison.Ordinal);
        Assert.DoesNotContain("never", page, StringComparison.Ordinal);
        Assert.Contains("a caveat", page, StringComparison.Ordinal);
        Assert.Contains("attention sink, left out", page, StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> PageAsync(Job job, string text)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/jobs/{job.Id}/inspect?text={Uri.EscapeDataString(text)}");
        request.Headers.Add("Accept", "text/html");
        return await api.Submitter.SendAsync(request, Ct);
    }

    private async Task<List<Guid>> RowsAsync()
    {
        await using var db = api.Database();
        return await db.Inspections.Select(x => x.Id).ToListAsync(Ct);
    }
}
