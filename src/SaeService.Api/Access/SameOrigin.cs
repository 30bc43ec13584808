using SaeService.Contracts;

namespace SaeService.Api.Access;

/// <summary>
/// For what a page's form changes: it must come from a page of this service. The cookie is of the site, and a site has more than one port; a browser says in
/// <c>Origin</c> of which page a form is, and no page can change that. Programs send none.
/// </summary>
public static class SameOrigin
{
    /// <exception cref="ProblemException">forbidden.</exception>
    public static ValueTask<object?> RequireAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var request = context.HttpContext.Request;
        if (request.Headers.Origin is [{ } origin] && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && page.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase)))
            throw new ProblemException(ProblemCodes.Forbidden, "A form of another page may not change anything here.");
        return next(context);
    }
}
