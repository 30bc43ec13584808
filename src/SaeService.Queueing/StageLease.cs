using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>Why a stage was asked to stop.</summary>
public enum StageInterruption
{
    None,

    /// <summary>Another attempt may own the stage: stop, and write nothing.</summary>
    Lost,

    /// <summary>The job was cancelled, or failed elsewhere.</summary>
    Cancelled,

    /// <summary>The process shuts down: write a checkpoint and release.</summary>
    Shutdown,
}

/// <summary>
/// A claimed stage. A thread of its own renews the lease, so that numeric code may keep every other thread busy. End it with one of
/// <see cref="SucceedAsync"/>, <see cref="FailAsync"/>, <see cref="ReleaseAsync"/>; a lease merely disposed of expires and is taken back.
/// </summary>
public sealed partial class StageLease : IDisposable
{
    private readonly IDbContextFactory<SaeDbContext> _contexts;
    private readonly NpgsqlDataSource _source;
    private readonly Doorbell _doorbell;
    private readonly ArtifactStore _artifacts;
    private readonly QueueOptions _options;
    private readonly ILogger _logger;
    private readonly StageRow _stage;
    private readonly CancellationTokenSource _interrupted = new();
    private readonly CancellationTokenRegistration _onShutdown;
    private readonly ManualResetEventSlim _stopped = new();
    private readonly Thread _heart;
    private readonly Lock _lock = new();
    private StageInterruption _interruption;
    private const int MostOvertaken = 8;
    private readonly List<Progress> _overtaken = []; // said, and followed by something else, since the last beat
    private Progress? _progress;
    private Progress _lastEvent = new(0, null, null, 0);
    private long _peakBytes = Environment.WorkingSet;

    internal StageLease(IDbContextFactory<SaeDbContext> contexts, NpgsqlDataSource source, Doorbell doorbell, ArtifactStore artifacts, QueueOptions options,
        ILogger logger, StageRow stage, JobRequest request, int[] layers, CancellationToken shutdown)
    {
        (_contexts, _source, _doorbell, _artifacts, _options, _logger, _stage) = (contexts, source, doorbell, artifacts, options, logger, stage);
        (Request, Layers, Interrupted) = (request, layers, _interrupted.Token);
        _onShutdown = shutdown.UnsafeRegister(static lease => ((StageLease)lease!).Interrupt(StageInterruption.Shutdown), this);
        _heart = new Thread(Beat) { IsBackground = true, Name = $"lease {stage.Id}" };
        _heart.Start();
    }

    public Guid JobId => _stage.JobId;
    public Guid StageId => _stage.Id;
    public StageKind Kind => _stage.Kind;
    public int? Layer => _stage.Layer;

    /// <summary>The fencing token; part of the key of everything this attempt writes.</summary>
    public int Attempt => _stage.Attempt;

    /// <summary>The job's request, resolved.</summary>
    public JobRequest Request { get; }

    /// <summary>All layers of the job.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>Cancelled when the stage should stop; <see cref="Interruption"/> says why.</summary>
    public CancellationToken Interrupted { get; }

    public StageInterruption Interruption
    {
        get
        {
            lock (_lock)
                return _interruption;
        }
    }

    /// <summary>Key for a file of this attempt.</summary>
    public string KeyOf(string name) => ArtifactStore.KeyOf(JobId, Kind, Layer, Attempt, name);

    /// <summary>The newest file of this name that this attempt or an earlier one left: a checkpoint to go on from. Null: none.</summary>
    public string? FindCheckpoint(string name) => _artifacts.FindLatest(JobId, Kind, Layer, Attempt, name);

    /// <summary>Key of a file that an earlier stage of this job published.</summary>
    /// <exception cref="InvalidOperationException">It did not publish one.</exception>
    public async Task<string> PublishedKeyAsync(StageKind stage, int? layer, string name, CancellationToken cancellation = default)
    {
        await using var db = await _contexts.CreateDbContextAsync(cancellation);
        return await db.Artifacts.Where(x => x.JobId == JobId && x.Stage == stage && x.Layer == layer && x.Name == name)
            .Select(x => x.Key).SingleOrDefaultAsync(cancellation)
            ?? throw new InvalidOperationException($"stage {stage}{(layer is { } l ? $" of layer {l}" : "")} of job {JobId} has published no '{name}'");
    }

    /// <summary>Notes how far the stage is; cheap, may be called on every step. Written about once a second.</summary>
    /// <param name="fraction">Of this stage, 0 to 1.</param>
    public void ReportProgress(double fraction, double? tokensPerSecond = null, string? message = null)
    {
        fraction = double.IsFinite(fraction) ? Math.Clamp(fraction, 0, 1) : 0;
        var progress = new Progress(fraction, tokensPerSecond is { } pace && double.IsFinite(pace) ? pace : null,
            message is null ? null : StorableText.Plain(message),
            Environment.TickCount64);
        lock (_lock)
        {
            // What is said in passing, that the attempt goes on from a checkpoint, say, must not be lost because something else is said within the same beat.
            if (_progress is { Message: not null } before && before.Message != progress.Message && before.Message != _lastEvent.Message
                && _overtaken.Count < MostOvertaken && !_overtaken.Exists(said => said.Message == before.Message))
                _overtaken.Add(before);
            _progress = progress;
        }
    }

    /// <summary>
    /// Publishes the stage's results: in one transaction the fence is checked, the caller's rows and the artifacts' rows are written, the stage
    /// succeeds, what waited for it becomes ready, and the job succeeds with its last stage.
    /// </summary>
    /// <param name="published">Complete files of this attempt, to be found by later stages.</param>
    /// <param name="publish">Writes the stage's rows; its context has the transaction open.</param>
    /// <returns>False where another attempt owns the stage by now: nothing was written.</returns>
    public async Task<bool> SucceedAsync(IReadOnlyList<StoredArtifact> published, Func<SaeDbContext, CancellationToken, Task>? publish = null,
        CancellationToken cancellation = default)
    {
        foreach (var artifact in published)
            if (!artifact.Key.StartsWith(KeyOf(""), StringComparison.Ordinal))
                throw new ArgumentException($"'{artifact.Key}' is not a file of this attempt, '{KeyOf("")}'", nameof(published));
        var done = await EndAsync(async (db, job, stage) =>
        {
            if (publish is not null)
                await publish(db, cancellation);
            var now = TimeProvider.System.GetUtcNow();
            db.Artifacts.AddRange(published.Select(x => new ArtifactRow
            {
                Id = Guid.CreateVersion7(),
                JobId = JobId,
                StageId = StageId,
                Stage = Kind,
                Layer = Layer,
                Attempt = Attempt,
                Name = x.Key[KeyOf("").Length..],
                Key = x.Key,
                Bytes = x.Bytes,
                Sha256 = x.Sha256,
                CreatedAt = now,
            }));
            await db.Database.ExecuteSqlAsync(
                $"""
                UPDATE stages SET status = 'Succeeded', fraction = 1, failures = 0, error = NULL, message = NULL, finished_at = clock_timestamp(),
                    lease_owner = NULL, lease_expires_at = NULL
                WHERE id = {StageId}
                """, cancellation);
            JobTransitions.Emit(db, JobId, "stage.succeeded", stage);
            await db.SaveChangesAsync(cancellation);
            if (job is JobStatus.Queued or JobStatus.Running)
                await JobTransitions.UnlockAsync(db, JobId, cancellation);
            // With its last stage done a job has succeeded, even where its cancellation was asked for meanwhile.
            if (Kind == StageKind.Conclude)
                await JobTransitions.EndAsync(db, JobId, JobStatus.Succeeded, null, cancellation);
            else
                await JobTransitions.SettleAsync(db, job, JobId, cancellation);
        }, cancellation);
        if (done)
            SweepOtherAttempts();
        return done;
    }

    /// <summary>Ends the attempt with a failure. A transient one is tried again after a while, a few times; any other fails the job.</summary>
    /// <returns>False where another attempt owns the stage by now.</returns>
    public Task<bool> FailAsync(Problem problem, bool transient, CancellationToken cancellation = default) =>
        EndAsync((db, job, stage) => JobTransitions.FailAttemptAsync(
            db, job, stage, problem, transient, _options.RetryDelay * Math.Pow(4, stage.Failures), _options, cancellation),
            cancellation);

    /// <summary>
    /// Gives the stage up without a result and without counting a failure: back to the queue, or cancelled where the job is not to run on.
    /// </summary>
    /// <returns>False where another attempt owns the stage by now.</returns>
    public Task<bool> ReleaseAsync(CancellationToken cancellation = default) =>
        EndAsync((db, job, stage) => job == JobStatus.Running
            ? JobTransitions.ReleaseAttemptAsync(db, stage, cancellation)
            : JobTransitions.CancelAttemptAsync(db, job, stage, cancellation), cancellation);

    public void Dispose()
    {
        StopHeart();
        _onShutdown.Dispose();
        _interrupted.Dispose();
    }

    // While the job's row is locked nobody can take the stage back, so a publication may outlast the lease.
    private async Task<bool> EndAsync(Func<SaeDbContext, JobStatus, StageRow, Task> transition, CancellationToken cancellation)
    {
        StopHeart();
        await using (var db = await _contexts.CreateDbContextAsync(cancellation))
        {
            await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
            var job = await JobTransitions.LockAsync(db, JobId, cancellation);
            var stage = await db.Stages.AsNoTracking().SingleOrDefaultAsync(
                x => x.Id == StageId && x.Status == StageStatus.Running && x.Attempt == Attempt && x.LeaseOwner == _stage.LeaseOwner, cancellation);
            if (job is null || stage is null)
            {
                Interrupt(StageInterruption.Lost);
                return false;
            }
            await db.Database.ExecuteSqlAsync($"UPDATE stages SET peak_bytes = GREATEST(peak_bytes, {PeakBytes()}) WHERE id = {StageId}", cancellation);
            foreach (var unsaid in Unsaid())
                JobTransitions.Emit(db, JobId, "stage.progress", stage, message: unsaid.Message, fraction: unsaid.Fraction);
            await transition(db, job.Value, stage);
            await transaction.CommitAsync(cancellation);
        }
        await _doorbell.RingAsync(JobId, cancellation);
        return true;
    }

    /// <summary>What the attempt said since its last beat, as it may all be over within one.</summary>
    private List<Progress> Unsaid()
    {
        lock (_lock)
            return [.. _overtaken, .. _progress is { Message: not null } progress && progress.Message != _lastEvent.Message ? new[] { progress } : []];
    }

    private void StopHeart()
    {
        _stopped.Set();
        if (_heart.IsAlive)
            _heart.Join();
    }

    /// <summary>Looks, and says the most that was seen. The heart looks while it beats, and whoever ends the lease once it has stopped.</summary>
    private long PeakBytes() => _peakBytes = Math.Max(_peakBytes, Environment.WorkingSet);

    private void Beat()
    {
        var renewed = Environment.TickCount64;
        var tried = renewed;
        while (!_stopped.Wait(Min(_options.ProgressInterval, _options.HeartbeatInterval)))
        {
            PeakBytes();
            try
            {
                var now = Environment.TickCount64;
                if (now - tried >= _options.HeartbeatInterval.TotalMilliseconds)
                {
                    tried = now;
                    switch (Renew())
                    {
                        case null:
                            Interrupt(StageInterruption.Lost);
                            return;
                        case nameof(JobStatus.Running):
                            break;
                        default:
                            Interrupt(StageInterruption.Cancelled);
                            break;
                    }
                    renewed = now;
                }
                WriteProgress();
            }
            catch (Exception error) when (error is NpgsqlException or TimeoutException or InvalidOperationException or IOException)
            {
                NotRenewed(_logger, StageId, Attempt, error);
                // Without the database nobody knows who owns the stage; after the lease has run out it may well be another.
                if (Environment.TickCount64 - renewed > _options.LeaseDuration.TotalMilliseconds)
                {
                    Interrupt(StageInterruption.Lost);
                    return;
                }
            }
        }
    }

    /// <returns>The job's status, or null where the stage is no longer this attempt's.</returns>
    private string? Renew()
    {
        using var command = _source.CreateCommand(
            """
            UPDATE stages s SET lease_expires_at = clock_timestamp() + $4, peak_bytes = GREATEST(peak_bytes, $5)
            FROM jobs j WHERE j.id = s.job_id AND s.id = $1 AND s.attempt = $2 AND s.lease_owner = $3 AND s.status = 'Running' RETURNING j.status
            """);
        command.CommandTimeout = Math.Max(1, (int)(_options.LeaseDuration.TotalSeconds / 2));
        command.Parameters.Add(new() { Value = StageId });
        command.Parameters.Add(new() { Value = Attempt });
        command.Parameters.Add(new() { Value = _stage.LeaseOwner! });
        command.Parameters.Add(new() { Value = _options.LeaseDuration });
        command.Parameters.Add(new() { Value = PeakBytes() });
        return (string?)command.ExecuteScalar();
    }

    private void WriteProgress()
    {
        List<Progress> said;
        lock (_lock)
        {
            said = [.. _overtaken, .. _progress is { } latest ? new[] { latest } : []];
            _overtaken.Clear();
            _progress = null;
        }
        for (var i = 0; i < said.Count; i++)
        {
            if (Write(said[i]))
                continue;
            lock (_lock)
            {
                _progress ??= said[^1];
                _overtaken.InsertRange(0, said[i..^1]);
            }
            return;
        }
    }

    /// <returns>False where the job is locked by another: later, then.</returns>
    private bool Write(Progress progress)
    {
        var withEvent = progress.Fraction - _lastEvent.Fraction >= _options.ProgressEventStep
            || progress.At - _lastEvent.At >= _options.ProgressEventInterval.TotalMilliseconds
            || progress.Message != _lastEvent.Message;
        // Events of a job commit in the order of their ids only under the job's lock. Where another holds it, this can wait for the next beat.
        using var command = _source.CreateCommand(
            """
            WITH j AS (SELECT id FROM jobs WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED),
                 s AS (UPDATE stages SET fraction = $5, tokens_per_second = $6, message = $7 FROM j
                       WHERE stages.job_id = j.id AND stages.id = $2 AND attempt = $3 AND lease_owner = $4 AND status = 'Running'
                       RETURNING stages.job_id, kind, layer, attempt),
                 e AS (INSERT INTO job_events (job_id, type, at, stage, layer, attempt, message, fraction)
                       SELECT job_id, 'stage.progress', clock_timestamp(), kind, layer, attempt, $7, $5 FROM s WHERE $8)
            SELECT count(*) FROM s
            """);
        command.Parameters.Add(new() { Value = JobId });
        command.Parameters.Add(new() { Value = StageId });
        command.Parameters.Add(new() { Value = Attempt });
        command.Parameters.Add(new() { Value = _stage.LeaseOwner! });
        command.Parameters.Add(new() { Value = progress.Fraction });
        command.Parameters.Add(new() { Value = progress.TokensPerSecond ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Double });
        command.Parameters.Add(new() { Value = progress.Message ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = withEvent });
        if ((long)command.ExecuteScalar()! != 1)
            return false;
        if (withEvent)
            _lastEvent = progress;
        return true;
    }

    private void Interrupt(StageInterruption why)
    {
        lock (_lock)
        {
            // A lost lease outranks every other reason: it forbids writing.
            if (_interruption != StageInterruption.None && why != StageInterruption.Lost)
                return;
            _interruption = why;
        }
        try
        {
            _interrupted.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The lease ended while the process was asked to stop.
        }
    }

    private void SweepOtherAttempts()
    {
        try
        {
            _artifacts.DeleteOtherAttempts(JobId, Kind, Layer, Attempt);
        }
        catch (IOException error)
        {
            // A frozen attempt may still hold a file open; the files go with the job.
            NotSwept(_logger, StageId, error);
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private sealed record Progress(double Fraction, double? TokensPerSecond, string? Message, long At);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not renew the lease of stage {StageId}, attempt {Attempt}")]
    private static partial void NotRenewed(ILogger logger, Guid stageId, int attempt, Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Could not remove files of earlier attempts of stage {StageId}")]
    private static partial void NotSwept(ILogger logger, Guid stageId, Exception error);
}
