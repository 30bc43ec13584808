using System.Net;
using SaeService.Sources;

namespace SaeService.Api.Webhooks;

/// <summary>HTTP to addresses that clients name: guarded, without a proxy, which would connect in our place, and without redirects.</summary>
public static class WebhookConnection
{
    /// <param name="allowPrivate">Whether addresses that are not of the public Internet may be connected to.</param>
    /// <param name="timeout">For all of it: resolving, connecting, sending, and the answer's head.</param>
    /// <param name="resolve">Addresses of a name; absent: the system's.</param>
    public static HttpClient Create(bool allowPrivate, TimeSpan timeout, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        var handler = GuardedHttp.CreateHandler(_ => allowPrivate, resolve);
        handler.PooledConnectionLifetime = TimeSpan.Zero; // checked anew each time
        handler.MaxResponseDrainSize = 0; // what the receiver answers beyond its status is not read
        return new HttpClient(handler) { Timeout = timeout };
    }
}
