using System.Security.Cryptography;
using System.Text.Json;
using Npgsql;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <param name="Attempt">1, or 2 where a worker was lost over it.</param>
public sealed record ClaimedInspection(Guid Id, Guid JobId, InspectionRequest Request, int Attempt);

/// <summary>
/// Where a worker takes inspections and hands in answers: one session of the database, on which it listens and holds an advisory lock that says it is alive. With
/// the process the session ends, and what it had claimed is another's, at once and without leases to be renewed. Synchronous, and for one thread: numeric work
/// may keep every thread of the pool busy.
/// </summary>
public sealed class InspectionDesk : IDisposable
{
    /// <summary>Workers that may be lost over one text: the second may have had a misfortune of its own, a third is not risked.</summary>
    public const int MaxAttempts = 2;

    // First half of the advisory locks; the second is the session's own.
    private const int LockSpace = 0x736165;

    private const string Orphaned =
        """
        state = 'Running' AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.classid::bigint = $1 AND l.objid::bigint = claim_key AND l.objsubid = 2)
        """;

    private readonly NpgsqlConnection _connection;
    private readonly string _worker;
    private readonly int _key = RandomNumberGenerator.GetInt32(1, int.MaxValue);

    private bool _rung;

    private InspectionDesk(NpgsqlConnection connection, string worker)
    {
        (_connection, _worker) = (connection, worker);
        connection.Notification += (_, _) => _rung = true;
    }

    /// <param name="worker">Named in the rows it claims.</param>
    public static InspectionDesk Open(NpgsqlDataSource source, string worker)
    {
        var connection = source.OpenConnection();
        var desk = new InspectionDesk(connection, worker);
        try
        {
            using (var listen = new NpgsqlCommand($"LISTEN {Inspections.Channel}", connection))
                listen.ExecuteNonQuery();
            using var command = new NpgsqlCommand("SELECT pg_advisory_lock($1, $2)", connection);
            command.Parameters.Add(new() { Value = LockSpace });
            command.Parameters.Add(new() { Value = desk._key });
            command.ExecuteNonQuery();
            return desk;
        }
        catch
        {
            desk.Dispose();
            throw;
        }
    }

    /// <summary>The oldest text that somebody waits for and nobody is at; of any number of callers one gets it.</summary>
    public ClaimedInspection? TryClaim()
    {
        FailLost();
        using var command = Command(
            $"""
            UPDATE inspections SET state = 'Running', attempts = attempts + 1, claimed_by = $2, claim_key = $3
            WHERE id = (SELECT id FROM inspections WHERE expires_at > clock_timestamp() AND attempts < $4 AND (state = 'Waiting' OR {Orphaned})
                ORDER BY created_at FOR UPDATE SKIP LOCKED LIMIT 1)
            RETURNING id, job_id, request::text, attempts
            """, _worker, _key, MaxAttempts);
        using var reader = command.ExecuteReader();
        return reader.Read()
            ? new(reader.GetGuid(0), reader.GetGuid(1), JsonSerializer.Deserialize<InspectionRequest>(reader.GetString(2), Wire.Json)!, reader.GetInt32(3))
            : null;
    }

    /// <returns>False where the text is another's by now, or nobody waits for it any more.</returns>
    public bool Answer(ClaimedInspection inspection, InspectionAnswer answer) => End(inspection, InspectionState.Answered, "answer", JsonSerializer.Serialize(answer, Wire.Json));

    /// <inheritdoc cref="Answer"/>
    public bool Refuse(ClaimedInspection inspection, Problem problem) => End(inspection, InspectionState.Failed, "error", JsonSerializer.Serialize(problem, Wire.Json));

    /// <summary>Until a text comes in, or the time is over.</summary>
    public void Wait(TimeSpan timeout)
    {
        // What came in with the answer to a command is not waited for.
        if (!_rung)
            _connection.Wait(timeout);
        _rung = false;
    }

    public void Dispose()
    {
        try
        {
            // The session goes back to a pool, and may live on there for minutes.
            using var release = new NpgsqlCommand("UNLISTEN *; SELECT pg_advisory_unlock_all()", _connection);
            release.ExecuteNonQuery();
        }
        catch (Exception error) when (error is NpgsqlException or InvalidOperationException or TimeoutException)
        {
            // It is broken, and so ends.
        }
        _connection.Dispose();
    }

    /// <summary>Says of those that have cost enough workers that they will not be answered.</summary>
    private void FailLost()
    {
        var problem = ProblemCodes.Create(ProblemCodes.WorkerLost, $"{MaxAttempts} workers were lost, one after the other, while they worked on this text; it is not tried again.");
        using var command = Command(
            $"""
            WITH lost AS (UPDATE inspections SET state = 'Failed', error = $2::jsonb WHERE attempts >= $3 AND {Orphaned} RETURNING id)
            SELECT pg_notify('{JobSignals.InspectionAnswers}', id::text) FROM lost
            """, JsonSerializer.Serialize(problem, Wire.Json), MaxAttempts);
        command.ExecuteNonQuery();
    }

    private bool End(ClaimedInspection inspection, InspectionState state, string column, string json)
    {
        using var command = new NpgsqlCommand(
            $"""
            WITH ended AS (UPDATE inspections SET state = $1, {column} = $2::jsonb WHERE id = $3 AND claim_key = $4 AND state = 'Running' RETURNING id)
            SELECT pg_notify('{JobSignals.InspectionAnswers}', id::text) FROM ended
            """, _connection);
        foreach (var value in new object[] { state.ToString(), StorableText.Json(json), inspection.Id, _key })
            command.Parameters.Add(new() { Value = value });
        using var reader = command.ExecuteReader();
        return reader.Read();
    }

    /// <param name="values">From $2 on.</param>
    private NpgsqlCommand Command(string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, _connection);
        command.Parameters.Add(new() { Value = (long)LockSpace });
        foreach (var value in values)
            command.Parameters.Add(new() { Value = value });
        return command;
    }
}
