using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Requests;
using SaeService.Api.Webhooks;
using SaeService.Contracts;
using SaeService.Sources;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>What is accepted as a webhook, and what of it is ever told.</summary>
public sealed class WebhookRequestTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string KeyPart = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("\"url\":\"http://example.org/hook\"", "$.webhook.url")]
    [InlineData("\"url\":\"ftp://example.org/hook\"", "$.webhook.url")]
    [InlineData("\"url\":\"file:///etc/passwd\"", "$.webhook.url")]
    [InlineData("\"url\":\"/hook\"", "$.webhook.url")]
    [InlineData("\"url\":\"example.org/hook\"", "$.webhook.url")]
    [InlineData("\"url\":\"\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://user:pass@example.org/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://user@example.org/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://example.org/a\\u0000b\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://example.org/a\\r\\nb\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://127.0.0.1/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://0x7f.1/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://2130706433/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://[::1]:8080/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://[::ffff:10.0.0.1]/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://169.254.169.254/latest/meta-data\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://localhost/\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://a.LOCALHOST./\"", "$.webhook.url")]
    [InlineData("\"url\":\"https://example.org/\",\"secret\":\"" + KeyPart + "\"", "$.webhook.secret")]
    [InlineData("\"url\":\"https://example.org/\",\"secret\":\"whsec_" + KeyPart + "=\"", "$.webhook.secret")]
    [InlineData("\"url\":\"https://example.org/\",\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa0=\"", "$.webhook.secret")] // 23 bytes
    [InlineData("\"url\":\"https://example.org/\",\"secret\":\"whsec_" + KeyPart + KeyPart + KeyPart + "\"", "$.webhook.secret")] // 72 bytes
    [InlineData("\"url\":\"https://example.org/\",\"secret\":\"whsec_ " + KeyPart + "\"", "$.webhook.secret")]
    [InlineData("\"url\":\"https://example.org/\",\"secret\":\"\"", "$.webhook.secret")]
    [InlineData("\"url\":7", "$.webhook.url")]
    [InlineData("\"secret\":\"" + Secret + "\"", "$.webhook.url")]
    public async Task What_can_not_be_sent_to_is_refused_and_the_secret_not_repeated(string members, string path)
    {
        using var answer = await api.Submitter.PostAsync("/v1/jobs", ApiFixture.Json("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"webhook":{""" + members + "}}"), Ct);
        var problem = await ApiFixture.ProblemAsync(answer, ProblemCodes.InvalidRequest);
        Assert.Equal([path], problem.Errors!.Keys);
        Assert.DoesNotContain(KeyPart, await answer.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_url_of_two_thousand_characters_is_accepted_and_one_more_is_not()
    {
        const string Start = "https://example.org/";
        await api.SubmitAsync($",\"webhook\":{{\"url\":\"{Start}{new string('x', 2000 - Start.Length)}\"}}");
        using var answer = await api.Submitter.PostAsync("/v1/jobs",
            ApiFixture.Json($$$"""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"webhook":{"url":"{{{Start}}}{{{new string('x', 2001 - Start.Length)}}}"}}"""), Ct);
        await ApiFixture.ProblemAsync(answer, ProblemCodes.InvalidRequest);
    }

    [Fact]
    public async Task The_secret_is_in_no_answer()
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/jobs")
        {
            Content = ApiFixture.Json("""{"model":{"id":"tiny"},"dataset":{"id":"mini"},"webhook":{"url":"https://receiver.invalid/hook","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}"""),
        };
        request.Headers.TryAddWithoutValidation("Idempotency-Key", "webhook-1");
        using var accepted = await api.Submitter.SendAsync(request, Ct);
        var text = await accepted.Content.ReadAsStringAsync(Ct);
        Assert.Equal("https://receiver.invalid/hook", (string)JsonNode.Parse(text)!["request"]!["webhook"]!["url"]!);
        var job = await ApiFixture.ReadAsync<Job>(accepted);
        Assert.Null(job.Request.Webhook!.Secret);

        await FinishedJob.FinishAsync(api, job);
        var said = new List<string> { text };
        foreach (var part in new[] { "", "/events", "/layers", "/layers/1", "/profiles", "/mutual-information", "/exports/layers.json", "/exports/split.json" })
        {
            using var answer = await api.Submitter.GetAsync(job.Urls.Self + part, Ct);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            said.Add(await answer.Content.ReadAsStringAsync(Ct));
        }
        said.Add(await api.Admin.GetStringAsync("/v1/jobs", Ct));
        said.Add(await api.Reader.GetStringAsync("/metrics", Ct));
        Assert.All(said, s => Assert.DoesNotContain(KeyPart, s, StringComparison.Ordinal));
        // It is kept, or nothing could be signed.
        await using var db = api.Database();
        Assert.Contains(KeyPart, (await db.Jobs.SingleAsync(x => x.Id == job.Id, Ct)).RequestJson, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://example.org/hook?token=x", false, true)]
    [InlineData("https://bücher.example/", false, true)]
    [InlineData("https://8.8.8.8:8443/", false, true)]
    [InlineData("https://[2606:4700::1111]/", false, true)]
    [InlineData("http://127.0.0.1:5000/", true, true)]
    [InlineData("http://localhost:5000/", true, true)]
    [InlineData("ftp://127.0.0.1/", true, false)]
    [InlineData("http://u@127.0.0.1/", true, false)]
    [InlineData("https://xn--/", false, true)] // fails when it is sent to, without harm
    public void Addresses_are_judged_by_what_is_allowed(string url, bool allowPrivate, bool good)
    {
        var errors = new RequestErrors();
        WebhookTarget.Check(new WebhookReference(url), allowPrivate, errors);
        Assert.Equal(good, !errors.Any);
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("172.15.0.1", true)]
    [InlineData("172.32.0.1", true)]
    [InlineData("100.63.255.255", true)]
    [InlineData("2001:4860:4860::8888", true)]
    [InlineData("64:ff9b::808:808", true)] // 8.8.8.8 through NAT64
    [InlineData("0.0.0.0", false)]
    [InlineData("10.255.255.255", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("127.255.0.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("172.16.0.1", false)]
    [InlineData("172.31.255.255", false)]
    [InlineData("192.168.1.1", false)]
    [InlineData("198.19.0.1", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("::", false)]
    [InlineData("::1", false)]
    [InlineData("::127.0.0.1", false)]
    [InlineData("::ffff:8.8.8.8", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("::ffff:169.254.169.254", false)]
    [InlineData("64:ff9b::a00:1", false)] // 10.0.0.1 through NAT64
    [InlineData("fe80::1", false)]
    [InlineData("fec0::1", false)]
    [InlineData("fc00::1", false)]
    [InlineData("fd12:3456::1", false)]
    [InlineData("ff02::1", false)]
    [InlineData("2001:0:53aa:64c::1", false)] // Teredo
    [InlineData("2001:db8::1", false)]
    [InlineData("2002:7f00:1::1", false)] // 127.0.0.1 by 6to4
    public void Public_addresses_are_told_from_all_others(string address, bool isPublic) => Assert.Equal(isPublic, PublicAddress.Is(IPAddress.Parse(address)));

    [Fact]
    public void Signatures_are_those_of_the_specification_s_reference() =>
        Assert.Equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            WebhookSignature.Sign(WebhookSignature.KeyOf(Secret)!, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, """{"test": 2432232314}"""));
}

public sealed class PrivateWebhookFixture : ApiFixture
{
    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string> { ["Webhooks:AllowPrivate"] = "true" };
}

public sealed class WebhookEndToEndTests(PrivateWebhookFixture api) : IClassFixture<PrivateWebhookFixture>
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_end_of_a_job_reaches_the_receiver_with_what_the_client_gave()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var job = await api.SubmitAsync($$$""","metadata":{"note":"n1"},"webhook":{"url":"{{{receiver.Url}}}","secret":"{{{Secret}}}"}""");
        using var cancelled = await api.Submitter.PostAsync(job.Urls.Cancel, null, Ct);
        Assert.True(cancelled.IsSuccessStatusCode);

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        patience.CancelAfter(TimeSpan.FromSeconds(60));
        var got = await receiver.NextAsync(patience.Token);
        var body = JsonNode.Parse(got.Body)!;
        Assert.Equal("job.cancelled", (string)body["type"]!);
        Assert.Equal((job.Id.ToString(), "cancelled", "n1"), ((string)body["data"]!["id"]!, (string)body["data"]!["status"]!, (string)body["data"]!["metadata"]!["note"]!));
        Assert.Equal(WebhookSignature.Sign(WebhookSignature.KeyOf(Secret)!, got.Id!, long.Parse(got.Timestamp!, CultureInfo.InvariantCulture), got.Body), got.Signature);
    }
}
