using System.Net;
using System.Net.Sockets;

namespace SaeService.Api.Webhooks;

/// <summary>
/// HTTP to addresses that clients name. A name is resolved once and the connection goes to the very address that was checked, so that no name
/// can lead inside between the check and the connection; a proxy, which would connect in our place, is not used, and redirects are not followed.
/// </summary>
public static class WebhookConnection
{
    /// <param name="allowPrivate">Whether addresses that are not of the public Internet may be connected to.</param>
    /// <param name="timeout">For all of it: resolving, connecting, sending, and the answer's head.</param>
    /// <param name="resolve">Addresses of a name; absent: the system's.</param>
    public static HttpClient Create(bool allowPrivate, TimeSpan timeout, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        resolve ??= Dns.GetHostAddressesAsync;
        return new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.Zero, // checked anew each time
            MaxResponseDrainSize = 0, // what the receiver answers beyond its status is not read
            ActivityHeadersPropagator = null,
            ConnectCallback = async (context, ct) => await ConnectAsync(context.DnsEndPoint, allowPrivate, resolve, ct),
        })
        {
            Timeout = timeout,
        };
    }

    private static async Task<Stream> ConnectAsync(DnsEndPoint target, bool allowPrivate, Func<string, CancellationToken, Task<IPAddress[]>> resolve, CancellationToken ct)
    {
        var found = IPAddress.TryParse(target.Host, out var literal) ? [literal] : await resolve(target.Host, ct);
        var allowed = Array.FindAll(found, address => allowPrivate || PublicAddress.Is(address));
        if (allowed.Length == 0)
            throw new HttpRequestException(found.Length == 0 ? $"{target.Host} has no address" : $"{target.Host} is not on the public Internet");
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, target.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
