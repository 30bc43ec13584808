using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Access;

/// <summary>
/// Recognises the caller: a key in <c>Authorization: Bearer</c> or <c>x-api-key</c>, or the cookie that <c>POST /session</c> gives to a browser.
/// In the open mode every caller from this machine is the administrator.
/// </summary>
public sealed class ApiKeyAuthenticationHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder,
    ServiceSettings settings, ApiKeys keys) : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "ApiKey";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (settings.Open)
            return OpenMode.Refusal(Context) is { } refusal ? AuthenticateResult.Fail(refusal) : Success(null, "local", "admin");
        if (await PresentedKeyAsync() is not { } key)
            return AuthenticateResult.NoResult();
        return await keys.VerifyAsync(key, Context.RequestAborted) is { } row
            ? Success(row.Id, row.Name, row.Scope)
            : AuthenticateResult.Fail("The API key is not known, or was revoked.");
    }

    private async ValueTask<string?> PresentedKeyAsync()
    {
        if (Request.Headers.Authorization is [{ } authorization] && authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            return authorization["Bearer ".Length..].Trim();
        if (Request.Headers["x-api-key"] is [{ } header])
            return header.Trim();
        if (Session.IsSignIn(Request))
            return await Session.KeyFromFormAsync(Request);
        return Request.Cookies[Session.CookieName];
    }

    private AuthenticateResult Success(Guid? id, string name, string scope)
    {
        var identity = new ClaimsIdentity(SchemeName);
        identity.AddClaim(new Claim(ClaimTypes.Name, name));
        if (id is { } value)
            identity.AddClaim(new Claim(ClaimTypes.NameIdentifier, value.ToString()));
        // A scope includes the ones before it, so each is a role of its own.
        foreach (var included in ApiKeys.Scopes.TakeWhile(s => s != scope).Append(scope))
            identity.AddClaim(new Claim(ClaimTypes.Role, included));
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), SchemeName));
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        var failure = (await HandleAuthenticateOnceSafeAsync()).Failure?.Message;
        if (Session.WantsPage(Request) && !settings.Open)
            await Session.WriteSignInPageAsync(Context, failure);
        else
            await ProblemResponses.WriteAsync(Context, ProblemCodes.Create(ProblemCodes.Unauthorized,
                failure ?? "Send an API key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."));
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) => ProblemResponses.WriteAsync(Context,
        ProblemCodes.Create(ProblemCodes.Forbidden, $"The key '{Context.User.Identity?.Name}' has not the scope that this needs."));
}
