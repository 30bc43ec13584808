using System.Net;
using System.Net.Sockets;

namespace SaeService.Sources;

/// <summary>
/// HTTP to addresses that others name. A name is resolved once and the connection goes to the very address that was checked, so that no name
/// can lead inside between the check and the connection. Redirects are the caller's to follow, and no cookie is kept.
/// </summary>
public static class GuardedHttp
{
    /// <param name="allowPrivate">Whether addresses of this host that are not of the public Internet may be connected to.</param>
    /// <param name="resolve">Addresses of a name; absent: the system's.</param>
    /// <param name="proxy">Connects through the machine's proxy, which then resolves names in our place. Default: a proxy is not used.</param>
    public static SocketsHttpHandler CreateHandler(Func<string, bool> allowPrivate, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null, bool proxy = false)
    {
        resolve ??= Dns.GetHostAddressesAsync;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = proxy,
            UseCookies = false,
            ActivityHeadersPropagator = null,
        };
        if (!proxy)
            handler.ConnectCallback = async (context, ct) => await ConnectAsync(context.DnsEndPoint, allowPrivate, resolve, ct);
        return handler;
    }

    private static async Task<Stream> ConnectAsync(DnsEndPoint target, Func<string, bool> allowPrivate, Func<string, CancellationToken, Task<IPAddress[]>> resolve, CancellationToken ct)
    {
        var found = IPAddress.TryParse(target.Host, out var literal) ? [literal] : await resolve(target.Host, ct);
        var allowed = Array.FindAll(found, address => PublicAddress.Is(address) || allowPrivate(target.Host));
        if (allowed.Length == 0)
            throw found.Length == 0 ? new HttpRequestException($"{target.Host} has no address") : new NotPublicException($"{target.Host} is not on the public Internet");
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

/// <summary>A host whose addresses are not of the public Internet, and that nobody allowed.</summary>
public sealed class NotPublicException(string message) : HttpRequestException(message);
