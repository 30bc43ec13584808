using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace SaeService.Api.Tests;

/// <summary>What a webhook's receiver saw of one request.</summary>
public sealed record ReceivedWebhook(string Method, string Path, string Host, string? ContentType, string? Id, string? Timestamp, string? Signature, string Body);

/// <summary>A real receiver on loopback: keeps what comes, and answers as told, at first in the order told.</summary>
public sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Channel<ReceivedWebhook> _received = Channel.CreateUnbounded<ReceivedWebhook>();

    private WebhookReceiver(WebApplication app) => _app = app;

    public ConcurrentQueue<ReceivedWebhook> All { get; } = new();

    /// <summary>Answers before the last; after them 204.</summary>
    public ConcurrentQueue<Func<HttpContext, Task>> Answers { get; } = new();
    public int Port => new Uri(_app.Urls.Single()).Port;
    public string Url => $"http://127.0.0.1:{Port}/hook?token=t1";

    public static async Task<WebhookReceiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        var receiver = new WebhookReceiver(app);
        app.Run(receiver.ReceiveAsync);
        await app.StartAsync();
        return receiver;
    }

    public void Answer(int status, Action<HttpResponse>? more = null) => Answers.Enqueue(context =>
    {
        context.Response.StatusCode = status;
        more?.Invoke(context.Response);
        return Task.CompletedTask;
    });

    public ValueTask<ReceivedWebhook> NextAsync(CancellationToken ct) => _received.Reader.ReadAsync(ct);

    private async Task ReceiveAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var headers = context.Request.Headers;
        var received = new ReceivedWebhook(context.Request.Method, context.Request.Path + context.Request.QueryString, context.Request.Host.Host, context.Request.ContentType,
            headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], await reader.ReadToEndAsync());
        All.Enqueue(received);
        if (Answers.TryDequeue(out var answer))
            await answer(context);
        else
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        _received.Writer.TryWrite(received);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
