using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SaeService.Sources;

/// <summary>What names a file's content on the hub: SHA-256 where it is kept in LFS, else the SHA-1 that git has for it as a blob.</summary>
/// <param name="Hex">Lower case.</param>
public sealed record ContentHash(bool IsSha256, string Hex)
{
    public static ContentHash? Sha256(string? hex) => IsHex(hex, 64) ? new(true, hex!.ToLowerInvariant()) : null;

    public static ContentHash? GitBlob(string? hex) => IsHex(hex, 40) ? new(false, hex!.ToLowerInvariant()) : null;

    /// <summary>The hash of this kind of a file.</summary>
    public static async Task<ContentHash> OfAsync(string path, bool sha256, CancellationToken ct)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.Asynchronous | FileOptions.SequentialScan);
        using var hash = IncrementalHash.CreateHash(sha256 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA1);
        if (!sha256)
            hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {file.Length}\0")));
        var buffer = new byte[1 << 20];
        while (await file.ReadAsync(buffer, ct) is > 0 and var count)
            hash.AppendData(buffer, 0, count);
        return new(sha256, Convert.ToHexStringLower(hash.GetCurrentHash()));
    }

    private static bool IsHex(string? text, int length) => text?.Length == length && text.All(char.IsAsciiHexDigit);

    public override string ToString() => $"{(IsSha256 ? "sha256" : "git blob")} {Hex}";
}
