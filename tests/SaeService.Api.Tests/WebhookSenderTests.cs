using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using SaeService.Api.Webhooks;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>The sender against real receivers and a real Postgres, a round at a time.</summary>
public sealed class WebhookSenderTests : IAsyncLifetime
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string Payload = """{"type":"job.succeeded","data":{"note":"ärger 😀"}}""";
    private TestDatabase _database = null!;
    private ServiceProvider _services = null!;
    private WebhookReceiver _receiver = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _database = await TestCluster.CreateDatabaseAsync(HangfireSetup.MigrateAsync);
        _services = new ServiceCollection().AddSaeStorage(_database.ConnectionString).BuildServiceProvider();
        _receiver = await WebhookReceiver.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _receiver.DisposeAsync();
        await _services.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task A_delivery_is_posted_once_signed_over_what_was_sent()
    {
        var id = await AddAsync(_receiver.Url, Secret);
        var before = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Assert.Equal(1, await Sender().SendDueAsync(Ct));
        Assert.Equal(0, await Sender().SendDueAsync(Ct));

        var got = Assert.Single(_receiver.All);
        Assert.Equal(("POST", "/hook?token=t1", "application/json; charset=utf-8", Payload), (got.Method, got.Path, got.ContentType, got.Body));
        Assert.Equal(id.ToString(), got.Id);
        var timestamp = long.Parse(got.Timestamp!, CultureInfo.InvariantCulture);
        Assert.InRange(timestamp, before, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        Assert.Equal(WebhookSignature.Sign(WebhookSignature.KeyOf(Secret)!, got.Id!, timestamp, got.Body), got.Signature);

        var row = await RowAsync(id);
        Assert.NotNull(row.DeliveredAt);
        Assert.Equal((1, null, null, null), (row.Attempts, row.GaveUpAt, row.LastError, row.Secret));
    }

    [Fact]
    public async Task Without_a_secret_it_is_not_signed()
    {
        await AddAsync(_receiver.Url, null);
        await Sender().SendDueAsync(Ct);
        Assert.Null(Assert.Single(_receiver.All).Signature);
    }

    [Fact]
    public async Task A_failure_is_tried_again_later_under_the_same_id_and_signed_anew()
    {
        _receiver.Answer(500);
        var id = await AddAsync(_receiver.Url, Secret);
        await Sender().SendDueAsync(Ct);
        var row = await RowAsync(id);
        Assert.Equal((1, "answered 500", null, Secret), (row.Attempts, row.LastError, row.DeliveredAt, row.Secret));
        Assert.True(row.NextAttemptAt > row.CreatedAt);
        Assert.Equal(0, await Sender().SendDueAsync(Ct)); // not yet due

        await MakeDueAsync(id);
        Assert.Equal(1, await Sender().SendDueAsync(Ct));
        Assert.Equal([id.ToString(), id.ToString()], _receiver.All.Select(r => r.Id));
        row = await RowAsync(id);
        Assert.Equal((2, null), (row.Attempts, row.LastError));
        Assert.NotNull(row.DeliveredAt);
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using var inside = await WebhookReceiver.StartAsync();
        foreach (var status in new[] { 301, 302, 307, 308 })
            _receiver.Answer(status, response => response.Headers.Location = inside.Url);
        for (var i = 0; i < 4; i++)
        {
            var id = await AddAsync(_receiver.Url, Secret);
            await Sender().SendDueAsync(Ct);
            Assert.Contains("redirects are not followed", (await RowAsync(id)).LastError!, StringComparison.Ordinal);
        }
        Assert.Equal(4, _receiver.All.Count);
        Assert.Empty(inside.All);
    }

    [Fact]
    public async Task A_receiver_that_does_not_answer_or_is_not_there_is_a_failure_that_says_so()
    {
        var release = new TaskCompletionSource();
        _receiver.Answers.Enqueue(_ => release.Task);
        var silent = await AddAsync(_receiver.Url, null);
        await Sender(new WebhookOptions { AllowPrivate = true, Timeout = TimeSpan.FromMilliseconds(300) }).SendDueAsync(Ct);
        release.SetResult();
        Assert.Equal("did not answer within 0.3 seconds", (await RowAsync(silent)).LastError);

        using var closed = new TcpListener(IPAddress.Loopback, 0);
        closed.Start();
        var port = ((IPEndPoint)closed.LocalEndpoint).Port;
        closed.Stop();
        var gone = await AddAsync($"http://127.0.0.1:{port}/", null);
        await Sender().SendDueAsync(Ct);
        Assert.Contains("refused", (await RowAsync(gone)).LastError!, StringComparison.OrdinalIgnoreCase);

        var nowhere = await AddAsync("http://receiver.example/", null);
        await Sender(resolve: (_, _) => throw new SocketException((int)SocketError.HostNotFound)).SendDueAsync(Ct);
        Assert.NotNull((await RowAsync(nowhere)).LastError);
    }

    [Fact]
    public async Task After_a_day_it_is_given_up_and_at_410_at_once()
    {
        _receiver.Answer(503);
        var old = await AddAsync(_receiver.Url, Secret, age: TimeSpan.FromHours(24));
        await Sender().SendDueAsync(Ct);
        _receiver.Answer(410);
        var unwanted = await AddAsync(_receiver.Url, Secret);
        await Sender().SendDueAsync(Ct);
        foreach (var id in new[] { old, unwanted })
        {
            var row = await RowAsync(id);
            Assert.NotNull(row.GaveUpAt);
            Assert.Equal((null, null), (row.DeliveredAt, row.Secret));
        }
        Assert.Equal(0, await Sender().SendDueAsync(Ct));
        Assert.Equal(2, _receiver.All.Count);
    }

    [Fact]
    public void Waits_grow_to_hours_and_differ_between_deliveries()
    {
        var options = new WebhookOptions();
        var ids = Enumerable.Range(0, 50).Select(_ => Guid.CreateVersion7()).ToList();
        Assert.True(ids.Select(id => options.DelayAfter(id, 1)).Distinct().Count() > 40);
        foreach (var id in ids)
        {
            var waits = Enumerable.Range(1, 12).Select(attempt => options.DelayAfter(id, attempt)).ToList();
            Assert.InRange(waits[0].TotalSeconds, 4, 6);
            Assert.InRange(waits[3].TotalSeconds, 108, 162); // 5 x 27, a fifth more or less
            Assert.All(waits, wait => Assert.InRange(wait.TotalHours, 0, 4.8));
            Assert.InRange(waits.Aggregate(TimeSpan.Zero, (sum, wait) => sum + wait).TotalHours, 16, 25); // twelve of them fill the day
        }
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.1.2.3")]
    [InlineData("169.254.169.254")] // metadata of clouds
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("fd00::1")]
    public async Task A_name_that_leads_inside_is_not_connected_to(string address)
    {
        using var inside = new TcpListener(IPAddress.Loopback, 0);
        inside.Start();
        var id = await AddAsync($"https://receiver.example:{((IPEndPoint)inside.LocalEndpoint).Port}/", Secret);
        await Sender(new WebhookOptions(), Resolves(address)).SendDueAsync(Ct);
        Assert.Equal("receiver.example is not on the public Internet", (await RowAsync(id)).LastError);
        Assert.False(inside.Pending());
    }

    [Theory]
    [InlineData("http://127.0.0.1:{0}/")]
    [InlineData("https://127.0.0.1:{0}/")]
    [InlineData("https://localhost:{0}/")]
    [InlineData("https://2130706433:{0}/")] // 127.0.0.1 as one number
    public async Task What_was_accepted_while_private_addresses_were_allowed_is_refused_when_they_are_not(string url)
    {
        using var inside = new TcpListener(IPAddress.Loopback, 0);
        inside.Start();
        var id = await AddAsync(string.Format(CultureInfo.InvariantCulture, url, ((IPEndPoint)inside.LocalEndpoint).Port), Secret);
        await Sender(new WebhookOptions()).SendDueAsync(Ct);
        Assert.StartsWith("the address must be", (await RowAsync(id)).LastError!, StringComparison.Ordinal);
        Assert.False(inside.Pending());
    }

    [Fact]
    public async Task A_name_is_resolved_once_and_the_connection_goes_to_the_address_that_was_checked()
    {
        var asked = 0;
        var id = await AddAsync($"http://receiver.example:{_receiver.Port}/", Secret);
        await Sender(resolve: (_, _) => Task.FromResult<IPAddress[]>([Interlocked.Increment(ref asked) == 1 ? IPAddress.Loopback : IPAddress.Parse("192.0.2.1")])).SendDueAsync(Ct);
        Assert.NotNull((await RowAsync(id)).DeliveredAt);
        Assert.Equal(1, asked);
        Assert.Equal("receiver.example", Assert.Single(_receiver.All).Host);
    }

    [Fact]
    public async Task Two_senders_share_and_each_delivery_is_sent_once()
    {
        var ids = new List<Guid>();
        for (var i = 0; i < 60; i++)
            ids.Add(await AddAsync(_receiver.Url, Secret));
        // Both hold their first claims open until the other has some too, so that neither does all of it.
        var both = new CountdownEvent(8);
        for (var i = 0; i < 8; i++)
            _receiver.Answers.Enqueue(async _ =>
            {
                both.Signal();
                await Task.Run(() => both.Wait(TimeSpan.FromSeconds(30)), Ct);
            });
        var options = new WebhookOptions { AllowPrivate = true, Batch = 4, Timeout = TimeSpan.FromSeconds(60) };
        var sent = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            var sender = Sender(options);
            var total = 0;
            while (await sender.SendDueAsync(Ct) is > 0 and var count)
                total += count;
            return total;
        }, Ct)));
        Assert.Equal(60, sent.Sum());
        Assert.All(sent, total => Assert.True(total >= 4));
        Assert.Equal(ids.Select(id => id.ToString()).Order(), _receiver.All.Select(r => r.Id!).Order());
    }

    [Fact]
    public async Task A_sender_that_died_is_made_up_for_and_one_that_reports_late_changes_nothing()
    {
        var release = new TaskCompletionSource();
        _receiver.Answers.Enqueue(async context =>
        {
            await release.Task;
            context.Response.StatusCode = 500;
        });
        var id = await AddAsync(_receiver.Url, Secret);
        var slow = Sender().SendDueAsync(Ct);
        while (_receiver.All.IsEmpty)
            await Task.Delay(10, Ct);
        Assert.Equal(0, await Sender().SendDueAsync(Ct)); // claimed
        await MakeDueAsync(id); // as if the claim had ended
        Assert.Equal(1, await Sender().SendDueAsync(Ct));
        var delivered = await RowAsync(id);
        Assert.NotNull(delivered.DeliveredAt);
        release.SetResult();
        await slow;
        var row = await RowAsync(id);
        Assert.Equal((delivered.DeliveredAt, null, 2), (row.DeliveredAt, row.LastError, row.Attempts));
    }

    private static Func<string, CancellationToken, Task<IPAddress[]>> Resolves(string address) => (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse(address)]);

    private WebhookSender Sender(WebhookOptions? options = null, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        options ??= new WebhookOptions { AllowPrivate = true };
        return new WebhookSender(_services.GetRequiredService<NpgsqlDataSource>(), WebhookConnection.Create(options.AllowPrivate, options.Timeout, resolve), options,
            TimeProvider.System, NullLogger<WebhookSender>.Instance);
    }

    private SaeDbContext Open() => _services.GetRequiredService<IDbContextFactory<SaeDbContext>>().CreateDbContext();

    private async Task<Guid> AddAsync(string url, string? secret, TimeSpan age = default)
    {
        await using var db = Open();
        var (job, delivery, then) = (Guid.CreateVersion7(), Guid.CreateVersion7(), DateTimeOffset.UtcNow - age);
        db.Jobs.Add(new JobRow { Id = job, Status = JobStatus.Succeeded, RequestJson = "{}", ModelId = "tiny", DatasetId = "mini", Layers = [0], CreatedAt = then });
        db.WebhookDeliveries.Add(new WebhookDeliveryRow { Id = delivery, JobId = job, Url = url, Secret = secret, Payload = Payload, NextAttemptAt = then, CreatedAt = then });
        await db.SaveChangesAsync(Ct);
        return delivery;
    }

    private async Task<WebhookDeliveryRow> RowAsync(Guid id)
    {
        await using var db = Open();
        return await db.WebhookDeliveries.AsNoTracking().SingleAsync(x => x.Id == id, Ct);
    }

    private async Task MakeDueAsync(Guid id)
    {
        await using var db = Open();
        await db.Database.ExecuteSqlAsync($"UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp() WHERE id = {id}", Ct);
    }
}
