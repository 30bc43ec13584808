using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Contracts;
using SaeService.Storage;
using Xunit;
using static SaeService.Queueing.Tests.QueueFixture;

namespace SaeService.Queueing.Tests;

/// <summary>The way of a text to a worker and back, with desks in place of workers.</summary>
public sealed class InspectionTests
{
    private static readonly InspectionRequest s_request = new() { Text = "old \"dogs\" \\u0000", Top = 3 };

    private static InspectionAnswer Answer(Guid job, string text) =>
        new() { JobId = job, Text = text, Tokens = [], Words = [], LensPredicts = null, Layers = [], Caveats = [] };

    private static Task<InspectionAnswer> Ask(QueueFixture queue, Guid job, double seconds = 60, CancellationToken? ct = null) =>
        queue.Get<Inspections>().AskAsync(job, s_request, TimeSpan.FromSeconds(seconds), ct ?? Token);

    private static InspectionDesk Desk(QueueFixture queue, string name = "worker") => InspectionDesk.Open(queue.Get<NpgsqlDataSource>(), name);

    private static async Task<ClaimedInspection> ClaimAsync(InspectionDesk desk)
    {
        while (true)
        {
            Token.ThrowIfCancellationRequested();
            if (desk.TryClaim() is { } claimed)
                return claimed;
            await Task.Yield();
            desk.Wait(TimeSpan.FromMilliseconds(100));
        }
    }

    private static async Task<int> RowsAsync(QueueFixture queue)
    {
        await using var db = queue.Open();
        return await db.Inspections.CountAsync(Token);
    }

    [Fact]
    public async Task A_text_goes_to_one_worker_and_its_answer_to_who_asked()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        using var one = Desk(queue);
        using var other = Desk(queue);
        var asked = new[] { Ask(queue, job), Ask(queue, job), Ask(queue, job) };
        var seen = new HashSet<Guid>();
        for (var i = 0; i < asked.Length; i++)
        {
            var desk = i == 1 ? other : one;
            var claimed = await ClaimAsync(desk);
            Assert.True(seen.Add(claimed.Id));
            Assert.Equal((job, s_request.Text, 3, 1), (claimed.JobId, claimed.Request.Text, claimed.Request.Top, claimed.Attempt));
            Assert.True(desk.Answer(claimed, Answer(job, $"answer {i}")));
            // Once.
            Assert.False(desk.Answer(claimed, Answer(job, "again")));
        }
        Assert.Equal(["answer 0", "answer 1", "answer 2"], (await Task.WhenAll(asked)).Select(a => a.Text).Order());
        Assert.Equal(0, await RowsAsync(queue));
    }

    [Fact]
    public async Task What_a_worker_refuses_is_the_callers_problem_with_its_field()
    {
        await using var queue = await CreateAsync();
        var asked = Ask(queue, await queue.SubmitAsync());
        using var desk = Desk(queue);
        Assert.True(desk.Refuse(await ClaimAsync(desk), ProblemCodes.Create(ProblemCodes.InvalidRequest, "is 900 tokens", "$.text")));
        var problem = await Assert.ThrowsAsync<ProblemException>(() => asked);
        Assert.Equal((ProblemCodes.InvalidRequest, "is 900 tokens"), (problem.Code, Assert.Single(problem.Errors!["$.text"])));
        Assert.Equal(0, await RowsAsync(queue));
    }

    [Fact]
    public async Task Without_a_worker_the_caller_is_told_so_and_nothing_is_left()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var alone = await Assert.ThrowsAsync<ProblemException>(() => Ask(queue, job, 0.3));
        Assert.Equal(ProblemCodes.Unavailable, alone.Code);
        Assert.Contains("No worker is answering", alone.Message, StringComparison.Ordinal);

        using var desk = Desk(queue);
        var slow = Ask(queue, job, 3);
        var claimed = await ClaimAsync(desk);
        Assert.Contains("A worker took the text", (await Assert.ThrowsAsync<ProblemException>(() => slow)).Message, StringComparison.Ordinal);
        Assert.False(desk.Answer(claimed, Answer(job, "late")));

        using var gone = new CancellationTokenSource();
        var left = Ask(queue, job, 60, gone.Token);
        await ClaimAsync(desk);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        Assert.Equal(0, await RowsAsync(queue));

        Assert.Equal(ProblemCodes.NotFound, (await Assert.ThrowsAsync<ProblemException>(() => Ask(queue, Guid.NewGuid(), 0.1))).Code);
    }

    [Fact]
    public async Task What_a_dead_worker_had_is_anothers_and_what_kills_two_is_not_tried_again()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        var asked = Ask(queue, job);
        using var third = Desk(queue, "third");
        foreach (var attempt in new[] { 1, 2 })
        {
            using var desk = Desk(queue, $"doomed-{attempt}");
            var claimed = await ClaimAsync(desk);
            Assert.Equal(attempt, claimed.Attempt);
            Assert.Null(third.TryClaim()); // its worker lives
            await KillSessionsAsync(queue);
        }
        Assert.Null(third.TryClaim());
        var problem = await Assert.ThrowsAsync<ProblemException>(() => asked);
        Assert.Equal(ProblemCodes.WorkerLost, problem.Code);
        Assert.Contains("2 workers were lost", problem.Message, StringComparison.Ordinal);

        // As when the process dies: of all sessions that ever claimed.
        async Task KillSessionsAsync(QueueFixture of)
        {
            await using var kill = of.Get<NpgsqlDataSource>().CreateCommand(
                """
                SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN inspections i ON l.objid::bigint = i.claim_key
                WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND i.state = 'Running'
                """);
            await kill.ExecuteNonQueryAsync(Token);
        }
    }

    [Fact]
    public async Task Nobody_works_on_what_nobody_waits_for_and_the_reconciler_removes_it()
    {
        await using var queue = await CreateAsync();
        var job = await queue.SubmitAsync();
        await using (var db = queue.Open())
        {
            foreach (var minutes in new[] { -2.0, -0.5 })
                db.Inspections.Add(new InspectionRow
                {
                    Id = Guid.CreateVersion7(),
                    JobId = job,
                    RequestJson = """{"text":"x"}""",
                    CreatedAt = DateTimeOffset.UtcNow.AddMinutes(-3),
                    ExpiresAt = DateTimeOffset.UtcNow.AddMinutes(minutes),
                });
            await db.SaveChangesAsync(Token);
        }
        using var desk = Desk(queue);
        Assert.Null(desk.TryClaim());
        await queue.Reconciler.ReconcileAsync(Token);
        Assert.Equal(1, await RowsAsync(queue));
    }
}
