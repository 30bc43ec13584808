using System.Net.Mime;
using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using SaeService.Api.Explorer.Layout;
using SaeService.Api.Problems;

namespace SaeService.Api.Access;

/// <summary>
/// A key for a browser, which can send no header of its own when it opens Swagger UI or the dashboard: a page that asks for the key, and a
/// cookie that no script and no foreign page can use. The key never stands in an address, so no log and no history keeps it.
/// </summary>
public static class Session
{
    public const string CookieName = "sae_key";
    private const string SignInPath = "/session";

    public static void MapSession(this WebApplication app)
    {
        app.MapPost(SignInPath, (Delegate)SignIn).ExcludeFromDescription();
        app.MapPost("/session/end", (Delegate)SignOut).ExcludeFromDescription();
    }

    // The authentication handler has read the key from the form and found it good, or this would not be reached.
    private static async Task<RedirectHttpResult> SignIn(HttpContext context)
    {
        if (await KeyFromFormAsync(context.Request) is { } key)
            context.Response.Cookies.Append(CookieName, key, new CookieOptions
            {
                HttpOnly = true,
                SameSite = SameSiteMode.Strict,
                Secure = context.Request.IsHttps,
                IsEssential = true,
                Path = "/",
            });
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        return TypedResults.LocalRedirect(form["next"] is [{ } next] && IsLocal(next) ? next : "/");
    }

    private static RedirectHttpResult SignOut(HttpContext context)
    {
        context.Response.Cookies.Delete(CookieName);
        return TypedResults.LocalRedirect("/");
    }

    public static bool IsSignIn(HttpRequest request) => HttpMethods.IsPost(request.Method) && request.Path == SignInPath && request.HasFormContentType;

    public static async ValueTask<string?> KeyFromFormAsync(HttpRequest request)
    {
        if (!request.HasFormContentType)
            return null;
        var form = await request.ReadFormAsync(request.HttpContext.RequestAborted);
        return form["api_key"] is [{ Length: > 0 } key] ? key.Trim() : null;
    }

    /// <summary>Whether the caller has signed in on the page, and so can sign out.</summary>
    public static bool IsOf(HttpContext context) => context.User.FindFirstValue(ClaimTypes.NameIdentifier) is not null && context.Request.Cookies.ContainsKey(CookieName);

    /// <summary>Whether a person is opening a page or sending its form, or a program calls.</summary>
    public static bool WantsPage(HttpRequest request) =>
        IsSignIn(request) || ((HttpMethods.IsGet(request.Method) || request.HasFormContentType) && request.Headers.Accept.ToString().Contains(MediaTypeNames.Text.Html, StringComparison.OrdinalIgnoreCase));

    public static Task WriteSignInPageAsync(HttpContext context, string? failure)
    {
        var next = !HttpMethods.IsGet(context.Request.Method) ? "/" : context.Request.Path + context.Request.QueryString;
        return new RazorComponentResult<SignInPage>(new { Failure = failure, Next = next, Action = SignInPath, TraceId = ProblemResponses.TraceId(context) })
        {
            StatusCode = StatusCodes.Status401Unauthorized,
        }.ExecuteAsync(context);
    }

    private static bool IsLocal(string path) => path.StartsWith('/') && !path.StartsWith("//", StringComparison.Ordinal) && !path.Contains('\\');
}
