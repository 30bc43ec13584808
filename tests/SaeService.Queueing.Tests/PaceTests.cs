using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using Xunit;
using static SaeService.Queueing.Tests.QueueFixture;

namespace SaeService.Queueing.Tests;

/// <summary>How fast the workers are, by what finished jobs took.</summary>
public sealed class PaceTests
{
    private static JobEstimate Estimate(Dictionary<string, double> seconds, Dictionary<string, double>? pace = null) => new()
    {
        MemoryBytes = 1,
        DiskBytes = 1,
        Seconds = seconds.Values.Sum(),
        Tokens = 1,
        Pace = pace ?? [],
        Parts = new EstimateParts(new Dictionary<string, long>(), new Dictionary<string, long>(), seconds),
    };

    [Fact]
    public async Task A_pace_is_what_stages_took_over_what_was_estimated_for_them()
    {
        await using var queue = await CreateAsync();
        await using var db = queue.Open();
        Assert.Empty(await StagePaces.ReadAsync(db, Token));

        // The second was estimated with a pace of 2 already: its 40 seconds were 20 of the default's.
        var first = await Finished(Estimate(new() { ["train"] = 10, ["prepare"] = 1 }), trainSeconds: 16, prepareSeconds: 3);
        await Finished(Estimate(new() { ["train"] = 40, ["prepare"] = 1 }, new() { ["train"] = 2 }), trainSeconds: 29, prepareSeconds: 1);
        var pace = await StagePaces.ReadAsync(db, Token);
        Assert.Equal((16.0 + 29) / (10 + 20), pace["train"], 6);
        Assert.Equal((3.0 + 1) / (1 + 1), pace["prepare"], 6);
        Assert.DoesNotContain("capture", pace.Keys); // nothing was said of it

        // A layer that was tried again counts neither as done nor as estimated.
        await db.Database.ExecuteSqlAsync($"UPDATE stages SET attempt = 2 WHERE job_id = {first} AND kind = 'Train' AND layer = 0", Token);
        Assert.Equal((8.0 + 29) / (5 + 20), (await StagePaces.ReadAsync(db, Token))["train"], 6);

        // Jobs that did not end well, and jobs without an estimate, say nothing.
        await db.Database.ExecuteSqlAsync($"UPDATE jobs SET status = 'Failed' WHERE id = {first}", Token);
        Assert.Equal(29.0 / 20, (await StagePaces.ReadAsync(db, Token))["train"], 6);

        async Task<Guid> Finished(JobEstimate estimate, double trainSeconds, double prepareSeconds)
        {
            var id = (await queue.Queue.SubmitAsync(Request(), [0, 1], null, estimate: estimate, cancellation: Token)).Job.Id;
            Assert.Equal(estimate.Seconds, (await queue.Reader.GetAsync(id, cancellation: Token))!.Estimate!.Seconds);
            await db.Database.ExecuteSqlAsync(
                $"""
                UPDATE stages SET status = 'Succeeded', attempt = 1, started_at = now(),
                    finished_at = now() + make_interval(secs => CASE kind WHEN 'Train' THEN {trainSeconds} / 2 WHEN 'Prepare' THEN {prepareSeconds} ELSE 1 END)
                WHERE job_id = {id}
                """, Token);
            await db.Database.ExecuteSqlAsync($"UPDATE jobs SET status = 'Succeeded' WHERE id = {id}", Token);
            return id;
        }
    }
}
