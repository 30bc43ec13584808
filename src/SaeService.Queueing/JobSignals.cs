using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace SaeService.Queueing;

/// <summary>
/// Wakes those who follow a job when it has a new event, and those who wait for an inspection when it has its answer: one connection a process listens for
/// all of them. A signal may be spurious and, while Postgres is away, late; so a follower reads after every wake and after every timeout.
/// </summary>
public sealed partial class JobSignals(NpgsqlDataSource source, ILogger<JobSignals> logger) : BackgroundService
{
    internal const string InspectionAnswers = "inspection_answers";

    private readonly ConcurrentDictionary<Guid, List<JobSignal>> _followers = new();

    /// <summary>Subscribes before the first read: what happens between a read and the next wait is not missed.</summary>
    /// <param name="id">Of a job or of an inspection.</param>
    public JobSignal Follow(Guid id)
    {
        var signal = new JobSignal(id, Remove);
        _followers.AddOrUpdate(id, _ => [signal], (_, signals) => [.. signals, signal]);
        return signal;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(stoppingToken);
                connection.Notification += (_, notification) =>
                {
                    if (Guid.TryParse(notification.Payload, out var id) && _followers.TryGetValue(id, out var signals))
                        signals.ForEach(x => x.Set());
                };
                await using (var listen = new NpgsqlCommand($"LISTEN job_events; LISTEN {InspectionAnswers}", connection))
                    await listen.ExecuteNonQueryAsync(stoppingToken);
                // Whatever happened while nobody listened.
                foreach (var signals in _followers.Values)
                    signals.ForEach(x => x.Set());
                while (true)
                    await connection.WaitAsync(stoppingToken);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                ListenerLost(logger, error);
                await Task.Delay(TimeSpan.FromSeconds(1), stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private void Remove(JobSignal signal)
    {
        // Lists are replaced, never changed, so that readers need no lock.
        while (_followers.TryGetValue(signal.Id, out var signals))
        {
            List<JobSignal> rest = [.. signals.Where(x => x != signal)];
            if (rest.Count == 0 ? _followers.TryRemove(KeyValuePair.Create(signal.Id, signals)) : _followers.TryUpdate(signal.Id, rest, signals))
                return;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The connection that listens for job events was lost")]
    private static partial void ListenerLost(ILogger logger, Exception error);
}

/// <summary>One follower's bell.</summary>
public sealed class JobSignal : IDisposable
{
    private readonly SemaphoreSlim _set = new(0, 1);
    private readonly Action<JobSignal> _remove;

    internal JobSignal(Guid id, Action<JobSignal> remove)
    {
        Id = id;
        _remove = remove;
    }

    public Guid Id { get; }

    /// <summary>Until something happened since the last wait, or the timeout.</summary>
    /// <returns>False after the timeout.</returns>
    public Task<bool> WaitAsync(TimeSpan timeout, CancellationToken cancellation) => _set.WaitAsync(timeout, cancellation);

    internal void Set()
    {
        try
        {
            _set.Release();
        }
        catch (SemaphoreFullException)
        {
            // Rung already.
        }
        catch (ObjectDisposedException)
        {
            // The follower has left.
        }
    }

    public void Dispose()
    {
        _remove(this);
        _set.Dispose();
    }
}
