using Hangfire;

namespace SaeService.Queueing;

/// <summary>
/// The one job that Hangfire knows. Stored jobs name this type and method: renaming either loses them. An interface, because the process that
/// enqueues (Api) does not have the implementation (Worker).
/// </summary>
public interface IStageRunner
{
    /// <summary>
    /// Claims a stage and works it off: this one, or one that is to be done before it. Returns at once where there is nothing to do, since a
    /// doorbell may ring twice. Synchronous: numeric scopes are bound to a thread.
    /// </summary>
    /// <param name="stageId">The stage that the ring was for.</param>
    /// <param name="cancellation">Asks for a stop when the process shuts down.</param>
    [AutomaticRetry(Attempts = 0)]
    [Queue(HangfireSetup.Queue)]
    void Run(Guid stageId, CancellationToken cancellation);
}
