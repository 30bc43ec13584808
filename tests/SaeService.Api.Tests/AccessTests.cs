using System.Net;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class AccessTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    [Fact]
    public async Task Every_endpoint_but_live_and_style_is_closed_without_a_key()
    {
        var endpoints = api.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().ToList();
        Assert.True(endpoints.Count > 25);
        foreach (var endpoint in endpoints)
        {
            var path = "/" + System.Text.RegularExpressions.Regex.Replace(endpoint.RoutePattern.RawText!.TrimStart('/'), @"\{\*{0,2}(\w+)(:\w+)?\}",
                m => m.Groups[2].Value == ":guid" ? Guid.Empty.ToString() : "1");
            foreach (var method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), path);
                if (method is "POST" or "PUT")
                    request.Content = path == "/v1/datasets/1" ? new StringContent("x") : ApiFixture.Json("{}");
                using var answer = await api.Nobody.SendAsync(request, TestContext.Current.CancellationToken);
                if (path == "/healthz/live")
                    Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                else if (path == "/assets/1/1") // the page that asks for a key has a style too
                    Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
                else
                    Assert.True(answer.StatusCode == HttpStatusCode.Unauthorized, $"{method} {path} answered {(int)answer.StatusCode}");
            }
        }
    }

    [Theory]
    [InlineData("/swagger/index.html")]
    [InlineData("/swagger")]
    [InlineData("/openapi.json")]
    [InlineData("/hangfire")]
    [InlineData("/hangfire/jobs/enqueued")]
    [InlineData("/healthz/ready")]
    [InlineData("/metrics")]
    [InlineData("/")]
    [InlineData("/nothing/here")]
    public async Task Pages_and_unknown_addresses_are_closed_too(string path)
    {
        using var answer = await api.Nobody.GetAsync(path, TestContext.Current.CancellationToken);
        await ApiFixture.ProblemAsync(answer, ProblemCodes.Unauthorized);
        Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.Single().Scheme);
    }

    [Theory]
    [InlineData("GET", "/v1/jobs", "read", true)]
    [InlineData("POST", "/v1/jobs", "read", false)]
    [InlineData("PUT", "/v1/datasets/x", "read", false)]
    [InlineData("DELETE", "/v1/datasets/x", "read", false)]
    [InlineData("POST", "/v1/models", "read", false)]
    [InlineData("POST", "/v1/jobs/00000000-0000-0000-0000-000000000000/cancel", "read", false)]
    [InlineData("POST", "/v1/jobs/00000000-0000-0000-0000-000000000000/retry", "read", false)]
    [InlineData("DELETE", "/v1/jobs/00000000-0000-0000-0000-000000000000", "read", false)]
    [InlineData("GET", "/metrics", "read", true)]
    [InlineData("GET", "/healthz/ready", "read", true)]
    [InlineData("GET", "/hangfire", "submit", false)]
    [InlineData("GET", "/hangfire", "admin", true)]
    [InlineData("GET", "/swagger/index.html", "read", true)]
    public async Task A_scope_allows_what_it_says(string method, string path, string scope, bool allowed)
    {
        var client = scope switch { "read" => api.Reader, "submit" => api.Submitter, _ => api.Admin };
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method is "POST" or "PUT")
            request.Content = path.Contains("datasets", StringComparison.Ordinal) ? new StringContent("x") : ApiFixture.Json("{}");
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        if (allowed)
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        else
            await ApiFixture.ProblemAsync(answer, ProblemCodes.Forbidden);
    }

    [Fact]
    public async Task A_key_is_recognised_in_both_headers_and_refused_when_wrong_or_revoked()
    {
        var ct = TestContext.Current.CancellationToken;
        var keys = api.Services.GetRequiredService<ApiKeys>();
        var (row, key) = await keys.CreateAsync("short-lived", "read", ct);
        Assert.Matches("^sae_[0-9A-Za-z]{43}$", key);
        Assert.StartsWith(row.Prefix, key, StringComparison.Ordinal);

        var client = api.Client(null);
        client.DefaultRequestHeaders.Add("x-api-key", key);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/models", ct)).StatusCode);
        var listed = Assert.Single(await keys.ListAsync(ct), k => k.Id == row.Id);
        Assert.NotNull(listed.LastUsedAt);
        Assert.DoesNotContain(key, System.Text.Encoding.UTF8.GetString(listed.Sha256), StringComparison.Ordinal);

        Assert.NotNull(await keys.RevokeAsync(row.Prefix, ct));
        await ApiFixture.ProblemAsync(await client.GetAsync("/v1/models", ct), ProblemCodes.Unauthorized);
        foreach (var wrong in new[] { "", "sae_", "nonsense", key[..^1] + (key[^1] == 'a' ? 'b' : 'a'), new string('x', 100_00) })
            await ApiFixture.ProblemAsync(await api.Client(wrong.Length == 0 ? null : wrong).GetAsync("/v1/models", ct), ProblemCodes.Unauthorized);
        Assert.Null(await keys.RevokeAsync("nobody's", ct));
        await Assert.ThrowsAsync<ArgumentException>(() => keys.CreateAsync("x", "root", ct));
    }

    [Fact]
    public async Task A_browser_signs_in_with_a_form_and_gets_a_cookie_that_no_script_reads()
    {
        var ct = TestContext.Current.CancellationToken;
        using var page = new HttpRequestMessage(HttpMethod.Get, "/swagger/index.html");
        page.Headers.Add("Accept", "text/html");
        using var asked = await api.Nobody.SendAsync(page, ct);
        Assert.Equal(HttpStatusCode.Unauthorized, asked.StatusCode);
        Assert.Contains("action=\"/session\"", await asked.Content.ReadAsStringAsync(ct), StringComparison.Ordinal);

        using var wrong = await api.Nobody.PostAsync("/session", Form("sae_wrong", "/swagger/"), ct);
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        Assert.False(wrong.Headers.Contains("Set-Cookie"));

        using var right = await api.Nobody.PostAsync("/session", Form(api.SubmitKey, "/swagger/index.html"), ct);
        Assert.Equal(HttpStatusCode.Redirect, right.StatusCode);
        Assert.Equal("/swagger/index.html", right.Headers.Location?.ToString());
        var cookie = right.Headers.GetValues("Set-Cookie").Single();
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);

        var browser = api.Client(null);
        browser.DefaultRequestHeaders.Add("Cookie", cookie.Split(';')[0]);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/swagger/index.html", ct)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/v1/jobs", ct)).StatusCode);
        await ApiFixture.ProblemAsync(await browser.GetAsync("/hangfire", ct), ProblemCodes.Forbidden);

        foreach (var foreign in new[] { "https://evil.example/", "//evil.example/", "/\\evil.example" })
        {
            using var sent = await api.Nobody.PostAsync("/session", Form(api.SubmitKey, foreign), ct);
            Assert.Equal("/", sent.Headers.Location?.ToString());
        }
    }

    [Fact]
    public async Task Answers_carry_the_security_headers()
    {
        using var answer = await api.Reader.GetAsync("/v1/models", TestContext.Current.CancellationToken);
        Assert.Equal("nosniff", answer.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Contains("frame-ancestors 'none'", answer.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal("same-origin", answer.Headers.GetValues("Referrer-Policy").Single());
        Assert.True(answer.Headers.CacheControl?.NoStore);
    }

    private static FormUrlEncodedContent Form(string key, string next) => new(new Dictionary<string, string> { ["api_key"] = key, ["next"] = next });
}
