using System.Net;
using SaeService.Contracts;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>Small limits: three queued jobs a key, and bursts of twelve requests.</summary>
public sealed class TightFixture : ApiFixture
{
    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>
    {
        ["Limits:QueuedJobsPerKey"] = "3",
        ["Limits:RequestBurst"] = "12",
        ["Limits:RequestsPerSecond"] = "1",
    };
}

public sealed class LimitTests(TightFixture api) : IClassFixture<TightFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_has_so_many_jobs_in_the_queue()
    {
        for (var i = 0; i < 3; i++)
            await api.SubmitAsync();
        using var refused = await api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json("""{"model":{"id":"tiny"},"dataset":{"id":"mini"}}"""), Ct);
        await ApiFixture.ProblemAsync(refused, ProblemCodes.TooManyQueuedJobs);
        Assert.NotNull(refused.Headers.RetryAfter?.Delta);
        await api.SubmitAsync(client: api.Admin); // another key's queue is its own
    }

    [Fact]
    public async Task Requests_of_one_key_are_slowed_down_and_told_when_to_come_back()
    {
        var answers = new List<HttpResponseMessage>();
        for (var i = 0; i < 40; i++)
            answers.Add(await api.Reader.GetAsync("/v1/jobs", Ct));
        Assert.Equal(HttpStatusCode.OK, answers[0].StatusCode);
        var refused = answers.First(a => a.StatusCode == HttpStatusCode.TooManyRequests);
        await ApiFixture.ProblemAsync(refused, ProblemCodes.RateLimited);
        Assert.True(refused.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        // Others, and the liveness probe, are not held up.
        Assert.Equal(HttpStatusCode.OK, (await api.Other.GetAsync("/v1/jobs", Ct)).StatusCode);
        for (var i = 0; i < 40; i++)
            Assert.Equal(HttpStatusCode.OK, (await api.Nobody.GetAsync("/healthz/live", Ct)).StatusCode);
    }
}

public sealed class OpenFixture : ApiFixture
{
    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string> { ["Access:Mode"] = "open" };
}

public sealed class OpenModeTests(OpenFixture api) : IClassFixture<OpenFixture>
{
    [Theory]
    [InlineData(null, null, true)]
    [InlineData("Origin", "http://localhost:5000", true)]
    [InlineData("Origin", "https://evil.example", false)]
    [InlineData("Origin", "null", false)]
    [InlineData("Host", "evil.example", false)] // a name bound to 127.0.0.1 by another's DNS
    [InlineData("Host", "127.0.0.1:8080", true)]
    [InlineData("Host", "[::1]:8080", true)]
    [InlineData("X-Forwarded-For", "203.0.113.9", false)]
    public async Task The_open_mode_answers_this_machine_and_its_own_pages_only(string? header, string? value, bool allowed)
    {
        foreach (var path in new[] { "/v1/jobs", "/hangfire", "/swagger/index.html" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            if (header is not null)
                request.Headers.TryAddWithoutValidation(header, value);
            using var answer = await api.Nobody.SendAsync(request, TestContext.Current.CancellationToken);
            if (allowed)
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            else
                await ApiFixture.ProblemAsync(answer, ProblemCodes.Unauthorized);
        }
    }

    [Fact]
    public async Task Jobs_of_the_open_mode_belong_to_nobody_and_are_seen()
    {
        var job = await api.SubmitAsync(client: api.Nobody);
        Assert.Equal(HttpStatusCode.OK, (await api.Nobody.GetAsync(job.Urls.Self, TestContext.Current.CancellationToken)).StatusCode);
    }
}
