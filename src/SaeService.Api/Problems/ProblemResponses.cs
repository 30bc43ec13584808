using System.Diagnostics;
using System.Net.Mime;
using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using SaeService.Api.Access;
using SaeService.Api.Explorer;
using SaeService.Api.Explorer.Layout;
using SaeService.Contracts;

namespace SaeService.Api.Problems;

/// <summary>Every answer that is not a success is a <see cref="Problem"/>, whoever decides it: a handler, the routing, Kestrel or an error.</summary>
public static class ProblemResponses
{
    public const string ContentType = MediaTypeNames.Application.ProblemJson;

    public static IServiceCollection AddProblemResponses(this IServiceCollection services) => services.AddExceptionHandler<ProblemExceptionHandler>().AddProblemDetails();

    public static void UseProblemResponses(this WebApplication app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            SuppressDiagnosticsCallback = _ => true, // the handler logs what is our fault
            CreateScopeForErrors = true, // the page that failed has used up its renderer
        });
        app.UseStatusCodePages(context => WriteAsync(context.HttpContext, ForStatus(context.HttpContext)));
    }

    public static Task WriteAsync(HttpContext context, Problem problem)
    {
        context.Response.StatusCode = problem.Status;
        context.Response.Headers.CacheControl = "no-store";
        if (RetryAfter(problem.Code) is { } seconds && context.Response.Headers.RetryAfter.Count == 0)
            context.Response.Headers.RetryAfter = seconds;
        problem = problem with { Instance = problem.Instance ?? context.Request.Path.Value, TraceId = problem.TraceId ?? TraceId(context) };
        return Session.WantsPage(context.Request) && ExplorerSetup.IsPage(context.Request)
            ? new RazorComponentResult<ProblemPage>(new { Problem = problem }) { StatusCode = problem.Status }.ExecuteAsync(context)
            : context.Response.WriteAsJsonAsync(problem, s_json, ContentType, context.RequestAborted);
    }

    /// <summary>For problems that pass by themselves: when to ask again, seconds.</summary>
    private static string? RetryAfter(string code) => code switch
    {
        ProblemCodes.TooManyQueuedJobs => "30",
        ProblemCodes.Unavailable or ProblemCodes.NotReady => "5",
        ProblemCodes.IdempotencyInFlight or ProblemCodes.RateLimited => "1",
        _ => null,
    };

    public static Problem From(ProblemException e) => ProblemCodes.Create(e.Code, e.Message) with { Errors = e.Errors };

    public static string TraceId(HttpContext context) => Activity.Current?.TraceId.ToString() ?? context.TraceIdentifier;

    /// <summary>For answers that the framework gives as a bare status.</summary>
    private static Problem ForStatus(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status401Unauthorized => ProblemCodes.Create(ProblemCodes.Unauthorized, "Send an API key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."),
        StatusCodes.Status403Forbidden => ProblemCodes.Create(ProblemCodes.Forbidden, "This needs a key of a wider scope."),
        StatusCodes.Status404NotFound => ProblemCodes.Create(ProblemCodes.NotFound, $"There is nothing at {context.Request.Path}."),
        StatusCodes.Status405MethodNotAllowed => ProblemCodes.Create(ProblemCodes.MethodNotAllowed,
            $"{context.Request.Method} is not allowed here; allowed: {context.Response.Headers.Allow}."),
        StatusCodes.Status413PayloadTooLarge => ProblemCodes.Create(ProblemCodes.TooLarge),
        StatusCodes.Status415UnsupportedMediaType => ProblemCodes.Create(ProblemCodes.UnsupportedMediaType,
            $"The content type '{context.Request.ContentType}' is not accepted here."),
        StatusCodes.Status429TooManyRequests => ProblemCodes.Create(ProblemCodes.RateLimited),
        StatusCodes.Status503ServiceUnavailable => ProblemCodes.Create(ProblemCodes.Unavailable),
        >= 500 and var status => ProblemCodes.Create(ProblemCodes.Internal) with { Status = status },
        var status => ProblemCodes.Create(ProblemCodes.InvalidParameter) with { Status = status },
    };

    /// <summary>Members without a value are left out: a reader of a problem should see what there is.</summary>
    private static readonly JsonSerializerOptions s_json = new(Wire.Json) { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull };

    private sealed class ProblemExceptionHandler(ILogger<ProblemExceptionHandler> log) : IExceptionHandler
    {
        public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken ct)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
                return true;
            }
            if (IsOurFault(exception))
                log.LogError(exception, "{Method} {Path} failed", context.Request.Method, context.Request.Path);
            await WriteAsync(context, For(exception));
            return true;
        }

        private static bool IsOurFault(Exception exception) => exception is not (ProblemException or BadHttpRequestException);

        private static Problem For(Exception exception) => exception switch
        {
            ProblemException e => From(e),
            BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => ProblemCodes.Create(ProblemCodes.TooLarge, "The body is larger than is accepted here."),
            BadHttpRequestException { StatusCode: StatusCodes.Status415UnsupportedMediaType } e => ProblemCodes.Create(ProblemCodes.UnsupportedMediaType, e.Message),
            BadHttpRequestException e => ProblemCodes.Create(ProblemCodes.InvalidParameter, e.Message) with { Status = e.StatusCode },
            PostgresException { SqlState: PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn } =>
                ProblemCodes.Create(ProblemCodes.Unavailable, "The database does not have the schema of this version; its operator runs 'sae migrate'."),
            NpgsqlException { IsTransient: true } or TimeoutException => ProblemCodes.Create(ProblemCodes.Unavailable, "The database does not answer; try again."),
            // Nothing of an unexpected error is told: the trace id finds it in the log.
            _ => ProblemCodes.Create(ProblemCodes.Internal, "Something unexpected went wrong. The trace id finds it in the service's log."),
        };
    }
}
