using System.Net;
using System.Net.Sockets;

namespace SaeService.Sources;

/// <summary>Which addresses are of the public Internet: what others may have this service connect to (IANA special-purpose registries).</summary>
public static class PublicAddress
{
    private static readonly IPNetwork[] s_special =
    [
        // IPv4: this network, private, shared (carrier NAT), loopback, link-local with the clouds' metadata services, protocol assignments,
        // documentation, 6to4 relays, benchmarks, multicast, reserved with broadcast.
        .. Networks("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        // Inside IPv6's global unicast: protocol assignments with Teredo, documentation, 6to4 (which leads to any IPv4 address).
        .. Networks("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    ];

    // All else of IPv6 is unspecified, loopback, mapped IPv4, unique local, link-local, multicast or not assigned.
    private static readonly IPNetwork s_globalUnicast = IPNetwork.Parse("2000::/3");
    private static readonly IPNetwork s_nat64 = IPNetwork.Parse("64:ff9b::/96");

    public static bool Is(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            // First, because IPNetwork.Contains of .NET 10 compares the IPv4 part of a mapped address with IPv6 networks: 2000::/3 "contains" ::ffff:10.0.0.1.
            if (address.IsIPv4MappedToIPv6)
                return false;
            // Networks without IPv4 reach it through this prefix: the address at its end counts.
            if (s_nat64.Contains(address))
                return Is(new IPAddress(address.GetAddressBytes().AsSpan(12)));
            if (!s_globalUnicast.Contains(address))
                return false;
        }
        return !Array.Exists(s_special, network => network.BaseAddress.AddressFamily == address.AddressFamily && network.Contains(address));
    }

    private static IEnumerable<IPNetwork> Networks(params string[] networks) => networks.Select(network => IPNetwork.Parse(network));
}
