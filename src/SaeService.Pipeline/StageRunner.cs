using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Interpretation.Information;
using SaeService.Pipeline.Inspection;
using SaeService.Pipeline.Stages;
using SaeService.Queueing;
using SaeService.Sources;
using SaeService.Storage;
using TorchSharp;

namespace SaeService.Pipeline;

/// <summary>Works a stage off: claims it, runs it, publishes its results or says why it has none.</summary>
public sealed partial class StageRunner(StageLeases leases, ArtifactStore store, CatalogueRoots roots, WorkerOptions worker, IDbContextFactory<SaeDbContext> contexts,
    WarmJobs warm, ILogger<StageRunner> logger) : IStageRunner
{
    // Unlike any other process's, past or present.
    private readonly string _owner = $"{worker.Name}/{Environment.ProcessId}/{Guid.NewGuid():N}";

    private static readonly Dictionary<StageKind, Func<StageContext, StageOutput>> s_stages = new()
    {
        [StageKind.Prepare] = PrepareStage.Run,
        [StageKind.Capture] = CaptureStage.Run,
        [StageKind.Train] = TrainStage.Run,
        [StageKind.Encode] = EncodeStage.Run,
        [StageKind.Label] = LabelStage.Run,
        [StageKind.Inform] = InformStage.Run,
        [StageKind.Control] = ControlStage.Run,
        [StageKind.Dictionaries] = DictionariesStage.Run,
        [StageKind.UntrainedCapture] = CaptureStage.Run,
        [StageKind.Untrained] = UntrainedStage.Run,
        [StageKind.PermutedCapture] = CaptureStage.Run,
        [StageKind.Permuted] = UntrainedStage.Run,
        [StageKind.Conclude] = ConcludeStage.Run,
    };

    public void Run(Guid stageId, CancellationToken cancellation)
    {
        using var lease = leases.TryClaimNextAsync(stageId, _owner, cancellation).GetAwaiter().GetResult();
        if (lease is null)
            return;
        using var scope = logger.BeginScope(new Dictionary<string, object?>
        {
            ["JobId"] = lease.JobId,
            ["Stage"] = lease.Kind,
            ["Layer"] = lease.Layer,
            ["Attempt"] = lease.Attempt,
        });
        var started = TimeProvider.System.GetTimestamp();
        Started(logger, lease.Kind, lease.Layer, lease.Attempt);
        try
        {
            FailPoint.Pass("after-claim", lease.Kind);
            using var room = warm.GiveWayTo(lease.Kind, EstimateOf(lease.JobId));
            // libtorch's sums depend on its threads, of which every thread that calls it has a number of its own. What takes long runs in Passes.
            if (!worker.IsCuda)
                torch.set_num_threads(1);
            using var context = new StageContext(lease, store, roots, worker, contexts);
            var output = s_stages[lease.Kind](context);
            lease.Interrupted.ThrowIfCancellationRequested();
            FailPoint.Pass("before-publish", lease.Kind);
            // Not to be broken off half-way: the transaction is short.
            if (lease.SucceedAsync(output.Artifacts, output.Publish, CancellationToken.None).GetAwaiter().GetResult())
            {
                output.AfterPublish?.Invoke();
                Succeeded(logger, lease.Kind, TimeProvider.System.GetElapsedTime(started).TotalSeconds, Environment.WorkingSet >> 20);
            }
            else
                FencedOut(logger, lease.Kind);
            FailPoint.Pass("after-publish", lease.Kind);
        }
        catch (OperationCanceledException) when (lease.Interruption != StageInterruption.None)
        {
            Interrupted(logger, lease.Kind, lease.Interruption);
            if (lease.Interruption != StageInterruption.Lost)
                lease.ReleaseAsync(CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            var (problem, transient) = Describe(error, lease);
            Failed(logger, lease.Kind, problem.Code, transient, error);
            lease.FailAsync(problem, transient, CancellationToken.None).GetAwaiter().GetResult();
        }
        finally
        {
            // A stage's large arrays are garbage all at once, and the next stage's come at once: the collector is told, so that peaks do not add up.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
    }

    private JobEstimate? EstimateOf(Guid jobId)
    {
        using var db = contexts.CreateDbContext();
        var json = db.Jobs.Where(j => j.Id == jobId).Select(j => j.EstimateJson).SingleOrDefault();
        return json is null ? null : JsonSerializer.Deserialize<JobEstimate>(json, Wire.Json);
    }

    /// <summary>What the caller is told, and whether trying again can help: it can not where the input is at fault.</summary>
    private static (Problem Problem, bool Transient) Describe(Exception error, StageLease lease)
    {
        var (code, detail, remedy, transient) = error switch
        {
            ProblemException e => (e.Code, e.Message, "Change the request and submit it anew.", false),
            CheckpointException e => (SourceProblems.CodeOf(e.Fault), e.Message, "Mend or replace the model's files, then retry the job.", false),
            CorpusException e => (ProblemCodes.InvalidDataset, e.Message, "Mend the data set, then retry the job.", false),
            UnmeasurableTaskException e => (ProblemCodes.InvalidDataset, e.Message, "Leave the task out, or give more labelled words.", false),
            // Nothing else that is fetched for a stage comes this far: what can not be mended by trying again is the request's.
            SourceException e => (ProblemCodes.HubUnavailable, e.Message, "What has come is kept; retry the job when the source can be reached.", true),
            RootedPathException e => (e.Fault == RootedPathFault.Outside ? ProblemCodes.ModelOutsideRoots : ProblemCodes.UnknownModel, e.Message,
                "Put it back where the operator's folders have it, then retry the job.", false),
            OutOfMemoryException => (ProblemCodes.InsufficientResources,
                $"The stage needs more memory than Worker:MaxMemoryBytes or the machine has: {error.Message}",
                "Lower sae.d_sae, sae.batch_tokens or dataset.max_words and submit it anew, or give the worker more and retry the job.", false),
            _ => (ProblemCodes.Internal, $"{error.GetType().Name}: {error.Message}", "The job keeps what was finished; retry it.", true),
        };
        var problem = ProblemCodes.Create(code, detail) with
        {
            Stage = lease.Kind,
            Layer = lease.Layer,
            Kept = "The results of every stage that had succeeded.",
            Remedy = remedy,
        };
        return (problem, transient);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Stage {Stage} of layer {OfLayer} begins, attempt {Number}")]
    private static partial void Started(ILogger logger, StageKind stage, int? ofLayer, int number);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stage {Stage} succeeded in {Seconds:F1} s, working set {Megabytes} MB")]
    private static partial void Succeeded(ILogger logger, StageKind stage, double seconds, long megabytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Stage {Stage} is another attempt's by now; nothing was written")]
    private static partial void FencedOut(ILogger logger, StageKind stage);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stage {Stage} stops: {Reason}")]
    private static partial void Interrupted(ILogger logger, StageKind stage, StageInterruption reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Stage {Stage} failed with {Code} (transient: {Transient})")]
    private static partial void Failed(ILogger logger, StageKind stage, string code, bool transient, Exception error);
}
