using Microsoft.EntityFrameworkCore;
using SaeService.Api.Access;
using SaeService.Contracts;
using SaeService.Estimates;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Requests;

/// <summary>What a job will need, against what this service may use.</summary>
public sealed class JobEstimates(ServiceSettings settings, CorpusSample corpora, IDbContextFactory<SaeDbContext> contexts)
{
    /// <summary>
    /// Of memory, what is set; else, where the service is one's own (open, on loopback) and its workers run here, this machine's, all of it, since what is free
    /// when the job's turn comes is not known; else nothing is known of the workers, and the one that prepares the job looks at its own.
    /// </summary>
    public ResourceLimits Limits => new(
        settings.Limits.MaxMemoryBytes ?? (settings.Open ? MachineLimits.TotalMemory : null),
        settings.Limits.MaxDiskBytes ?? MachineLimits.FreeDisk(settings.ArtifactsRoot));

    /// <param name="request">Resolved.</param>
    /// <param name="extra">The text without labels, where the request has some.</param>
    /// <exception cref="ProblemException">insufficient_resources where even a job with no word in its data set could not be run.</exception>
    public async Task<JobEstimate> OfAsync(JobRequest request, Model model, Dataset dataset, Dataset? extra, Caller caller, CancellationToken ct)
    {
        await using var db = await contexts.CreateDbContextAsync(ct);
        var pace = await StagePaces.ReadAsync(db, ct);
        var density = await corpora.OfAsync(model, dataset, request.Dataset.Split!, caller, ct);
        if (density is null)
        {
            Require(JobEstimator.Of(SizeOf(request, model, dataset, words: 0, tokens: 0), Worker, pace));
            return new()
            {
                MemoryBytes = null,
                DiskBytes = null,
                Seconds = null,
                Tokens = null,
                Pace = pace,
                Reason = (model.Source == "hub" ? $"the model '{model.Id}'" : $"the data set '{dataset.Id}'")
                    + " is fetched when the job is prepared; it is estimated then, and refused if it does not fit",
            };
        }
        var words = (long)Math.Min(request.Dataset.MaxWords!.Value, dataset.Words * density.SplitShare);
        var text = words * density.TokensPerWord + (extra is null ? 0 : Math.Min(request.Dataset.ExtraTokens!.Value, extra.Bytes * density.TokensPerByte));
        // A context holds sentences of one document and is cut at its length.
        var pieces = text / request.ContextLength!.Value + DocumentsOf(dataset, words);
        return JobEstimator.Of(SizeOf(request, model, dataset, words, (long)(text + pieces * density.SpecialTokens)), Worker, pace);
    }

    /// <exception cref="ProblemException">insufficient_resources, with the numbers and what to lower.</exception>
    public void Require(JobEstimate estimate)
    {
        if (JobEstimator.Refusal(estimate, Limits) is { } refusal)
            throw new ProblemException(ProblemCodes.InsufficientResources, refusal);
    }

    private static WorkerShape Worker => new(Environment.ProcessorCount);

    private static JobSize SizeOf(JobRequest request, Model model, Dataset dataset, long words, long tokens) => new()
    {
        Request = request,
        Model = ModelSize.Of(model),
        Layers = request.Layers!.Layers!.Count,
        Tokens = tokens,
        Words = words,
        Documents = DocumentsOf(dataset, words),
        Labels = [.. request.Tasks!.Select(task => dataset.Tasks.FirstOrDefault(t => t.Task == task)?.Labels.Count
            ?? dataset.FurtherTasks.FirstOrDefault(t => t.Task == task)?.Labels ?? 0)],
    };

    private static long DocumentsOf(Dataset dataset, long words) => (long)Math.Ceiling((double)dataset.Documents * words / Math.Max(1, dataset.Words));
}
