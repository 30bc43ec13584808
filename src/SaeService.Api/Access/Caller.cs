using System.Security.Claims;

namespace SaeService.Api.Access;

/// <summary>Who asks. <see cref="KeyId"/> is null in the open mode.</summary>
public readonly record struct Caller(Guid? KeyId, bool IsAdmin)
{
    public static Caller Of(HttpContext context) => new(
        Guid.TryParse(context.User.FindFirstValue(ClaimTypes.NameIdentifier), out var id) ? id : null, context.User.IsInRole(Scopes.Admin));

    /// <summary>What belongs to a key is seen by that key and by administrators; for others it does not exist.</summary>
    public bool Sees(Guid? owner) => IsAdmin || owner == KeyId;
}

/// <summary>Names of the authorisation policies, one a scope.</summary>
public static class Scopes
{
    public const string Read = "read";
    public const string Submit = "submit";
    public const string Admin = "admin";
}
