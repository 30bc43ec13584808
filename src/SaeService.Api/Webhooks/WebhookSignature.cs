using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SaeService.Api.Webhooks;

/// <summary>Signatures of the Standard Webhooks specification (standardwebhooks.com), symmetric scheme v1.</summary>
public static class WebhookSignature
{
    public const string SecretForm = "must be whsec_ followed by 24 to 64 random bytes in base64";
    private const string SecretPrefix = "whsec_";

    /// <returns>The key inside a secret, or null where it has not the form of one.</returns>
    public static byte[]? KeyOf(string secret)
    {
        if (!secret.StartsWith(SecretPrefix, StringComparison.Ordinal))
            return null;
        var base64 = secret.AsSpan(SecretPrefix.Length);
        var key = new byte[64];
        // The decoder skips white space; a secret has none.
        return base64.Length <= 88 && !base64.ContainsAny(" \t\r\n") && Convert.TryFromBase64Chars(base64, key, out var bytes) && bytes >= 24 ? key[..bytes] : null;
    }

    /// <param name="key">Of <see cref="KeyOf"/>.</param>
    /// <param name="timestamp">Seconds since 1970, UTC.</param>
    /// <returns><c>v1,</c> and the HMAC-SHA256 of <c>id.timestamp.body</c> in base64.</returns>
    public static string Sign(byte[] key, string id, long timestamp, string body) =>
        "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp}.{body}"))));
}
