using System.Net;
using System.Net.Http.Headers;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class JobTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task EndAsync(Guid id, JobStatus status)
    {
        await using var db = api.Database();
        // At once, as the queue does it: who sees the end sees its event.
        await using var transaction = await db.Database.BeginTransactionAsync(Ct);
        await db.Jobs.Where(x => x.Id == id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, status).SetProperty(x => x.FinishedAt, DateTimeOffset.UtcNow), Ct);
        await db.Stages.Where(x => x.JobId == id).ExecuteUpdateAsync(set => set.SetProperty(x => x.Status, status == JobStatus.Succeeded ? StageStatus.Succeeded : StageStatus.Cancelled), Ct);
        db.JobEvents.Add(new JobEventRow { JobId = id, Type = $"job.{status.ToString().ToLowerInvariant()}", At = DateTimeOffset.UtcNow });
        await db.SaveChangesAsync(Ct);
        await transaction.CommitAsync(Ct);
    }

    [Fact]
    public async Task A_job_has_a_tag_that_answers_304_until_something_changes()
    {
        var job = await api.SubmitAsync();
        using var first = await api.Submitter.GetAsync(job.Urls.Self, Ct);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.NotNull(first.Headers.RetryAfter);
        Assert.False(first.Headers.ETag!.IsWeak);
        using var same = await GetAsync(job.Urls.Self, r => r.Headers.IfNoneMatch.Add(first.Headers.ETag));
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        Assert.Empty(await same.Content.ReadAsByteArrayAsync(Ct));
        await EndAsync(job.Id, JobStatus.Failed);
        using var changed = await GetAsync(job.Urls.Self, r => r.Headers.IfNoneMatch.Add(first.Headers.ETag));
        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        Assert.Null(changed.Headers.RetryAfter);
    }

    [Fact]
    public async Task A_job_belongs_to_its_key_and_administrators_see_all()
    {
        var job = await api.SubmitAsync();
        Assert.Equal(HttpStatusCode.OK, (await api.Admin.GetAsync(job.Urls.Self, Ct)).StatusCode);
        foreach (var path in new[] { "", "/events", "/layers", "/layers/0", "/layers/0/features", "/layers/0/features/0", "/layers/0/sae", "/mutual-information", "/profiles", "/exports/layers.json", "/exports/report.html", "/figures", "/figures/heatmap-pos.svg", "/figures/feature-0-0.png" })
            await ApiFixture.ProblemAsync(await api.Other.GetAsync(job.Urls.Self + path, Ct), ProblemCodes.NotFound);
        foreach (var path in new[] { "/cancel", "/retry" })
            await ApiFixture.ProblemAsync(await api.Other.PostAsync(job.Urls.Self + path, null, Ct), ProblemCodes.NotFound);
        await ApiFixture.ProblemAsync(await api.Other.DeleteAsync(job.Urls.Self, Ct), ProblemCodes.NotFound);
        Assert.DoesNotContain((await ListAsync(api.Other, "?limit=200")).Data, j => j.Id == job.Id);
        Assert.Contains((await ListAsync(api.Admin, "?limit=200")).Data, j => j.Id == job.Id);
    }

    [Fact]
    public async Task Lists_are_newest_first_filtered_and_paged_by_links()
    {
        var made = new List<Guid>();
        for (var i = 0; i < 5; i++)
            made.Insert(0, (await api.SubmitAsync($$""","metadata":{"n":"{{i}}"}""", api.Other)).Id);
        var seen = new List<Guid>();
        var next = "/v1/jobs?limit=2&model=tiny";
        while (next is not null)
        {
            using var answer = await api.Other.GetAsync(next, Ct);
            var page = await ApiFixture.ReadAsync<Page<Job>>(answer);
            Assert.Equal("list", page.Object);
            seen.AddRange(page.Data.Select(j => j.Id));
            Assert.Equal(page.HasMore, answer.Headers.Contains("Link"));
            next = page.HasMore ? System.Text.RegularExpressions.Regex.Match(answer.Headers.GetValues("Link").Single(), "^<(.+)>; rel=\"next\"$").Groups[1].Value : null;
            Assert.True(seen.Count < 100);
        }
        Assert.Equal(made, seen.Where(made.Contains));
        Assert.Equal(seen.Count, seen.Distinct().Count());

        await EndAsync(made[0], JobStatus.Succeeded);
        Assert.Contains((await ListAsync(api.Other, "?status=succeeded")).Data, j => j.Id == made[0]);
        Assert.DoesNotContain((await ListAsync(api.Other, "?status=queued&limit=200")).Data, j => j.Id == made[0]);
        Assert.Empty((await ListAsync(api.Other, "?model=sample")).Data);
        foreach (var bad in new[] { "?limit=0", "?limit=201", "?limit=x", "?status=asleep", "?status=0", "?after=zzz" })
            await ApiFixture.ProblemAsync(await api.Other.GetAsync("/v1/jobs" + bad, Ct), ProblemCodes.InvalidParameter);
    }

    [Fact]
    public async Task A_wait_is_answered_by_the_end_of_the_job_or_of_the_time()
    {
        var job = await api.SubmitAsync();
        using var over = await GetAsync(job.Urls.Self, r => r.Headers.Add("Prefer", "wait=1"));
        Assert.Equal("wait=1", over.Headers.GetValues("Preference-Applied").Single());
        Assert.Equal(JobStatus.Queued, (await ApiFixture.ReadAsync<Job>(over)).Status);
        var waiting = GetAsync(job.Urls.Self, r => r.Headers.Add("Prefer", "respond-async, wait=600"));
        await EndAsync(job.Id, JobStatus.Succeeded);
        using var ended = await waiting;
        Assert.Equal("wait=60", ended.Headers.GetValues("Preference-Applied").Single());
        Assert.Equal(JobStatus.Succeeded, (await ApiFixture.ReadAsync<Job>(ended)).Status);
        await ApiFixture.ProblemAsync(await GetAsync(job.Urls.Self, r => r.Headers.Add("Prefer", "wait=soon")), ProblemCodes.InvalidParameter);
    }

    [Fact]
    public async Task Cancel_is_idempotent_retry_starts_again_and_delete_wants_an_end()
    {
        var job = await api.SubmitAsync();
        await ApiFixture.ProblemAsync(await api.Submitter.DeleteAsync(job.Urls.Self, Ct), ProblemCodes.Conflict);
        await ApiFixture.ProblemAsync(await api.Submitter.PostAsync(job.Urls.Retry, null, Ct), ProblemCodes.Conflict);
        for (var i = 0; i < 2; i++)
        {
            using var cancelled = await api.Submitter.PostAsync(job.Urls.Cancel, null, Ct);
            Assert.Equal(HttpStatusCode.Accepted, cancelled.StatusCode);
            Assert.Equal(JobStatus.Cancelled, (await ApiFixture.ReadAsync<Job>(cancelled)).Status);
        }
        using var retried = await api.Submitter.PostAsync(job.Urls.Retry, null, Ct);
        var again = await ApiFixture.ReadAsync<Job>(retried);
        Assert.Equal((HttpStatusCode.Accepted, JobStatus.Queued, 2), (retried.StatusCode, again.Status, again.Attempt));
        await EndAsync(job.Id, JobStatus.Succeeded);
        await ApiFixture.ProblemAsync(await api.Submitter.PostAsync(job.Urls.Cancel, null, Ct), ProblemCodes.Conflict);
        Assert.Equal(HttpStatusCode.NoContent, (await api.Submitter.DeleteAsync(job.Urls.Self, Ct)).StatusCode);
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Self, Ct), ProblemCodes.NotFound);
    }

    [Fact]
    public async Task Events_come_as_pages()
    {
        var job = await api.SubmitAsync();
        await AddEventsAsync(job.Id, 4);
        var first = await ApiFixture.ReadAsync<Page<JobEvent>>(await api.Submitter.GetAsync(job.Urls.Events + "?limit=3", Ct));
        Assert.True(first.HasMore);
        Assert.Equal("job.queued", first.Data[0].Type);
        var rest = await ApiFixture.ReadAsync<Page<JobEvent>>(await api.Submitter.GetAsync($"{job.Urls.Events}?after={first.NextAfter}", Ct));
        Assert.False(rest.HasMore);
        Assert.Equal(5, first.Data.Concat(rest.Data).Select(e => e.Id).Distinct().Count());
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Events + "?after=-1", Ct), ProblemCodes.InvalidParameter);
        await ApiFixture.ProblemAsync(await api.Submitter.GetAsync(job.Urls.Events + "?limit=0", Ct), ProblemCodes.InvalidParameter);
    }

    [Fact]
    public async Task The_stream_resumes_after_the_last_event_and_ends_with_the_job()
    {
        var job = await api.SubmitAsync();
        await AddEventsAsync(job.Id, 3);
        var stream = await OpenStreamAsync(job.Urls.Events, null);
        Assert.Equal("no", stream.Answer.Headers.GetValues("X-Accel-Buffering").Single());
        var begun = await ReadEventsAsync(stream.Lines, 2);
        stream.Answer.Dispose(); // the line breaks

        var resumed = await OpenStreamAsync(job.Urls.Events, begun[1].Id);
        var rest = await ReadEventsAsync(resumed.Lines, 2);
        await EndAsync(job.Id, JobStatus.Cancelled); // while the stream is open
        rest.AddRange(await ReadEventsAsync(resumed.Lines, 100));
        Assert.Equal("job.cancelled", rest[^1].Type);
        var ids = begun.Concat(rest).Select(e => long.Parse(e.Id, null)).ToList();
        Assert.Equal(5, ids.Count);
        Assert.Equal(ids.Order().Distinct(), ids);

        // An EventSource that comes back is told to stop.
        using var over = await GetAsync(job.Urls.Events, r =>
        {
            r.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
            r.Headers.Add("Last-Event-ID", rest[^1].Id);
        });
        Assert.Equal(HttpStatusCode.NoContent, over.StatusCode);
    }

    private async Task AddEventsAsync(Guid job, int count)
    {
        await using var db = api.Database();
        for (var i = 0; i < count; i++)
            db.JobEvents.Add(new JobEventRow { JobId = job, Type = "stage.progress", At = DateTimeOffset.UtcNow, Message = $"two\nlines {i}" });
        await db.SaveChangesAsync(Ct);
    }

    private async Task<(HttpResponseMessage Answer, StreamReader Lines)> OpenStreamAsync(string path, string? last)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (last is not null)
            request.Headers.Add("Last-Event-ID", last);
        var answer = await api.Submitter.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        return (answer, new StreamReader(await answer.Content.ReadAsStreamAsync(Ct)));
    }

    private static async Task<List<(string Id, string Type, string Data)>> ReadEventsAsync(StreamReader lines, int most)
    {
        var events = new List<(string, string, string)>();
        string id = "", type = "", data = "";
        while (events.Count < most && await lines.ReadLineAsync(Ct) is { } line)
            if (line.StartsWith("id: ", StringComparison.Ordinal))
                id = line[4..];
            else if (line.StartsWith("event: ", StringComparison.Ordinal))
                type = line[7..];
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
                data = line[6..];
            else if (line.Length == 0 && data.Length > 0)
            {
                events.Add((id, type, data));
                data = "";
            }
        return events;
    }

    private async Task<HttpResponseMessage> GetAsync(string path, Action<HttpRequestMessage> with)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        with(request);
        return await api.Submitter.SendAsync(request, Ct);
    }

    private static async Task<Page<Job>> ListAsync(HttpClient client, string query) => await ApiFixture.ReadAsync<Page<Job>>(await client.GetAsync("/v1/jobs" + query, Ct));
}
