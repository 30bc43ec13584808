using System.Globalization;
using System.Security.Claims;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using SaeService.Api.Problems;
using SaeService.Contracts;

namespace SaeService.Api.Access;

public static class AccessSetup
{
    public const string LivePath = "/healthz/live";

    /// <summary>Keys, scopes and rate limits. Whatever names no policy of its own is closed to callers without a key, addresses that lead nowhere too.</summary>
    public static IServiceCollection AddAccess(this IServiceCollection services, ServiceSettings settings)
    {
        services.AddAuthentication(ApiKeyAuthenticationHandler.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthenticationHandler>(ApiKeyAuthenticationHandler.SchemeName, null);
        var read = new AuthorizationPolicyBuilder().RequireRole(Scopes.Read).Build();
        services.AddAuthorizationBuilder()
            .SetDefaultPolicy(read)
            .SetFallbackPolicy(read)
            .AddPolicy(Scopes.Submit, policy => policy.RequireRole(Scopes.Submit))
            .AddPolicy(Scopes.Admin, policy => policy.RequireRole(Scopes.Admin));
        services.AddRateLimiter(options =>
        {
            options.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
            options.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(context => context.Request.Path == LivePath
                ? RateLimitPartition.GetNoLimiter("live")
                : RateLimitPartition.GetTokenBucketLimiter(PartitionOf(context), _ => new TokenBucketRateLimiterOptions
                {
                    TokenLimit = settings.Limits.RequestBurst,
                    TokensPerPeriod = settings.Limits.RequestsPerSecond,
                    ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                }));
            options.AddPolicy(Waits, context => RateLimitPartition.GetConcurrencyLimiter(PartitionOf(context),
                _ => new ConcurrencyLimiterOptions { PermitLimit = settings.Limits.WaitsPerKey }));
            options.OnRejected = async (rejected, _) =>
            {
                var wait = rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var after) ? after : TimeSpan.FromSeconds(1);
                rejected.HttpContext.Response.Headers.RetryAfter = Math.Max(1, Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
                await ProblemResponses.WriteAsync(rejected.HttpContext, ProblemCodes.Create(ProblemCodes.RateLimited, "Slow down: see Retry-After."));
            };
        });
        return services;
    }

    /// <summary>Limit of what holds a connection open: streams and waits.</summary>
    public const string Waits = "waits";

    // Callers without a key share a bucket by address, which slows down those who try keys.
    private static string PartitionOf(HttpContext context) =>
        context.User.FindFirstValue(ClaimTypes.NameIdentifier) ?? context.Connection.RemoteIpAddress?.ToString() ?? "local";
}
