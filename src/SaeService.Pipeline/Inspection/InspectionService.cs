using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Sources;
using SaeService.Storage;
using TorchSharp;

namespace SaeService.Pipeline.Inspection;

/// <summary>Answers inspections beside whatever stage is at work, on a thread of its own: numeric scopes are bound to a thread, and a stage may keep the pool's busy.</summary>
public sealed partial class InspectionService(NpgsqlDataSource source, IDbContextFactory<SaeDbContext> contexts, ArtifactStore store, CatalogueRoots roots,
    WorkerOptions worker, WarmJobs warm, ILogger<InspectionService> logger) : IHostedService, IDisposable
{
    // How often it looks without being called: for texts of workers that died, and for what is idle.
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stopping = new();
    private Thread? _thread;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _thread = new Thread(Listen) { IsBackground = true, Name = "inspections" };
        _thread.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping.Cancel();
        // What it is at takes seconds at most where all is loaded; what is being loaded is the next worker's.
        return Task.Run(() => _thread?.Join(TimeSpan.FromSeconds(5)), CancellationToken.None);
    }

    public void Dispose() => _stopping.Dispose();

    private void Listen()
    {
        var stopping = _stopping.Token;
        // As in the stages: sums that do not depend on the number of threads, and one core at most taken from whatever is at work.
        if (!worker.IsCuda)
            torch.set_num_threads(1);
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                using var desk = InspectionDesk.Open(source, worker.Name);
                while (!stopping.IsCancellationRequested)
                {
                    while (!stopping.IsCancellationRequested && desk.TryClaim() is { } claimed)
                        Answer(desk, claimed, stopping);
                    warm.GiveUpIdle();
                    desk.Wait(s_look);
                }
            }
            catch (Exception error)
            {
                // Postgres may be away for a while.
                Lost(logger, error);
                stopping.WaitHandle.WaitOne(s_look);
            }
        }
    }

    private void Answer(InspectionDesk desk, ClaimedInspection claimed, CancellationToken stopping)
    {
        var started = TimeProvider.System.GetTimestamp();
        InspectionAnswer answer;
        try
        {
            FailPoint.Pass("at", "inspection");
            answer = Inspect(claimed, stopping);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            var problem = Describe(error);
            if (problem.Status >= 500)
                Failed(logger, claimed.JobId, problem.Code, error);
            desk.Refuse(claimed, problem);
            return;
        }
        desk.Answer(claimed, answer);
        Answered(logger, claimed.JobId, answer.Tokens.Count, TimeProvider.System.GetElapsedTime(started).TotalMilliseconds);
    }

    private InspectionAnswer Inspect(ClaimedInspection claimed, CancellationToken stopping)
    {
        // Before the lock that stages wait for: a model may have to be fetched.
        var found = warm.Holds(claimed.JobId) ? null : Find();
        return warm.Use(claimed.JobId, mayHold => WarmJob.Load(found ?? Find(), worker, contexts, mayHold),
            (job, mayHold) => Inspector.Run(job, claimed.Request, mayHold));

        InspectedJob Find()
        {
            using var db = contexts.CreateDbContext();
            return InspectedJob.Find(claimed.JobId, db, store, roots, stopping);
        }
    }

    private static Problem Describe(Exception error) => error switch
    {
        ProblemException e => ProblemCodes.Create(e.Code, e.Message) with { Errors = e.Errors },
        RootedPathException e => ProblemCodes.Create(e.Fault == RootedPathFault.Outside ? ProblemCodes.ModelOutsideRoots : ProblemCodes.UnknownModel,
            $"The job's model is not where the job found it: {e.Message}. Put it back where the operator's folders have it."),
        SourceException { Transient: true } e => ProblemCodes.Create(ProblemCodes.HubUnavailable, $"The job's model can not be fetched now: {e.Message}"),
        SourceException e => ProblemCodes.Create(SourceProblems.Of(e, RepoKind.Model, "$.text").Code, $"The job's model can not be fetched: {e.Message}"),
        CheckpointException e => ProblemCodes.Create(SourceProblems.CodeOf(e.Fault), $"The job's model or an autoencoder can not be read any more: {e.Message}"),
        IOException or UnauthorizedAccessException => ProblemCodes.Create(ProblemCodes.Unavailable,
            $"This worker can not read the files of the job: {error.Message} Workers need the artifact store of the service (Artifacts:Root)."),
        OutOfMemoryException => ProblemCodes.Create(ProblemCodes.InsufficientResources,
            "The worker has no memory for the job's model and autoencoders beside what it is at. Ask again when its stage is done, or give it more."),
        _ => ProblemCodes.Create(ProblemCodes.Internal, $"The worker could not inspect the text: {error.GetType().Name}: {error.Message}"),
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "Inspected {Tokens} tokens with job {JobId} in {Milliseconds:F0} ms")]
    private static partial void Answered(ILogger logger, Guid jobId, int tokens, double milliseconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "An inspection with job {JobId} failed with {Code}")]
    private static partial void Failed(ILogger logger, Guid jobId, string code, Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The session that takes inspections was lost")]
    private static partial void Lost(ILogger logger, Exception error);
}
