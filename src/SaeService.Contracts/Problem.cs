namespace SaeService.Contracts;

/// <summary>RFC 9457 problem details with a stable code.</summary>
public sealed record Problem
{
    /// <summary>urn:sae:problem:CODE, stable for every <see cref="Code"/>.</summary>
    public required string Type { get; init; }
    public required string Title { get; init; }
    public required int Status { get; init; }
    public string? Detail { get; init; }
    public string? Instance { get; init; }
    public required string Code { get; init; }
    public string? TraceId { get; init; }

    /// <summary>Messages by JSON path of the member they are about: <c>$.sae.k</c>.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }

    /// <summary>For a failed job: the stage and layer it failed in, what was kept and what the caller can do.</summary>
    public StageKind? Stage { get; init; }
    public int? Layer { get; init; }
    public string? Kept { get; init; }
    public string? Remedy { get; init; }
}

/// <summary>Input that can not be accepted. Everything that refuses a request or fails a stage for the caller's sake throws this.</summary>
/// <param name="code">One of <see cref="ProblemCodes"/>.</param>
/// <param name="field">JSON path of the member at fault, where one is: <c>$.model.id</c>.</param>
/// <param name="errors">Where several members are at fault: messages by JSON path.</param>
public sealed class ProblemException(string code, string detail, string? field = null, Exception? inner = null,
    IReadOnlyDictionary<string, string[]>? errors = null) : Exception(detail, inner)
{
    public string Code { get; } = code;
    public string? Field { get; } = field;
    public IReadOnlyDictionary<string, string[]>? Errors { get; } =
        errors ?? (field is null ? null : new Dictionary<string, string[]> { [field] = [detail] });
}

/// <summary>Every problem the service answers with: code, HTTP status, title.</summary>
public static class ProblemCodes
{
    public const string InvalidRequest = "invalid_request";
    public const string InvalidParameter = "invalid_parameter";
    public const string MalformedJson = "malformed_json";
    public const string UnknownField = "unknown_field";
    public const string UnknownModel = "unknown_model";
    public const string ModelOutsideRoots = "model_outside_roots";
    public const string UnsupportedModel = "unsupported_model";
    public const string InvalidModel = "invalid_model";
    public const string PickleOnlyModel = "pickle_only_model";
    public const string HubOffline = "hub_offline";
    public const string HubUnauthorized = "hub_unauthorized";
    public const string HubUnavailable = "hub_unavailable";
    public const string HubDamaged = "hub_damaged";
    public const string HubRefused = "hub_refused";
    public const string UnknownDataset = "unknown_dataset";
    public const string DatasetOutsideRoots = "dataset_outside_roots";
    public const string InvalidDataset = "invalid_dataset";
    public const string TaskNotInDataset = "task_not_in_dataset";
    public const string LayerOutOfRange = "layer_out_of_range";
    public const string AlignmentFailed = "alignment_failed";
    public const string NotAvailable = "not_available";
    public const string InsufficientResources = "insufficient_resources";
    public const string NotFound = "not_found";
    public const string MethodNotAllowed = "method_not_allowed";
    public const string NotReady = "not_ready";
    public const string Conflict = "conflict";
    public const string IdempotencyMismatch = "idempotency_key_reused";
    public const string IdempotencyInFlight = "idempotency_key_in_flight";
    public const string TooLarge = "payload_too_large";
    public const string UnsupportedMediaType = "unsupported_media_type";
    public const string Unauthorized = "unauthorized";
    public const string Forbidden = "forbidden";
    public const string RateLimited = "rate_limited";
    public const string TooManyQueuedJobs = "too_many_queued_jobs";
    public const string WorkerLost = "worker_lost";
    public const string Internal = "internal_error";
    public const string Unavailable = "unavailable";

    private static readonly Dictionary<string, (int Status, string Title)> s_known = new()
    {
        [InvalidRequest] = (422, "The request is not valid"),
        [InvalidParameter] = (400, "A parameter of the address or a header is not valid"),
        [MalformedJson] = (400, "The body is not valid JSON"),
        [UnknownField] = (400, "The request has a member that is not known"),
        [UnknownModel] = (422, "The model is not known"),
        [ModelOutsideRoots] = (422, "The model is outside the allowed folders"),
        [UnsupportedModel] = (422, "The model's architecture is not supported"),
        [InvalidModel] = (422, "The model's files can not be used"),
        [PickleOnlyModel] = (422, "The model has no safetensors weights"),
        [HubOffline] = (422, "Fetching is switched off"),
        [HubUnauthorized] = (422, "The source does not open this to the service"),
        [HubUnavailable] = (503, "The source can not be reached now"),
        [HubDamaged] = (502, "What the source sent is not what it announced"),
        [HubRefused] = (422, "This is not fetched"),
        [UnknownDataset] = (422, "The data set is not known"),
        [DatasetOutsideRoots] = (422, "The data set is outside the allowed folders"),
        [InvalidDataset] = (422, "The data set can not be read"),
        [TaskNotInDataset] = (422, "The data set does not have this task"),
        [LayerOutOfRange] = (422, "The model does not have this layer"),
        [AlignmentFailed] = (422, "Too few words could be aligned with the model's tokens"),
        [NotAvailable] = (422, "This version of the service can not do this"),
        [InsufficientResources] = (422, "The job needs more than this service may use"),
        [NotFound] = (404, "Not found"),
        [MethodNotAllowed] = (405, "The method is not allowed here"),
        [NotReady] = (409, "Not ready yet"),
        [Conflict] = (409, "The present state does not allow this"),
        [IdempotencyMismatch] = (422, "The idempotency key was used with another body"),
        [IdempotencyInFlight] = (409, "A request with this idempotency key is in flight"),
        [TooLarge] = (413, "The upload is too large"),
        [UnsupportedMediaType] = (415, "The content type is not supported"),
        [Unauthorized] = (401, "An API key is needed"),
        [Forbidden] = (403, "The API key does not allow this"),
        [RateLimited] = (429, "Too many requests"),
        [TooManyQueuedJobs] = (429, "Too many jobs are queued"),
        [WorkerLost] = (500, "The worker was lost"),
        [Internal] = (500, "An error of the service"),
        [Unavailable] = (503, "The service can not answer now"),
    };

    public static IReadOnlyCollection<string> All => s_known.Keys;
    public static int StatusOf(string code) => s_known[code].Status;
    public static string TitleOf(string code) => s_known[code].Title;

    public static Problem Create(string code, string? detail = null, string? field = null, string? instance = null, string? traceId = null) => new()
    {
        Type = $"urn:sae:problem:{code}",
        Title = TitleOf(code),
        Status = StatusOf(code),
        Detail = detail,
        Instance = instance,
        Code = code,
        TraceId = traceId,
        Errors = field is null || detail is null ? null : new Dictionary<string, string[]> { [field] = [detail] },
    };
}
