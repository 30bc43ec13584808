using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sources.Tests;

/// <summary>Faults of a network and of a server on the way of one large file.</summary>
public sealed class DownloadTests : HubTestBase
{
    private const int Size = 400_000;
    private const int Piece = 64 << 10;

    private byte[] Weights => Hub.Repos["models/org/tiny@main"].Files["model.safetensors"];

    private string Etag => "\"cdn-" + FakeHub.Sha256(Weights)[^8..] + "\"";

    private async Task FetchAsync(SourceSettings settings, CancellationToken? ct = null, Action<FetchProgress>? progress = null)
    {
        using var hub = new HubSource(settings);
        using var model = await hub.FetchModelAsync(Tiny, "main", progress, ct ?? Ct);
        SameFiles(model.Path, Hub.Repos["models/org/tiny@main"], "config.json", "model.safetensors", "tokenizer.json");
        Assert.DoesNotContain(Directory.EnumerateFiles(Path.Combine(settings.CacheFolder, Tiny.Folder, "blobs")), f => f.Contains("incomplete", StringComparison.Ordinal));
    }

    private static int From(Seen request) => request.Range is null ? 0 : int.Parse(request.Range["bytes=".Length..].Split('-')[0], System.Globalization.CultureInfo.InvariantCulture);

    [Fact]
    public async Task A_large_file_comes_in_pieces_each_once()
    {
        AddTiny(Size);
        await FetchAsync(Settings(pieceBytes: Piece));
        Assert.Equal(Enumerable.Range(0, (Size + Piece - 1) / Piece).Select(i => $"bytes={i * Piece}-{Math.Min(Size, (i + 1) * Piece) - 1}"),
            Hub.CdnRequests.OrderBy(From).Select(r => r.Range));
    }

    [Fact]
    public async Task A_broken_connection_is_gone_on_with_where_it_broke()
    {
        AddTiny(Size);
        var breaks = 0;
        Hub.Intercept = async (context, cdn) =>
        {
            if (!cdn || Interlocked.Increment(ref breaks) > 3)
                return false;
            await Hub.ServeAsync(context, Weights, Etag, breakAfter: 100_000);
            return true;
        };
        await FetchAsync(Settings());
        var requests = Hub.CdnRequests.ToList();
        Assert.Equal(4, requests.Count);
        // How much of what was sent has arrived before the connection was cut is the network's affair.
        Assert.Equal(requests.Select(From).Order(), requests.Select(From));
        Assert.InRange(From(requests[^1]), 1, 300_000);
        Assert.All(requests.Where(r => From(r) > 0), r => Assert.Equal(Etag, r.IfRange));
    }

    [Fact]
    public async Task A_server_without_ranges_gives_the_whole()
    {
        AddTiny(Size);
        Hub.IgnoreRange = true;
        await FetchAsync(Settings(pieceBytes: Piece));
    }

    [Fact]
    public async Task A_file_that_changes_on_the_way_is_begun_anew()
    {
        // The first answer is of other bytes, with another ETag, and breaks off: going on with it would mix the two.
        AddTiny(Size);
        var first = 1;
        Hub.Intercept = async (context, cdn) =>
        {
            if (!cdn || Interlocked.Exchange(ref first, 0) == 0)
                return false;
            await Hub.ServeAsync(context, Noise(Size, 77), "\"other\"", breakAfter: 50_000);
            return true;
        };
        await FetchAsync(Settings());
    }

    [Fact]
    public async Task What_an_earlier_process_left_is_gone_on_with()
    {
        AddTiny(Size);
        var stalled = new TaskCompletionSource();
        Hub.Intercept = async (context, cdn) =>
        {
            if (!cdn || From(Hub.Requests.Last(r => r.Cdn)) < 3 * Piece)
                return false;
            stalled.TrySetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
            return true;
        };
        var killed = Path.Combine(Root, "killed");
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct))
        {
            var fetching = FetchAsync(Settings(pieceBytes: Piece), stop.Token);
            await stalled.Task.WaitAsync(TimeSpan.FromSeconds(30), Ct);
            // The disk as it is now is what a process leaves that is killed now: nothing of it is tidied up.
            // All of the first three pieces but what is not yet noted; after that nothing comes.
            while (Directory.EnumerateFiles(Path.Combine(CacheFolder, Tiny.Folder, "blobs"), "*.parts").SingleOrDefault() is not { } parts || Noted(parts).Take(3).Min() < Piece * 3 / 4)
                await Task.Delay(10, Ct);
            await Task.Delay(100, Ct);
            Copy(CacheFolder, killed);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fetching);
        }
        Hub.Intercept = null;
        Hub.Requests.Clear();
        await FetchAsync(Settings(cache: killed, pieceBytes: Piece));
        Assert.DoesNotContain(Hub.CdnRequests, r => From(r) == 0);

        // And so is what a process leaves that was stopped.
        Hub.Requests.Clear();
        await FetchAsync(Settings(pieceBytes: Piece));
        Assert.DoesNotContain(Hub.CdnRequests, r => From(r) < Piece);
    }

    /// <summary>Bytes of each piece, as a state file has them (DownloadState's remarks).</summary>
    private static IEnumerable<long> Noted(string parts)
    {
        var bytes = File.ReadAllBytes(parts);
        for (var at = 28 + BitConverter.ToInt32(bytes, 24); at < bytes.Length; at += 8)
            yield return BitConverter.ToInt64(bytes, at);
    }

    [Fact]
    public async Task What_an_earlier_process_left_damaged_is_fetched_once_more()
    {
        AddTiny(Size);
        var blob = Path.Combine(CacheFolder, Tiny.Folder, "blobs", FakeHub.Sha256(Weights) + ".sae.incomplete");
        Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
        using (var state = DownloadState.Open(blob, Size, Piece, hashed: true))
        {
            state.Advance(0, Piece, null); // but nothing was written
            state.Save();
        }
        await FetchAsync(Settings(pieceBytes: Piece));
        await File.WriteAllBytesAsync(blob + ".parts", Noise(60, 1), Ct);
        Directory.Delete(Path.Combine(CacheFolder, Tiny.Folder), recursive: true);
        await FetchAsync(Settings(pieceBytes: Piece));
    }

    [Fact]
    public async Task A_server_that_drips_is_left_and_asked_anew()
    {
        AddTiny(Size);
        var drips = 2;
        Hub.Intercept = async (context, cdn) =>
        {
            if (!cdn || Interlocked.Decrement(ref drips) < 0)
                return false;
            context.Response.ContentLength = Size;
            context.Response.Headers.ETag = Etag;
            for (var i = 0; i < Size; i++)
            {
                await context.Response.Body.WriteAsync(Weights.AsMemory(i, 1), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await Task.Delay(20, context.RequestAborted);
            }
            return true;
        };
        await FetchAsync(Settings(limits: new HttpLimits { IdleTimeout = TimeSpan.FromMilliseconds(300), FirstDelay = TimeSpan.FromMilliseconds(5) }));
    }

    [Theory]
    [InlineData("hash")]
    [InlineData("linked hash")]
    [InlineData("short")]
    [InlineData("long")]
    [InlineData("commit")]
    [InlineData("range")]
    [InlineData("small hash")]
    public async Task What_is_not_what_was_announced_is_not_kept(string fault)
    {
        AddTiny(Size);
        Hub.Intercept = async (context, cdn) =>
        {
            switch (fault)
            {
                case "hash" when cdn:
                    await Hub.ServeAsync(context, Noise(Size, 5), "\"x\"");
                    return true;
                case "short" when cdn:
                    await Hub.ServeAsync(context, Weights[..^5], Etag);
                    return true;
                case "long" when cdn: // more than the head of the answer says can not be sent; without a length it can
                    await context.Response.Body.WriteAsync(Weights, Ct);
                    await context.Response.Body.WriteAsync(new byte[10], Ct);
                    return true;
                case "linked hash" when !cdn && context.Request.Path.Value!.EndsWith("model.safetensors", StringComparison.Ordinal):
                    context.Response.StatusCode = 302;
                    context.Response.Headers["X-Linked-Etag"] = $"\"{new string('a', 64)}\"";
                    context.Response.Headers.Location = $"http://{Hub.CdnHost}/lfs/{FakeHub.Sha256(Weights)}";
                    return true;
                case "commit" when !cdn && context.Request.Path.Value!.Contains("/resolve/", StringComparison.Ordinal):
                    context.Response.Headers["X-Repo-Commit"] = FakeHub.CommitOf(99);
                    await context.Response.WriteAsync("{}", Ct);
                    return true;
                case "range" when cdn:
                    context.Response.StatusCode = 206;
                    context.Response.Headers.ContentRange = $"bytes 5-{Piece + 4}/{Size}";
                    await context.Response.Body.WriteAsync(Weights.AsMemory(5, Piece), Ct);
                    return true;
                case "small hash" when !cdn && context.Request.Path.Value!.EndsWith("config.json", StringComparison.Ordinal):
                    await Hub.ServeAsync(context, "{\"model_type\":\"other\"}"u8.ToArray(), "\"x\"");
                    return true;
                default:
                    return false;
            }
        };
        var size = fault == "range" ? Piece : 1 << 20;
        using var hub = new HubSource(Settings(pieceBytes: size));
        await FaultAsync(SourceFault.Damaged, () => hub.FetchModelAsync(Tiny, "main", null, Ct));
        Assert.Null(hub.Cache.FindFile(Tiny.Folder, FakeHub.CommitOf(1), fault is "small hash" or "commit" ? "config.json" : "model.safetensors"));
        Assert.False(File.Exists(hub.Cache.BlobOf(Tiny.Folder, FakeHub.Sha256(Weights))));

        // Nothing of it stands in the way of the next attempt.
        Hub.Intercept = null;
        await FetchAsync(Settings(pieceBytes: size));
    }

    [Fact]
    public async Task A_busy_server_is_asked_again_when_it_says()
    {
        AddTiny();
        var answers = new ConcurrentQueue<int>([429, 503, 500, 429]);
        Hub.Intercept = (context, _) =>
        {
            if (!answers.TryDequeue(out var status))
                return Task.FromResult(false);
            context.Response.StatusCode = status;
            if (status == 429)
                context.Response.Headers.RetryAfter = "0";
            return Task.FromResult(true);
        };
        await FetchAsync(Settings());
        Assert.Empty(answers);

        Hub.Intercept = (context, _) =>
        {
            context.Response.StatusCode = 429;
            context.Response.Headers.RetryAfter = "3600";
            return Task.FromResult(true);
        };
        Hub.Requests.Clear();
        var e = await FaultAsync(SourceFault.RateLimited, () => FetchAsync(Settings(cache: Path.Combine(Root, "other"))));
        Assert.Equal((true, TimeSpan.FromHours(1)), (e.Transient, e.RetryAfter));
        Assert.Single(Hub.Requests);

        Hub.Intercept = (context, _) =>
        {
            context.Response.StatusCode = 502;
            return Task.FromResult(true);
        };
        Hub.Requests.Clear();
        Assert.True((await FaultAsync(SourceFault.Network, () => FetchAsync(Settings(cache: Path.Combine(Root, "other"))))).Transient);
        Assert.Equal(new HttpLimits().Attempts, Hub.Requests.Count);
    }

    [Fact]
    public async Task Cancelling_ends_it_soon_and_leaves_what_came()
    {
        AddTiny(Size);
        var stalled = new TaskCompletionSource();
        Hub.Intercept = async (context, cdn) =>
        {
            if (!cdn)
                return false;
            context.Response.ContentLength = Size;
            await context.Response.Body.WriteAsync(Weights.AsMemory(0, 100_000), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            stalled.TrySetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
            return true;
        };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var fetching = FetchAsync(Settings(), stop.Token);
        await stalled.Task.WaitAsync(TimeSpan.FromSeconds(30), Ct);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fetching.WaitAsync(TimeSpan.FromSeconds(20), Ct));
    }

    [Fact]
    public async Task Two_at_once_fetch_it_once()
    {
        AddTiny(Size);
        Hub.Intercept = async (_, cdn) =>
        {
            if (cdn)
                await Task.Delay(50, Ct); // long enough for the other to come
            return false;
        };
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => FetchAsync(Settings(pieceBytes: Piece)), Ct)));
        Assert.Equal(Hub.CdnRequests.Select(r => r.Range).Distinct().Count(), Hub.CdnRequests.Count());
    }

    private static void Copy(string from, string to)
    {
        foreach (var folder in Directory.EnumerateDirectories(from, "*", SearchOption.AllDirectories).Prepend(from))
            Directory.CreateDirectory(Path.Combine(to, Path.GetRelativePath(from, folder)));
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Where(f => new FileInfo(f).LinkTarget is null && !f.Contains("lock", StringComparison.Ordinal) && !f.Contains("leases", StringComparison.Ordinal)))
        {
            // The other process holds it open; its bytes can be read all the same.
            using var source = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var copy = File.Create(Path.Combine(to, Path.GetRelativePath(from, file)));
            source.CopyTo(copy);
        }
    }
}
