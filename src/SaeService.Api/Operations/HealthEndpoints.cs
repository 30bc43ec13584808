using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using SaeService.Api.Access;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Operations;

public static class HealthEndpoints
{
    public static IServiceCollection AddHealth(this IServiceCollection services)
    {
        services.AddHealthChecks().AddDbContextCheck<SaeDbContext>("database").AddCheck<SchemaCheck>("schema").AddCheck<ArtifactCheck>("artifacts");
        return services;
    }

    public static void MapHealth(this WebApplication app)
    {
        // Alive is a question of orchestrators, which have no key; it tells nothing but that the process answers.
        app.MapHealthChecks(AccessSetup.LivePath, new HealthCheckOptions { Predicate = _ => false, ResponseWriter = WriteAsync }).AllowAnonymous();
        app.MapHealthChecks("/healthz/ready", new HealthCheckOptions { ResponseWriter = WriteAsync });
    }

    private static Task WriteAsync(HttpContext context, HealthReport report) => context.Response.WriteAsJsonAsync(new Dictionary<string, object>
    {
        ["status"] = report.Status.ToString().ToLowerInvariant(),
        ["checks"] = report.Entries.ToDictionary(e => e.Key, e => new { Status = e.Value.Status.ToString().ToLowerInvariant(), e.Value.Description }),
    }, Wire.Json, context.RequestAborted);

    private sealed class SchemaCheck(SaeDbContext db) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                var pending = await Migrator.PendingAsync(db, cancellationToken);
                return pending.Count == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy($"{pending.Count} migrations are to be applied: run 'sae migrate'");
            }
            catch (Npgsql.NpgsqlException)
            {
                return HealthCheckResult.Unhealthy("the database does not answer");
            }
        }
    }

    private sealed class ArtifactCheck(ArtifactStore artifacts) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                // Never completed, so nothing is left of it.
                using var probe = artifacts.Create("probe/ready");
                probe.Stream.WriteByte(1);
                return Task.FromResult(HealthCheckResult.Healthy());
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return Task.FromResult(HealthCheckResult.Unhealthy("the artifact store can not be written"));
            }
        }
    }
}
