using Hangfire;

namespace SaeService.Queueing;

/// <summary>
/// The one job that Hangfire knows. Stored jobs name this type and method: renaming either loses them. An interface, because the process that
/// enqueues (Api) does not have the implementation (Worker).
/// </summary>
public interface IStageRunner
{
    /// <summary>
    /// Claims the stage and works it off; returns at once where the claim is not granted, since a doorbell may ring twice. Synchronous:
    /// numeric scopes are bound to a thread.
    /// </summary>
    /// <param name="cancellation">Asks for a stop when the process shuts down.</param>
    [AutomaticRetry(Attempts = 0)]
    [Queue(HangfireSetup.Queue)]
    void Run(Guid stageId, CancellationToken cancellation);
}
