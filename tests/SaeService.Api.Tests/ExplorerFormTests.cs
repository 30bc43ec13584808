using System.Net;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>What the pages' forms do without a script, and who may send them.</summary>
public sealed partial class ExplorerFormTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_form_makes_the_job_that_its_fields_say_and_leads_to_it()
    {
        using var answer = await SendAsync(api.Submitter, "/jobs", ("model.id", "tiny"), ("dataset.id", "mini"), ("tasks", "pos"), ("tasks", " dep , pos2"), ("tasks", ""),
            ("layers", "0, 1-2"), ("mode", "quick"), ("sae.k", ""), ("seed", "7"));
        // pos2 is no task of it: the list of the other tasks is read too, and everything else is kept in the form.
        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        var refused = await answer.Content.ReadAsStringAsync(Ct);
        Assert.Contains("value=\"tiny\"", refused, StringComparison.Ordinal);
        Assert.Matches("""id="f-tasks-error" data-error-for="tasks">[^<]*pos2""", refused);
        Assert.Matches("""name="seed"[^>]*value="7"[^>]*""", refused);

        using var sent = await SendAsync(api.Submitter, "/jobs", ("model.id", "tiny"), ("dataset.id", "mini"), ("tasks", "pos"), ("layers", "0, 1-2"), ("mode", "quick"), ("sae.k", ""), ("seed", "7"));
        Assert.Equal(HttpStatusCode.SeeOther, sent.StatusCode);
        var job = await JobAtAsync(sent);
        Assert.Equal(["pos"], job.Request.Tasks!);
        Assert.Equal([0, 1, 2], job.Request.Layers!.Layers!);
        Assert.Equal("quick", job.Request.Mode);
        Assert.Equal(7, job.Request.Seed);
    }

    [Theory]
    [InlineData("model.id", "", "is required")]
    [InlineData("model.id", "nowhere", "nowhere")]
    [InlineData("sae.k", "many", "must be a whole number")]
    [InlineData("sae.k", "100000", "more than d_sae")]
    [InlineData("layers", "first", "is no layer")]
    [InlineData("layers", "9", "9 is not a layer")]
    [InlineData("layers", "0-99999999999", "is no layer")]
    [InlineData("dataset.split", "nights", "is not a split")]
    [InlineData("mode", "<script>alert(1)</script>", "is not known")]
    public async Task What_is_wrong_stands_at_its_field(string field, string value, string message)
    {
        var fields = new Dictionary<string, string> { ["model.id"] = "tiny", ["dataset.id"] = "mini", [field] = value };
        using var answer = await SendAsync(api.Submitter, "/jobs", [.. fields.Select(x => (x.Key, x.Value))]);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        var page = await answer.Content.ReadAsStringAsync(Ct);
        Assert.Matches($"""data-error-for="{Regex.Escape(field)}">[^<]*{Regex.Escape(message)}""", page);
        Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_form_sent_twice_is_one_job()
    {
        (string, string)[] form = [("model.id", "tiny"), ("dataset.id", "mini"), ("idempotency_key", Guid.NewGuid().ToString("N"))];
        using var first = await SendAsync(api.Submitter, "/jobs", form);
        using var second = await SendAsync(api.Submitter, "/jobs", form);
        Assert.Equal(HttpStatusCode.SeeOther, second.StatusCode);
        Assert.Equal(first.Headers.Location, second.Headers.Location);
    }

    [Fact]
    public async Task Jobs_are_cancelled_tried_again_and_deleted_by_forms()
    {
        var job = await api.SubmitAsync();
        using var cancelled = await SendAsync(api.Submitter, $"/jobs/{job.Id}/cancel");
        Assert.Equal(JobStatus.Cancelled, (await JobAtAsync(cancelled)).Status);
        using var again = await SendAsync(api.Submitter, $"/jobs/{job.Id}/retry");
        Assert.Equal(2, (await JobAtAsync(again)).Attempt);

        // What the state does not allow is said on a page.
        using var early = await SendAsync(api.Submitter, $"/jobs/{job.Id}/delete");
        Assert.Equal(HttpStatusCode.Conflict, early.StatusCode);
        Assert.Contains("cancel it first", await early.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);

        using var stopped = await SendAsync(api.Submitter, $"/jobs/{job.Id}/cancel");
        using var deleted = await SendAsync(api.Submitter, $"/jobs/{job.Id}/delete");
        Assert.Equal(HttpStatusCode.SeeOther, deleted.StatusCode);
        Assert.Equal("/", deleted.Headers.Location?.ToString());
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Self, Ct), ProblemCodes.NotFound);
    }

    [Fact]
    public async Task Forms_are_taken_from_those_who_may_submit_and_from_pages_of_this_service_only()
    {
        var job = await api.SubmitAsync();
        foreach (var path in new[] { "/jobs", $"/jobs/{job.Id}/cancel", $"/jobs/{job.Id}/retry", $"/jobs/{job.Id}/delete" })
        {
            using var nobody = await SendAsync(api.Nobody, path, ("model.id", "tiny"), ("dataset.id", "mini"));
            Assert.Equal(HttpStatusCode.Unauthorized, nobody.StatusCode);
            using var reader = await SendAsync(api.Reader, path, ("model.id", "tiny"), ("dataset.id", "mini"));
            Assert.Equal(HttpStatusCode.Forbidden, reader.StatusCode);
            foreach (var foreign in new[] { "https://evil.example", "http://localhost:8080", "null" })
            {
                using var forged = await SendAsync(api.Submitter, path, foreign, ("model.id", "tiny"), ("dataset.id", "mini"));
                Assert.Equal(HttpStatusCode.Forbidden, forged.StatusCode);
            }
        }
        foreach (var path in new[] { "cancel", "retry", "delete" })
        {
            using var other = await SendAsync(api.Other, $"/jobs/{job.Id}/{path}");
            Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
        }
        Assert.Equal(JobStatus.Queued, (await ApiFixture.ReadAsync<Job>(await api.Submitter.GetAsync(job.Urls.Self, Ct))).Status);
        using var own = await SendAsync(api.Submitter, $"/jobs/{job.Id}/cancel", "http://localhost");
        Assert.Equal(HttpStatusCode.SeeOther, own.StatusCode);
    }

    [Fact]
    public async Task Pages_offer_what_their_reader_may_do()
    {
        var job = await api.SubmitAsync();
        var (reader, submitter, admin) = (await PageAsync(api.Reader, "/"), await PageAsync(api.Submitter, "/"), await PageAsync(api.Admin, "/"));
        Assert.DoesNotContain("action=\"/jobs\"", reader, StringComparison.Ordinal);
        Assert.Contains("may look and not submit", reader, StringComparison.Ordinal);
        Assert.Contains("id=\"job-form\"", submitter, StringComparison.Ordinal);
        Assert.DoesNotContain("href=\"/hangfire\"", submitter, StringComparison.Ordinal);
        Assert.Contains("href=\"/hangfire\"", admin, StringComparison.Ordinal);
        // A key in a header is no session to be left.
        Assert.DoesNotContain("/session/end", admin, StringComparison.Ordinal);
        using var signed = new HttpRequestMessage(HttpMethod.Get, "/");
        signed.Headers.Add("Cookie", $"sae_key={api.SubmitKey}");
        Assert.Contains("/session/end", await PageAsync(api.Nobody, signed), StringComparison.Ordinal);

        Assert.Contains($"action=\"/jobs/{job.Id}/cancel\"", await PageAsync(api.Submitter, $"/jobs/{job.Id}"), StringComparison.Ordinal);
        Assert.Contains(job.Id.ToString(), submitter, StringComparison.Ordinal);
        Assert.DoesNotContain(job.Id.ToString(), await PageAsync(api.Other, "/"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_jobs_page_says_where_it_failed_why_and_what_to_do()
    {
        var job = await api.SubmitAsync();
        var problem = ProblemCodes.Create(ProblemCodes.InsufficientResources, "needs <b>more</b> than there is") with { Stage = StageKind.Train, Layer = 1, Kept = "5 of 9 stages", Remedy = "lower sae.d_sae" };
        await using (var db = api.Database())
            await db.Jobs.Where(x => x.Id == job.Id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, JobStatus.Failed)
                .SetProperty(x => x.ErrorJson, System.Text.Json.JsonSerializer.Serialize(problem, Wire.Json)), Ct);
        var page = await PageAsync(api.Submitter, $"/jobs/{job.Id}");
        foreach (var told in new[] { "Failed in stage train of layer 1", "needs &lt;b&gt;more&lt;/b&gt; than there is", "5 of 9 stages", "lower sae.d_sae", $"action=\"/jobs/{job.Id}/retry\"" })
            Assert.Contains(told, page, StringComparison.Ordinal);
        Assert.DoesNotContain("data-alive", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Finished_jobs_are_listed_with_their_result_offered_as_data_and_compared()
    {
        var (left, right) = (await api.SubmitAsync(), await api.SubmitAsync(""","seed":1"""));
        await FinishedJob.FinishAsync(api, left);
        await FinishedJob.FinishAsync(api, right);
        await using (var db = api.Database())
        {
            db.Cells.Add(new CellRow { JobId = left.Id, Layer = 1, Task = "pos", Label = "NOUN", Status = CellStatus.Established });
            db.Cells.Add(new CellRow { JobId = left.Id, Layer = 1, Task = "pos", Label = "VERB", Status = CellStatus.Suggestive });
            await db.SaveChangesAsync(Ct);
        }
        Assert.Contains("1 of 2 labels established", await PageAsync(api.Submitter, "/?status=succeeded"), StringComparison.Ordinal);
        Assert.DoesNotContain(left.Id.ToString(), await PageAsync(api.Submitter, "/?status=failed"), StringComparison.Ordinal);

        var data = await PageAsync(api.Submitter, $"/jobs/{left.Id}/data");
        foreach (Match link in ExportPattern().Matches(data))
            Assert.Equal(HttpStatusCode.OK, (await api.Submitter.GetAsync(link.Groups[1].Value, Ct)).StatusCode);
        Assert.True(ExportPattern().Count(data) >= 10 + left.Layers.Count);

        var compared = await PageAsync(api.Submitter, $"/compare?left={left.Id}&right={right.Id}");
        Assert.Contains("No label appeared, vanished or moved", compared, StringComparison.Ordinal);
        using var foreign = await GetPageAsync(api.Other, $"/compare?left={left.Id}&right={right.Id}");
        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
    }

    [GeneratedRegex("""href="(/v1/jobs/[^"]*/(?:exports/|layers/)[^"]+)" download""")]
    private static partial Regex ExportPattern();

    private async Task<Job> JobAtAsync(HttpResponseMessage redirect)
    {
        Assert.Equal(HttpStatusCode.SeeOther, redirect.StatusCode);
        Assert.StartsWith("/jobs/", redirect.Headers.Location?.ToString(), StringComparison.Ordinal);
        return await ApiFixture.ReadAsync<Job>(await api.Submitter.GetAsync("/v1" + redirect.Headers.Location, Ct));
    }

    private static async Task<string> PageAsync(HttpClient client, string path)
    {
        using var answer = await GetPageAsync(client, path);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync(Ct);
    }

    private static async Task<string> PageAsync(HttpClient client, HttpRequestMessage request)
    {
        request.Headers.Add("Accept", "text/html");
        using var answer = await client.SendAsync(request, Ct);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync(Ct);
    }

    private static async Task<HttpResponseMessage> GetPageAsync(HttpClient client, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("Accept", "text/html");
        return await client.SendAsync(request, Ct);
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string path, params (string Name, string Value)[] fields) => SendAsync(client, path, null, fields);

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, string path, string? origin, params (string Name, string Value)[] fields)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(fields.Select(x => KeyValuePair.Create(x.Name, x.Value))) };
        request.Headers.Add("Accept", "text/html");
        if (origin is not null)
            request.Headers.Add("Origin", origin);
        return await client.SendAsync(request, Ct);
    }
}
