using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;

namespace SaeService.Sources;

/// <summary>
/// GET and POST under <see cref="HostRules"/>: redirects are followed by hand, each target checked, and the token goes to the endpoint's own
/// address alone. Every failure is a <see cref="SourceException"/>.
/// </summary>
public sealed class SourceHttp : IDisposable
{
    private readonly HttpClient _client;
    private readonly HostRules _rules;
    private readonly Uri? _tokenOrigin;
    private readonly string? _token;

    /// <param name="tokenOrigin">Scheme, host and port that <paramref name="token"/> is sent to.</param>
    public SourceHttp(HostRules rules, Uri? tokenOrigin = null, string? token = null, bool proxy = false, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        (_rules, _tokenOrigin, _token) = (rules, tokenOrigin, token);
        var handler = GuardedHttp.CreateHandler(rules.AllowsPrivate, resolve, proxy);
        // Names are resolved and checked anew every few minutes.
        handler.PooledConnectionLifetime = TimeSpan.FromMinutes(5);
        handler.MaxResponseHeadersLength = 64; // KiB
        _client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _client.DefaultRequestHeaders.UserAgent.ParseAdd("SaeService/" + (typeof(SourceHttp).Assembly.GetName().Version?.ToString(2) ?? "0"));
    }

    public void Dispose() => _client.Dispose();

    /// <summary>The whole body of an answer, tried again where that may help.</summary>
    public Task<byte[]> GetBytesAsync(Uri uri, long maxBytes, HttpLimits limits, CancellationToken ct) => limits.RetryAsync(async () =>
    {
        using var answer = await SendAsync(() => new HttpRequestMessage(HttpMethod.Get, uri), limits, ct);
        return await answer.ReadAllAsync(maxBytes, ct);
    }, ct);

    /// <summary>The head of an answer 200 or 206, after all redirects.</summary>
    /// <param name="create">Makes the request; called again for every redirect, which gets its address in its place.</param>
    public async Task<SourceAnswer> SendAsync(Func<HttpRequestMessage> create, HttpLimits limits, CancellationToken ct)
    {
        Uri? target = null;
        var linked = new LinkedHeaders();
        for (var redirects = 0; ; redirects++)
        {
            using var request = create();
            target ??= request.RequestUri!;
            request.RequestUri = target;
            if (!_rules.Allows(target))
                throw new SourceException(SourceFault.Refused,
                    $"{Shown(target)} is not an address that may be asked{(redirects > 0 ? " (a redirect led there)" : "")}; the operator can allow its host with Hub:AllowedHosts");
            if (_token is not null && _tokenOrigin is not null && IsTokenOrigin(target))
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
            var response = await SendOnceAsync(request, target, limits, ct);
            try
            {
                linked.Take(response);
                if ((int)response.StatusCode is 301 or 302 or 303 or 307 or 308)
                {
                    if (redirects == limits.MaxRedirects)
                        throw new SourceException(SourceFault.Refused, $"{Shown(target)} redirects more than {limits.MaxRedirects} times");
                    var location = response.Headers.Location
                        ?? throw new SourceException(SourceFault.Damaged, $"{Shown(target)} redirects to nowhere");
                    target = location.IsAbsoluteUri ? location : new Uri(target, location);
                    response.Dispose();
                    continue;
                }
                if (response.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.PartialContent))
                    throw Failure(response, target);
                return new SourceAnswer(response, target, linked, limits);
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }
    }

    private async Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, Uri target, HttpLimits limits, CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(limits.HeadTimeout);
        try
        {
            return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new SourceException(SourceFault.Network, $"{Shown(target)} did not answer within {limits.HeadTimeout.TotalSeconds:0.#} seconds", e);
        }
        catch (HttpRequestException e) when (e is NotPublicException or { InnerException: NotPublicException })
        {
            throw new SourceException(SourceFault.Refused, $"{target.IdnHost} is not on the public Internet; the operator can allow it by naming it in Hub:AllowedHosts", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            throw new SourceException(SourceFault.Network, $"{Shown(target)} can not be reached: {e.GetBaseException().Message}", e)
            {
                Transient = e.GetBaseException() is not AuthenticationException, // a wrong certificate stays wrong
            };
        }
    }

    private bool IsTokenOrigin(Uri uri) => Uri.Compare(uri, _tokenOrigin, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0;

    // What the server says in words is not repeated: it is not ours, and may be anything.
    private SourceException Failure(HttpResponseMessage response, Uri target)
    {
        var status = (int)response.StatusCode;
        var code = response.Headers.TryGetValues("X-Error-Code", out var codes) ? codes.First() : null;
        var hint = _token is null ? "set Hub:Token (or HF_TOKEN) to a token that may read it" : "the token that is set does not open it";
        return (status, code) switch
        {
            (_, "GatedRepo") => new(SourceFault.Unauthorized, $"{Shown(target)} is gated: accept its conditions on its page, then {hint}"),
            (_, "RevisionNotFound") => new(SourceFault.NoRevision, $"{Shown(target)}: there is no such revision"),
            (_, "EntryNotFound") => new(SourceFault.NotFound, $"{Shown(target)}: there is no such file"),
            (_, "DisabledRepo") => new(SourceFault.Unauthorized, $"{Shown(target)} was disabled by the hub"),
            // The hub answers 401 for what does not exist too, so as not to tell what is private.
            (401, _) => new(code == "RepoNotFound" ? SourceFault.NotFound : SourceFault.Unauthorized, $"{Shown(target)} does not exist, or is private: {hint}"),
            (403, _) => new(SourceFault.Unauthorized, $"{Shown(target)} may not be read: {hint}"),
            (404 or 410, _) => new(SourceFault.NotFound, $"{Shown(target)} does not exist"),
            (429, _) => new(SourceFault.RateLimited, $"{target.IdnHost} asks for fewer requests (429); try again later") { RetryAfter = RetryAfter(response) },
            (408 or >= 500, _) => new(SourceFault.Network, $"{Shown(target)} answered {status}") { RetryAfter = RetryAfter(response) },
            (416, _) => new(SourceFault.Damaged, $"{Shown(target)} has fewer bytes than it had") { Status = status },
            _ => new(SourceFault.Refused, $"{Shown(target)} answered {status}"),
        };
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        var asked = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - TimeProvider.System.GetUtcNow(),
            _ => (TimeSpan?)null,
        };
        return asked is { } wait ? TimeSpan.FromSeconds(Math.Clamp(wait.TotalSeconds, 0, 86_400)) : null;
    }

    /// <summary>Without the query, which may be a signature.</summary>
    internal static string Shown(Uri uri)
    {
        var shown = uri.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped);
        return shown.Length <= 300 ? shown : shown[..300] + "…";
    }
}

/// <summary>What the hub says of a file on the way to it: <c>X-Linked-Etag</c>, <c>X-Linked-Size</c>, <c>X-Repo-Commit</c>.</summary>
public sealed class LinkedHeaders
{
    public string? Etag { get; private set; }
    public long? Size { get; private set; }
    public string? Commit { get; private set; }

    internal void Take(HttpResponseMessage response)
    {
        Etag ??= Value("X-Linked-Etag")?.Replace("W/", "", StringComparison.Ordinal).Trim('"');
        Commit ??= Value("X-Repo-Commit");
        if (Size is null && long.TryParse(Value("X-Linked-Size"), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var size))
            Size = size;

        string? Value(string name) => response.Headers.TryGetValues(name, out var values) ? values.First().Trim() : null;
    }
}

/// <summary>An answer 200 or 206 whose body is still to be read.</summary>
public sealed class SourceAnswer(HttpResponseMessage response, Uri uri, LinkedHeaders linked, HttpLimits limits) : IDisposable
{
    private Stream? _body;
    private CancellationTokenSource? _patience;
    private int _sincePatience;

    public LinkedHeaders Linked => linked;
    public bool Partial => response.StatusCode == HttpStatusCode.PartialContent;
    public long? Length => response.Content.Headers.ContentLength;
    public ContentRangeHeaderValue? Range => response.Content.Headers.ContentRange;
    public string? ContentType => response.Content.Headers.ContentType?.MediaType;

    /// <summary>An ETag that stands for the very bytes; null where there is none, or a weak one.</summary>
    public string? StrongEtag => response.Headers.ETag is { IsWeak: false } etag ? etag.Tag : null;

    /// <summary>The next bytes of the body; 0 at its end.</summary>
    /// <exception cref="SourceException">Network: broken off, or too slow.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken ct)
    {
        _patience ??= CancellationTokenSource.CreateLinkedTokenSource(ct);
        if (_body is null || _sincePatience >= limits.LeastBytes)
        {
            _patience.CancelAfter(limits.IdleTimeout);
            _sincePatience = 0;
        }
        try
        {
            _body ??= await response.Content.ReadAsStreamAsync(_patience.Token);
            var count = await _body.ReadAsync(buffer, _patience.Token);
            _sincePatience += count;
            return count;
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new SourceException(SourceFault.Network, $"{SourceHttp.Shown(uri)} sends too slowly: {_sincePatience} bytes in {limits.IdleTimeout.TotalSeconds:0.#} seconds", e);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or SocketException)
        {
            throw new SourceException(SourceFault.Network, $"{SourceHttp.Shown(uri)} broke off: {e.GetBaseException().Message}", e);
        }
    }

    /// <summary>All of it, at most so many bytes.</summary>
    public async Task<byte[]> ReadAllAsync(long maxBytes, CancellationToken ct)
    {
        SourceException TooLarge() => new(SourceFault.Refused, $"{SourceHttp.Shown(uri)} is larger than the {maxBytes} bytes that are taken");
        if (Length > maxBytes)
            throw TooLarge();
        var buffer = new byte[1 << 16];
        using var all = new MemoryStream();
        while (await ReadAsync(buffer, ct) is > 0 and var count)
        {
            if (all.Length + count > maxBytes)
                throw TooLarge();
            all.Write(buffer, 0, count);
        }
        return all.ToArray();
    }

    public void Dispose()
    {
        _patience?.Dispose();
        response.Dispose();
    }
}
