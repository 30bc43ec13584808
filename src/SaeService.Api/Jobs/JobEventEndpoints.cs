using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Api.Access;
using SaeService.Api.Problems;
using SaeService.Api.Results;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Jobs;

/// <summary>What happened to a job, as a page or as a stream of server-sent events.</summary>
public static class JobEventEndpoints
{
    private const string EventStream = "text/event-stream";
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);

    public static void MapJobEvents(this RouteGroupBuilder jobs) => jobs.MapGet("/{id:guid}/events", Get).WithName("GetJobEvents")
        .WithSummary("What happened to a job: a page, or a stream for Accept: text/event-stream")
        .WithDescription("The stream sends each event with its id, resumes after Last-Event-ID, has a comment every 10 seconds, and ends with the job; asked again after that it answers 204, which tells an EventSource to stop.")
        .RequireRateLimiting(AccessSetup.Waits)
        .Produces<Page<JobEvent>>(StatusCodes.Status200OK, "application/json", EventStream).Produces(StatusCodes.Status204NoContent)
        .Problems(ProblemCodes.NotFound, ProblemCodes.InvalidParameter);

    private static async Task Get(Guid id, HttpContext context, SaeDbContext db, JobReader reader, JobSignals signals, IHostApplicationLifetime lifetime,
        string? after = null, int limit = 100)
    {
        if (limit is < 1 or > 1000)
            throw ProblemMetadataExtensions.Parameter("limit", "must be between 1 and 1000");
        var head = await JobHead.RequireAsync(db, id, context);
        var resume = context.Request.Headers["Last-Event-ID"] is [{ Length: > 0 } last] ? last : null;
        var from = Parse("Last-Event-ID", resume) ?? Parse("after", after) ?? 0;
        if (context.Request.Headers.Accept.ToString().Contains(EventStream, StringComparison.OrdinalIgnoreCase))
            await StreamAsync(head, from, context, db, reader, signals, lifetime);
        else
            await PageAsync(id, from, limit, context, reader);
    }

    private static async Task PageAsync(Guid id, long after, int limit, HttpContext context, JobReader reader)
    {
        var events = await reader.EventsAsync(id, after, limit + 1, context.RequestAborted);
        var more = events.Count > limit;
        var page = events.Take(limit).ToList();
        var next = more ? page[^1].Id.ToString(CultureInfo.InvariantCulture) : null;
        Paging.AddNextLink(context, next);
        await context.Response.WriteAsJsonAsync(new Page<JobEvent>(page, more, next), Wire.Json, context.RequestAborted);
    }

    private static async Task StreamAsync(JobHead head, long after, HttpContext context, SaeDbContext db, JobReader reader, JobSignals signals, IHostApplicationLifetime lifetime)
    {
        // A stream must not hold up a shutdown: the client comes back with Last-Event-ID.
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        using var signal = signals.Follow(head.Id);
        var ct = ending.Token;
        var ended = head.Ended;
        var events = await reader.EventsAsync(head.Id, after, 1000, ct);
        if (ended && events.Count == 0)
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }
        context.Response.ContentType = EventStream;
        context.Response.Headers.CacheControl = "no-cache, no-transform";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        try
        {
            await context.Response.WriteAsync("retry: 2000\n\n", ct);
            await context.Response.Body.FlushAsync(ct);
            var quiet = TimeSpan.Zero;
            while (true)
            {
                foreach (var e in events)
                {
                    await context.Response.WriteAsync(Format(e), ct);
                    after = e.Id;
                    quiet = TimeSpan.Zero;
                }
                await context.Response.Body.FlushAsync(ct);
                if (ended && events.Count == 0)
                    return;
                if (!ended && events.Count == 0)
                {
                    if (!await signal.WaitAsync(s_look, ct) && (quiet += s_look) >= s_heartbeat)
                    {
                        await context.Response.WriteAsync(": alive\n\n", ct);
                        quiet = TimeSpan.Zero;
                    }
                }
                // The status first: an event written between the two reads is then still read before the stream ends.
                ended = await db.Jobs.AsNoTracking().Where(x => x.Id == head.Id).Select(x => (JobStatus?)x.Status).SingleOrDefaultAsync(ct) is not { } status || JobWait.Ended(status);
                events = await reader.EventsAsync(head.Id, after, 1000, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    private static string Format(JobEvent e) => new StringBuilder()
        .Append(CultureInfo.InvariantCulture, $"id: {e.Id}\nevent: {e.Type}\n")
        .Append("data: ").Append(JsonSerializer.Serialize(e, Wire.Json)).Append("\n\n").ToString(); // JSON has no bare line breaks

    private static long? Parse(string name, string? id) => id is null ? null
        : long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value
        : throw ProblemMetadataExtensions.Parameter(name, "must be the id of an event");
}
