using Serilog;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace SaeService.Api.Operations;

public static class Logging
{
    /// <summary>Compact JSON on standard output, or plain lines with <c>Logging:Format=text</c>; levels by <c>Serilog:MinimumLevel</c>.</summary>
    public static void UseStructuredLogs(this WebApplicationBuilder builder) => builder.Services.AddSerilog((_, log) =>
    {
        log.MinimumLevel.Information()
            .MinimumLevel.Override("Microsoft.AspNetCore", LogEventLevel.Warning)
            .MinimumLevel.Override("Microsoft.EntityFrameworkCore", LogEventLevel.Warning)
            .MinimumLevel.Override("Hangfire", LogEventLevel.Warning)
            .MinimumLevel.Override("System.Net.Http", LogEventLevel.Warning)
            .ReadFrom.Configuration(builder.Configuration)
            .Enrich.FromLogContext();
        if (builder.Configuration["Logging:Format"] == "text")
            log.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {Message:lj} {JobId}{NewLine}{Exception}", formatProvider: System.Globalization.CultureInfo.InvariantCulture);
        else
            log.WriteTo.Console(new CompactJsonFormatter());
    });

    /// <summary>One line a request: never its query or headers, which may hold a key.</summary>
    public static void UseRequestLog(this WebApplication app) => app.UseSerilogRequestLogging(options =>
    {
        options.MessageTemplate = "{RequestMethod} {RequestPath} answered {StatusCode} in {Elapsed:0.0} ms";
        options.GetLevel = (context, _, error) => error is not null || context.Response.StatusCode >= 500 ? LogEventLevel.Error
            : context.Request.Path.StartsWithSegments("/healthz") ? LogEventLevel.Debug : LogEventLevel.Information;
        options.EnrichDiagnosticContext = (diagnostics, context) =>
        {
            if (context.GetRouteValue("id") is string id && Guid.TryParse(id, out var job))
                diagnostics.Set("JobId", job);
            if (context.User.Identity is { IsAuthenticated: true, Name: { } caller })
                diagnostics.Set("Caller", caller);
            diagnostics.Set("TraceId", Problems.ProblemResponses.TraceId(context));
        };
    });
}
