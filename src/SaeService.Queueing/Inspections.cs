using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Npgsql;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// Asks a worker to inspect a text, by a row and a notification each way: the model is the worker's, which may be on another machine, and the database is
/// what the two share. The row lives as long as its caller waits.
/// </summary>
public sealed partial class Inspections(NpgsqlDataSource source, JobSignals signals, ILogger<Inspections> logger)
{
    /// <summary>What workers listen on.</summary>
    internal const string Channel = "inspections";

    // In case a signal was lost.
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);

    private const int RetrySeconds = 5;

    /// <param name="jobId">A finished job.</param>
    /// <param name="patience">How long to wait.</param>
    /// <param name="cancellation">The caller has gone.</param>
    /// <exception cref="ProblemException">
    /// <see cref="ProblemCodes.Unavailable"/>: no worker answered in time; <see cref="ProblemCodes.NotFound"/>: the job has been deleted; or what the worker refused.
    /// </exception>
    public async Task<InspectionAnswer> AskAsync(Guid jobId, InspectionRequest request, TimeSpan patience, CancellationToken cancellation)
    {
        var id = Guid.CreateVersion7();
        var until = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        using var signal = signals.Follow(id);
        try
        {
            await InsertAsync(id, jobId, request, patience, cancellation);
            while (true)
            {
                var left = TimeSpan.FromMilliseconds(Math.Max(0, until - Environment.TickCount64));
                await signal.WaitAsync(left < s_look ? left : s_look, cancellation);
                var (state, text) = await ReadAsync(id, cancellation)
                    ?? throw new ProblemException(ProblemCodes.NotFound, $"There is no job {jobId}.");
                if (state == InspectionState.Answered)
                    return JsonSerializer.Deserialize<InspectionAnswer>(text!, Wire.Json)!;
                if (state == InspectionState.Failed)
                    throw ToException(JsonSerializer.Deserialize<Problem>(text!, Wire.Json)!);
                if (Environment.TickCount64 >= until)
                    throw new ProblemException(ProblemCodes.Unavailable, Late(state, patience));
            }
        }
        finally
        {
            await DeleteAsync(id);
        }
    }

    private static string Late(InspectionState state, TimeSpan patience)
    {
        var seconds = patience.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture);
        return state == InspectionState.Waiting
            ? $"No worker is answering: none took the text within {seconds} seconds. Is a worker running, and is it of this version? Ask again in {RetrySeconds} seconds."
            : $"A worker took the text and has not answered within {seconds} seconds. The first inspection of a job reads its model and autoencoders, which then stay: "
                + $"ask again in {RetrySeconds} seconds.";
    }

    private static ProblemException ToException(Problem problem) => new(problem.Code, problem.Detail ?? problem.Title, errors: problem.Errors);

    private async Task InsertAsync(Guid id, Guid jobId, InspectionRequest request, TimeSpan patience, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(
            $"""
            WITH asked AS (
                INSERT INTO inspections (id, job_id, request, state, attempts, created_at, expires_at)
                SELECT $1, id, $3::jsonb, 'Waiting', 0, clock_timestamp(), clock_timestamp() + $4 FROM jobs WHERE id = $2 RETURNING id)
            SELECT pg_notify('{Channel}', id::text) FROM asked
            """);
        command.Parameters.Add(new() { Value = id });
        command.Parameters.Add(new() { Value = jobId });
        command.Parameters.Add(new() { Value = StorableText.Json(JsonSerializer.Serialize(request, Wire.Json)) });
        command.Parameters.Add(new() { Value = patience });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <returns>The state, with the answer or the problem; null where the row is gone with its job.</returns>
    private async Task<(InspectionState State, string? Text)?> ReadAsync(Guid id, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand("SELECT state, coalesce(answer, error)::text FROM inspections WHERE id = $1");
        command.Parameters.Add(new() { Value = id });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? (Enum.Parse<InspectionState>(reader.GetString(0)), await reader.IsDBNullAsync(1, cancellation) ? null : reader.GetString(1))
            : null;
    }

    private async Task DeleteAsync(Guid id)
    {
        try
        {
            await using var command = source.CreateCommand("DELETE FROM inspections WHERE id = $1");
            command.Parameters.Add(new() { Value = id });
            // Also where the caller has gone.
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException)
        {
            NotDeleted(logger, id, error);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not delete inspection {Id}; the reconciler will")]
    private static partial void NotDeleted(ILogger logger, Guid id, Exception error);
}
