using System.Text.Json;
using System.Text.Json.Serialization;

namespace SaeService.Contracts;

public enum JobStatus { Queued, Running, Cancelling, Succeeded, Failed, Cancelled }

/// <summary>
/// The stages of an analysis, in the order of the data; of several that are ready the last in this order goes first. So the untrained models, which nothing
/// but the conclusion waits for, come before all that is of the trained one.
/// </summary>
public enum StageKind
{
    Prepare,

    /// <summary>Of the model with fresh weights: one forward pass, and by layer the rest of the way: train, encode, label, inform.</summary>
    UntrainedCapture,
    Untrained,

    /// <summary>The same of the model whose blocks' weights are permuted and whose embeddings are the trained ones.</summary>
    PermutedCapture,
    Permuted,
    Capture,
    Train,
    Encode,
    Label,
    Inform,
    Control,

    /// <summary>What a layer's features are compared with: identity, PCA, ICA, untrained autoencoders.</summary>
    Dictionaries,
    Conclude,
}

public static class StageKinds
{
    /// <summary>As on the wire: <c>untrained_capture</c>.</summary>
    public static string Name(this StageKind kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());
}

public enum StageStatus { Waiting, Ready, Running, Succeeded, Failed, Cancelled }

/// <summary>An analysis as its client sees it.</summary>
public sealed record Job
{
    public required Guid Id { get; init; }
    public string Object { get; init; } = "job";
    public required JobStatus Status { get; init; }

    /// <summary>The furthest stage at work; null before the first and after the last.</summary>
    public StageKind? Stage { get; init; }
    public required JobProgress Progress { get; init; }
    public required IReadOnlyList<LayerProgress> Layers { get; init; }

    /// <summary>1, and one more for every retry asked for.</summary>
    public required int Attempt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>The request with every default filled in.</summary>
    public required JobRequest Request { get; init; }

    /// <summary>What it was expected to need when it was submitted, or by now, once it is prepared.</summary>
    public JobEstimate? Estimate { get; init; }
    public Problem? Error { get; init; }
    public required JobUrls Urls { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
}

/// <param name="Fraction">Of the whole job, 0 to 1.</param>
/// <param name="Done">Stages finished.</param>
/// <param name="Total">Stages in all.</param>
/// <param name="TokensPerSecond">Of the stage at work, where it counts tokens.</param>
/// <param name="EtaSeconds">Estimated from the pace so far; null while nothing is known.</param>
public sealed record JobProgress(double Fraction, int Done, int Total, string Unit = "stages", double? TokensPerSecond = null, int? EtaSeconds = null);

/// <param name="Stage">The stage of this layer that is at work, or else the furthest that has begun.</param>
/// <param name="Fraction">Of that stage.</param>
/// <param name="Fvu">Once trained: fraction of variance unexplained, on held-out tokens.</param>
public sealed record LayerProgress(int Layer, StageKind? Stage, StageStatus? Status, double Fraction, double? Fvu = null, string? Message = null);

public sealed record JobUrls(string Self, string Events, string Cancel, string Retry, string Layers, string MutualInformation, string Profiles, string Explorer);

/// <summary>A page of a list, newest first.</summary>
public record Page<T>(IReadOnlyList<T> Data, bool HasMore, string? NextAfter)
{
    public string Object { get; init; } = "list";
}

/// <summary>Something that happened to a job. <see cref="Id"/> grows; a stream resumes after the last one seen.</summary>
public sealed record JobEvent
{
    public required long Id { get; init; }

    /// <summary>job.queued, job.started, stage.started, stage.progress, stage.succeeded, stage.retrying, stage.failed, job.succeeded …</summary>
    public required string Type { get; init; }
    public required DateTimeOffset At { get; init; }
    public StageKind? Stage { get; init; }
    public int? Layer { get; init; }
    public int? Attempt { get; init; }
    public string? Message { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Fraction { get; init; }
}
