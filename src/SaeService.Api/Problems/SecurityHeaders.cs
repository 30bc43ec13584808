namespace SaeService.Api.Problems;

public static class SecurityHeaders
{
    // Nothing is loaded from elsewhere, nothing may frame us. Pages set styles on elements (how dark a cell is), and run no script that is not a file of ours;
    // Swagger UI and the Hangfire dashboard bring scripts inside their pages.
    private const string Policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    private static readonly string s_inlineScripts = Policy.Replace("script-src 'self'", "script-src 'self' 'unsafe-inline'", StringComparison.Ordinal);

    public static void UseSecurityHeaders(this WebApplication app) => app.Use((context, next) =>
    {
        // At the last moment: the exception handler clears what was set before.
        context.Response.OnStarting(static state =>
        {
            var response = (HttpResponse)state;
            var (path, headers) = (response.HttpContext.Request.Path, response.Headers);
            headers.XContentTypeOptions = "nosniff";
            headers.ContentSecurityPolicy = path.StartsWithSegments("/swagger") || path.StartsWithSegments("/hangfire") ? s_inlineScripts : Policy;
            headers["Referrer-Policy"] = "same-origin"; // with none at all a form of our own would have no Origin to be known by
            headers["Cross-Origin-Resource-Policy"] = "same-origin";
            if (headers.CacheControl.Count == 0)
                headers.CacheControl = "no-store";
            return Task.CompletedTask;
        }, context.Response);
        return next(context);
    });
}
