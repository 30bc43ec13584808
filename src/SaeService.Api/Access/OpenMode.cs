using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace SaeService.Api.Access;

/// <summary>The mode without keys, for one person on one machine. What keeps others out is the loopback address and a same-origin rule.</summary>
public static class OpenMode
{
    /// <summary>Why a request is not from a person at this machine, or null.</summary>
    public static string? Refusal(HttpContext context)
    {
        if (context.Connection.LocalIpAddress is { } local && !IPAddress.IsLoopback(local))
            return "The open mode answers on loopback only.";
        if (context.Request.Headers.ContainsKey("Forwarded") || context.Request.Headers.ContainsKey("X-Forwarded-For"))
            return "The open mode does not answer through a proxy.";
        // A foreign page whose name was re-bound to 127.0.0.1 arrives with its own Host; one that posts across origins with its own Origin.
        if (!IsLoopbackName(context.Request.Host.Host))
            return "The open mode answers to localhost only.";
        if (context.Request.Headers.Origin is [{ } origin] && !(Uri.TryCreate(origin, UriKind.Absolute, out var uri) && IsLoopbackName(uri.Host)))
            return "The open mode answers to pages of its own only.";
        return null;
    }

    /// <summary>Ends the start where the open mode would be reachable from other machines.</summary>
    public static void RequireLoopback(IServer server, ServiceSettings settings)
    {
        if (!settings.Open)
            return;
        var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        if (addresses.FirstOrDefault(address => !IsLoopbackName(HostOf(address))) is { } reachable)
            throw new InvalidOperationException(
                $"Access:Mode=open is allowed on loopback only, and this would listen on {reachable}. Bind 127.0.0.1, or use keys (Access:Mode=keys, 'sae keys create').");
    }

    private static string HostOf(string address)
    {
        // "http://*:80" and "http://+:80" are no URIs.
        var rest = address[(address.IndexOf("://", StringComparison.Ordinal) + 3)..];
        return Uri.TryCreate("http://" + rest, UriKind.Absolute, out var uri) ? uri.Host : rest;
    }

    private static bool IsLoopbackName(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
