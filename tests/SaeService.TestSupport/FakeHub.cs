using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace SaeService.TestSupport;

/// <summary>What a server of <see cref="FakeHub"/> saw of a request.</summary>
public sealed record Seen(bool Cdn, string Host, string Path, string? Authorization, string? Range, string? IfRange);

public sealed class FakeRepo(string commit)
{
    public string Commit { get; } = commit;
    public Dictionary<string, byte[]> Files { get; } = [];
    public string? Licence { get; set; }

    /// <summary>Edits the listing before it is sent.</summary>
    public Action<JsonObject>? Listing { get; set; }

    public FakeRepo With(string name, byte[] bytes)
    {
        Files[name] = bytes;
        return this;
    }

    public FakeRepo With(string name, string text) => With(name, Encoding.UTF8.GetBytes(text));
}

/// <summary>
/// The hub's side of the protocol on loopback: listings, small files by git hash, large ones by a redirect to a "CDN" on another port. Tests
/// put faults in between.
/// </summary>
public sealed class FakeHub : IAsyncDisposable
{
    private const int LargeFrom = 1000;
    private readonly WebApplication _app;
    private int _hubPort, _cdnPort;

    private FakeHub(WebApplication app) => _app = app;

    /// <summary><c>models/owner/name@rev</c> to its repository; a repository is found by its commit too.</summary>
    public ConcurrentDictionary<string, FakeRepo> Repos { get; } = new();
    public ConcurrentQueue<Seen> Requests { get; } = new();

    /// <summary>Called first; true: it has answered.</summary>
    public Func<HttpContext, bool, Task<bool>>? Intercept { get; set; }
    public bool IgnoreRange { get; set; }
    public Uri Address => new($"http://127.0.0.1:{_hubPort}");
    public string CdnHost => $"127.0.0.1:{_cdnPort}";

    public IEnumerable<Seen> CdnRequests => Requests.Where(r => r.Cdn);

    public static async Task<FakeHub> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        app.Urls.Add("http://127.0.0.1:0");
        var hub = new FakeHub(app);
        app.Run(hub.AnswerAsync);
        await app.StartAsync();
        var ports = app.Urls.Select(url => new Uri(url).Port).ToArray();
        (hub._hubPort, hub._cdnPort) = (ports[0], ports[1]);
        return hub;
    }

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    public static string GitBlob(byte[] bytes) =>
        Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));

    public static string CommitOf(int n) => n.ToString("x40", CultureInfo.InvariantCulture);

    public FakeRepo Add(string key, FakeRepo repo)
    {
        Repos[key] = repo;
        return repo;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var cdn = context.Connection.LocalPort == _cdnPort;
        var raw = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        Requests.Enqueue(new Seen(cdn, context.Request.Host.Value!, raw, context.Request.Headers.Authorization, context.Request.Headers.Range, context.Request.Headers.IfRange));
        if (Intercept is { } intercept && await intercept(context, cdn))
            return;
        var path = raw.Split('?')[0];
        if (cdn)
            await ServeAsync(context, Repos.Values.SelectMany(r => r.Files.Values).First(bytes => path == "/lfs/" + Sha256(bytes)), "\"cdn-" + path[^8..] + "\"");
        else if (path.StartsWith("/api/", StringComparison.Ordinal))
            await ListAsync(context, path["/api/".Length..]);
        else
            await ResolveAsync(context, path[1..]);
    }

    private FakeRepo? Find(string id, string revision) =>
        Repos.GetValueOrDefault($"{id}@{revision}") ?? Repos.Where(r => r.Key.StartsWith(id + "@", StringComparison.Ordinal) && r.Value.Commit == revision).Select(r => r.Value).FirstOrDefault();

    private async Task ListAsync(HttpContext context, string path)
    {
        var at = path.IndexOf("/revision/", StringComparison.Ordinal);
        var (id, revision) = (path[..at], Uri.UnescapeDataString(path[(at + 10)..]));
        if (Find(id, revision) is not { } repo)
        {
            var known = Repos.Keys.Any(k => k.StartsWith(id + "@", StringComparison.Ordinal));
            context.Response.Headers["X-Error-Code"] = known ? "RevisionNotFound" : "RepoNotFound";
            context.Response.StatusCode = known ? 404 : 401;
            return;
        }
        var listing = new JsonObject
        {
            ["id"] = id,
            ["sha"] = repo.Commit,
            ["cardData"] = repo.Licence is null ? null : new JsonObject { ["license"] = repo.Licence },
            ["siblings"] = new JsonArray([.. repo.Files.Select(f => Sibling(f.Key, f.Value))]),
        };
        repo.Listing?.Invoke(listing);
        await context.Response.WriteAsync(listing.ToJsonString());
    }

    public static JsonNode Sibling(string name, byte[] bytes)
    {
        var sibling = new JsonObject { ["rfilename"] = name, ["size"] = bytes.Length, ["blobId"] = GitBlob(bytes) };
        if (bytes.Length >= LargeFrom)
            sibling["lfs"] = new JsonObject { ["sha256"] = Sha256(bytes), ["size"] = bytes.Length, ["pointerSize"] = 130 };
        return sibling;
    }

    private async Task ResolveAsync(HttpContext context, string path)
    {
        var at = path.IndexOf("/resolve/", StringComparison.Ordinal);
        var id = path[..at].StartsWith("datasets/", StringComparison.Ordinal) ? path[..at] : "models/" + path[..at];
        var rest = path[(at + 9)..].Split('/', 2);
        if (Find(id, rest[0]) is not { } repo || !repo.Files.TryGetValue(Uri.UnescapeDataString(rest[1]), out var bytes))
        {
            context.Response.Headers["X-Error-Code"] = "EntryNotFound";
            context.Response.StatusCode = 404;
            return;
        }
        context.Response.Headers["X-Repo-Commit"] = repo.Commit;
        if (bytes.Length < LargeFrom)
        {
            await ServeAsync(context, bytes, $"\"{GitBlob(bytes)}\"");
            return;
        }
        context.Response.Headers["X-Linked-Etag"] = $"\"{Sha256(bytes)}\"";
        context.Response.Headers["X-Linked-Size"] = bytes.Length.ToString(CultureInfo.InvariantCulture);
        context.Response.StatusCode = 302;
        context.Response.Headers.Location = $"http://{CdnHost}/lfs/{Sha256(bytes)}?Signature=s";
    }

    /// <summary>Bytes, or the range of them that was asked for.</summary>
    /// <param name="breakAfter">Bytes of this answer after which the connection is cut.</param>
    public async Task ServeAsync(HttpContext context, byte[] bytes, string etag, int breakAfter = int.MaxValue)
    {
        context.Response.Headers.ETag = etag;
        var (from, to) = (0, bytes.Length - 1);
        var ifRange = context.Request.Headers.IfRange.ToString();
        if (!IgnoreRange && context.Request.Headers.Range.ToString() is { Length: > 0 } range && (ifRange.Length == 0 || ifRange == etag))
        {
            var ends = range["bytes=".Length..].Split('-');
            from = int.Parse(ends[0], CultureInfo.InvariantCulture);
            if (from >= bytes.Length)
            {
                context.Response.StatusCode = 416;
                return;
            }
            to = ends[1].Length == 0 ? to : Math.Min(to, int.Parse(ends[1], CultureInfo.InvariantCulture));
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{to}/{bytes.Length}";
        }
        context.Response.ContentLength = to - from + 1;
        await context.Response.Body.WriteAsync(bytes.AsMemory(from, Math.Min(to - from + 1, breakAfter)), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (breakAfter < to - from + 1)
            context.Abort();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
