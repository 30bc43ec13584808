using System.Net;

namespace SaeService.Sources;

/// <summary>
/// Which addresses may be asked. A rule is a host with an optional port, <c>hf.co</c>, <c>127.0.0.1:8080</c>, or everything below one,
/// <c>*.hf.co</c>; without a port it means the scheme's own.
/// </summary>
public sealed class HostRules
{
    private readonly List<(string Host, bool Below, int? Port, bool Private)> _rules = [];
    private readonly bool _plain;

    /// <param name="origins">Addresses of which host and port are allowed: the endpoint, or those of a catalogue.</param>
    /// <param name="hosts">Rules for what they may redirect to.</param>
    /// <param name="originsNamed">The operator named the origins himself, so that they may be on his own network.</param>
    /// <param name="hostsNamed">And so the hosts, where a rule is of one and not of all below a domain.</param>
    /// <exception cref="FormatException">A rule is none.</exception>
    public HostRules(IEnumerable<Uri> origins, IEnumerable<string> hosts, bool originsNamed, bool hostsNamed)
    {
        foreach (var origin in origins)
        {
            _plain |= origin.Scheme == Uri.UriSchemeHttp;
            _rules.Add((origin.IdnHost.ToLowerInvariant(), false, origin.Port, originsNamed));
        }
        foreach (var host in hosts)
            _rules.Add(Parse(host, hostsNamed));
    }

    /// <summary>Https on a host of the rules; http only where an origin has it too.</summary>
    public bool Allows(Uri uri)
    {
        if (!uri.IsAbsoluteUri || uri.UserInfo.Length > 0 || (uri.Scheme != Uri.UriSchemeHttps && !(_plain && uri.Scheme == Uri.UriSchemeHttp)))
            return false;
        return _rules.Exists(rule => Matches(rule.Host, rule.Below, uri.IdnHost) && (rule.Port is { } port ? port == uri.Port : uri.IsDefaultPort));
    }

    /// <summary>Whether the operator named this very host, so that it may be on his own network.</summary>
    public bool AllowsPrivate(string host) => _rules.Exists(rule => rule.Private && !rule.Below && Matches(rule.Host, false, host));

    private static bool Matches(string rule, bool below, string host)
    {
        host = host.TrimEnd('.');
        return below ? host.Length > rule.Length + 1 && host[^(rule.Length + 1)] == '.' && host.EndsWith(rule, StringComparison.OrdinalIgnoreCase)
            : host.Equals(rule, StringComparison.OrdinalIgnoreCase);
    }

    private static (string, bool, int?, bool) Parse(string rule, bool named)
    {
        var below = rule.StartsWith("*.", StringComparison.Ordinal);
        var name = below ? rule[2..] : rule;
        // A URI's parser knows hosts, ports and brackets of IPv6.
        if (name.Length == 0 || name.AsSpan().ContainsAny("*/@?# ") || !Uri.TryCreate("https://" + name, UriKind.Absolute, out var uri) || uri.PathAndQuery != "/"
            || (below && (uri.HostNameType != UriHostNameType.Dns || !uri.IdnHost.Contains('.'))))
            throw new FormatException($"'{rule}' is no host: give a name, name:port or *.domain");
        var port = name.EndsWith($":{uri.Port}", StringComparison.Ordinal) && !IPAddress.TryParse(name, out _) ? uri.Port : (int?)null;
        return (uri.IdnHost.ToLowerInvariant(), below, port, named && !below);
    }
}
