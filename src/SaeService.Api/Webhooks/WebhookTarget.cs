using System.Net;
using SaeService.Api.Requests;
using SaeService.Contracts;
using SaeService.Sources;

namespace SaeService.Api.Webhooks;

/// <summary>What is accepted as a webhook. What its name resolves to is checked where the connection is made, each time anew.</summary>
public static class WebhookTarget
{
    private const int MaxUrlLength = 2000;

    /// <summary>Names what is wrong; never repeats the secret.</summary>
    public static void Check(WebhookReference? webhook, bool allowPrivate, RequestErrors errors)
    {
        if (webhook is null)
            return;
        if (Fault(webhook.Url, allowPrivate) is { } fault)
            errors.Add(ProblemCodes.InvalidRequest, "$.webhook.url", fault);
        if (webhook.Secret is { } secret && WebhookSignature.KeyOf(secret) is null)
            errors.Add(ProblemCodes.InvalidRequest, "$.webhook.secret", WebhookSignature.SecretForm);
    }

    /// <returns>Why nothing is sent to this address, or null.</returns>
    public static string? Fault(string url, bool allowPrivate)
    {
        if (url.Length is 0 or > MaxUrlLength)
            return $"must have 1 to {MaxUrlLength} characters";
        if (url.Any(c => char.IsControl(c) || char.IsWhiteSpace(c)) || !Uri.TryCreate(url, UriKind.Absolute, out var uri))
            return "must be an absolute address, as https://example.org/hook";
        if (uri.Scheme != Uri.UriSchemeHttps && !(allowPrivate && uri.Scheme == Uri.UriSchemeHttp))
            return allowPrivate ? "must begin with https:// or http://" : "must begin with https://";
        if (uri.UserInfo.Length > 0)
            return "must not hold a user name or password; use the secret, which signs what is sent";
        if (!allowPrivate && (IPAddress.TryParse(uri.IdnHost, out var address) ? !PublicAddress.Is(address) : IsLocalName(uri.IdnHost)))
            return "must be on the public Internet";
        return null;
    }

    private static bool IsLocalName(string host) =>
        host.TrimEnd('.') is var name && (name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase));
}
