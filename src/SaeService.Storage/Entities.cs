using SaeService.Contracts;

namespace SaeService.Storage;

// One class a table. The rows are the truth; Hangfire's tables are only a doorbell.

/// <summary>An analysis.</summary>
public sealed class JobRow
{
    public Guid Id { get; set; }
    public JobStatus Status { get; set; }

    /// <summary>1, and one more for every retry a client asks for.</summary>
    public int Attempt { get; set; } = 1;

    /// <summary>The API key that submitted it; null in the local mode, which has no keys.</summary>
    public Guid? ApiKeyId { get; set; }

    /// <summary>The request with every default filled in, as <see cref="Wire"/> JSON (jsonb).</summary>
    public required string RequestJson { get; set; }

    /// <summary>Filter columns of the list.</summary>
    public required string ModelId { get; set; }
    public required string DatasetId { get; set; }

    /// <summary>The layers that were asked for, in order.</summary>
    public required int[] Layers { get; set; }

    /// <summary>A <see cref="JobEstimate"/> (jsonb): of the submission, then of prepare. Null for jobs that are older than estimates.</summary>
    public string? EstimateJson { get; set; }

    /// <summary>A <see cref="Problem"/> (jsonb) once failed.</summary>
    public string? ErrorJson { get; set; }

    /// <summary>The layer-functionality document (UTF-8 JSON, as it is served) once succeeded, and its SHA-256.</summary>
    public byte[]? Document { get; set; }
    public string? DocumentSha256 { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }

    /// <summary>Postgres' xmin: the row's version, the base of the ETag.</summary>
    public uint Version { get; set; }
}

/// <summary>A unit of work that one worker claims.</summary>
public sealed class StageRow
{
    public Guid Id { get; set; }
    public Guid JobId { get; set; }
    public StageKind Kind { get; set; }

    /// <summary>Null for prepare, capture and conclude.</summary>
    public int? Layer { get; set; }

    /// <summary>Place in the job's order, for lists.</summary>
    public int Ordinal { get; set; }
    public StageStatus Status { get; set; }

    /// <summary>Stages that must have succeeded first.</summary>
    public required Guid[] DependsOn { get; set; }

    /// <summary>The fencing token: grows with every claim. A writer whose attempt is not this one writes nothing.</summary>
    public int Attempt { get; set; }

    /// <summary>Attempts that ended in a lost worker or a transient error since the last success or retry request.</summary>
    public int Failures { get; set; }
    public string? LeaseOwner { get; set; }
    public DateTimeOffset? LeaseExpiresAt { get; set; }

    /// <summary>Not to be claimed before, after a transient failure.</summary>
    public DateTimeOffset? NotBefore { get; set; }

    /// <summary>The outbox: null means the doorbell has not been rung for this readiness.</summary>
    public string? HangfireJobId { get; set; }
    public DateTimeOffset? EnqueuedAt { get; set; }

    /// <summary>Share of the whole job's work, for progress and ETA; the job's stages add up to 1.</summary>
    public double Weight { get; set; }
    public double Fraction { get; set; }
    public double? TokensPerSecond { get; set; }

    /// <summary>Most memory (working set) that its worker was seen to have while it was at it, looked at about once a second. Null: not begun, or run by an older version.</summary>
    public long? PeakBytes { get; set; }
    public string? Message { get; set; }
    public string? ErrorJson { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public uint Version { get; set; }
}

/// <summary>What happened to a job, in order.</summary>
public sealed class JobEventRow
{
    public long Id { get; set; }
    public Guid JobId { get; set; }
    public required string Type { get; set; }
    public DateTimeOffset At { get; set; }
    public StageKind? Stage { get; set; }
    public int? Layer { get; set; }
    public int? Attempt { get; set; }
    public string? Message { get; set; }
    public double? Fraction { get; set; }
}

/// <summary>A file in the artifact store, published with the stage that wrote it.</summary>
public sealed class ArtifactRow
{
    public Guid Id { get; set; }
    public Guid JobId { get; set; }
    public Guid StageId { get; set; }
    public StageKind Stage { get; set; }
    public int? Layer { get; set; }
    public int Attempt { get; set; }

    /// <summary>Name within its stage and layer: <c>codes.safetensors</c>.</summary>
    public required string Name { get; set; }

    /// <summary>Key in the store: job/stage/layer/attempt/name.</summary>
    public required string Key { get; set; }
    public long Bytes { get; set; }
    public required string Sha256 { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

/// <summary>An uploaded data set; those in the operator's folders are not rows.</summary>
public sealed class DatasetRow
{
    public Guid Id { get; set; }
    public required string Name { get; set; }
    public Guid? ApiKeyId { get; set; }

    /// <summary>Key in the artifact store.</summary>
    public required string Key { get; set; }
    public required string Format { get; set; }
    public long Bytes { get; set; }
    public required string Sha256 { get; set; }

    /// <summary>A <see cref="Dataset"/> (jsonb): what was understood of it.</summary>
    public required string StatisticsJson { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

/// <summary>A layer's autoencoder and its quality.</summary>
public sealed class LayerRow
{
    public Guid JobId { get; set; }
    public int Layer { get; set; }

    /// <summary>The attempt of the train stage that published it.</summary>
    public int Attempt { get; set; }
    public int DSae { get; set; }
    public int K { get; set; }
    public double Fvu { get; set; }
    public double L0 { get; set; }
    public double Dead { get; set; }

    /// <summary>A <see cref="SaeProvenance"/> and a <see cref="SaeTraining"/> (jsonb).</summary>
    public required string SaeJson { get; set; }
    public required string TrainingJson { get; set; }
}

/// <summary>A feature of a layer: what does not depend on a task.</summary>
public sealed class FeatureRow
{
    public Guid JobId { get; set; }
    public int Layer { get; set; }
    public int Index { get; set; }
    public double Density { get; set; }
    public float MaxActivation { get; set; }
    public float MeanActivation { get; set; }

    /// <summary>jsonb: <see cref="ActivationHistogram"/>, a list of <see cref="ActivatingContext"/>, two lists of <see cref="TokenEffect"/>.</summary>
    public required string HistogramJson { get; set; }
    public required string ContextsJson { get; set; }
    public required string PromotedJson { get; set; }
    public required string SuppressedJson { get; set; }

    /// <summary>jsonb: lists of <see cref="ActivationInterval"/> and <see cref="LabelHistogram"/>. Null for jobs that are older than them.</summary>
    public string? IntervalsJson { get; set; }
    public string? LabelHistogramsJson { get; set; }

    /// <summary>The promoted tokens in lower case, a line each, for search. Null for jobs that are older than it.</summary>
    public string? PromotedTokens { get; set; }
}

/// <summary>A feature against a task. The columns are what lists filter and sort by; the whole is in <see cref="SummaryJson"/>.</summary>
public sealed class FeatureLabelRow
{
    public Guid JobId { get; set; }
    public int Layer { get; set; }
    public int Index { get; set; }
    public required string Task { get; set; }
    public required string Label { get; set; }
    public FeatureKind Kind { get; set; }
    public bool Consistent { get; set; }
    public double Consistency { get; set; }
    public double ConsistencyLower { get; set; }
    public double F1 { get; set; }
    public double Mcc { get; set; }
    public double MiBits { get; set; }
    public double ContextGain { get; set; }
    public int Support { get; set; }

    /// <summary>A <see cref="FeatureSummary"/> (jsonb).</summary>
    public required string SummaryJson { get; set; }
}

/// <summary>A layer x label cell of the conclusion.</summary>
public sealed class CellRow
{
    public Guid JobId { get; set; }
    public int Layer { get; set; }
    public required string Task { get; set; }
    public required string Label { get; set; }
    public CellStatus Status { get; set; }
    public double UnionF1 { get; set; }
    public double Excess { get; set; }
    public int FeatureCount { get; set; }
    public double IvBits { get; set; }
    public double Normalised { get; set; }
    public int Support { get; set; }
}

/// <summary>A probe's result: one layer, one task.</summary>
public sealed class ProbeRow
{
    public Guid JobId { get; set; }
    public int Layer { get; set; }
    public required string Task { get; set; }
    public double IvBits { get; set; }
    public double ControlBits { get; set; }
    public double ShuffledBits { get; set; }
    public double Accuracy { get; set; }
    public double MacroF1 { get; set; }

    /// <summary>A <see cref="LayerInformation"/> (jsonb).</summary>
    public required string InformationJson { get; set; }
}

/// <summary>A key of the interface. The key itself is shown once and not stored.</summary>
public sealed class ApiKeyRow
{
    public Guid Id { get; set; }
    public required string Name { get; set; }

    /// <summary>First characters, to tell keys apart in lists.</summary>
    public required string Prefix { get; set; }
    public required byte[] Sha256 { get; set; }

    /// <summary><c>read</c>, <c>submit</c>, <c>admin</c>; each includes the ones before.</summary>
    public required string Scope { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? LastUsedAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>A replayable answer to a POST.</summary>
public sealed class IdempotencyKeyRow
{
    /// <summary>The API key's id, or empty in the local mode.</summary>
    public Guid Owner { get; set; }
    public required string Key { get; set; }
    public required byte[] BodySha256 { get; set; }

    /// <summary>The job that the first request made, in the same transaction as this row.</summary>
    public Guid JobId { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

public enum InspectionState { Waiting, Running, Answered, Failed }

/// <summary>A text that somebody waits to have inspected: from the interface to a worker and back. Whoever asked deletes it.</summary>
public sealed class InspectionRow
{
    public Guid Id { get; set; }
    public Guid JobId { get; set; }

    /// <summary>An <see cref="InspectionRequest"/> (jsonb).</summary>
    public required string RequestJson { get; set; }
    public InspectionState State { get; set; }

    /// <summary>Workers that took it. One that kills its worker is not handed on for ever.</summary>
    public int Attempts { get; set; }

    /// <summary>Name of the worker that took it last, and the advisory lock that this worker's session holds as long as it lives.</summary>
    public string? ClaimedBy { get; set; }
    public int? ClaimKey { get; set; }

    /// <summary>An <see cref="InspectionAnswer"/> (jsonb).</summary>
    public string? AnswerJson { get; set; }

    /// <summary>A <see cref="Problem"/> (jsonb).</summary>
    public string? ErrorJson { get; set; }
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>Nobody waits any more.</summary>
    public DateTimeOffset ExpiresAt { get; set; }
}

/// <summary>A webhook to be sent, or sent.</summary>
public sealed class WebhookDeliveryRow
{
    public Guid Id { get; set; }
    public Guid JobId { get; set; }
    public required string Url { get; set; }
    public string? Secret { get; set; }
    public required string Payload { get; set; }
    public int Attempts { get; set; }
    public DateTimeOffset NextAttemptAt { get; set; }
    public DateTimeOffset? DeliveredAt { get; set; }
    public DateTimeOffset? GaveUpAt { get; set; }
    public string? LastError { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}
