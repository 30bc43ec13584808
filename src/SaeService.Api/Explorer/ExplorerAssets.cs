using System.Collections.Frozen;
using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using Microsoft.Net.Http.Headers;

namespace SaeService.Api.Explorer;

/// <summary>
/// Style sheets, scripts and icons of the pages, from inside the assembly: they are there however the service is started. An address names the content's hash, so that a
/// browser keeps it for good and a new version is fetched at once.
/// </summary>
public static class ExplorerAssets
{
    private sealed record Asset(string Address, string ContentType, byte[] Bytes, byte[] Brotli);

    private static readonly FrozenDictionary<string, Asset> s_assets = Read();

    /// <summary>Of a file of <c>Explorer/Assets</c>.</summary>
    /// <exception cref="KeyNotFoundException">There is no such file.</exception>
    public static string Address(string name) => s_assets[name].Address;

    /// <summary>Open to all: the page that asks for a key has a style too.</summary>
    public static void Map(WebApplication app) => app.MapGet("/assets/{hash}/{name}", Send).AllowAnonymous().ExcludeFromDescription();

    private static IResult Send(string hash, string name, HttpContext context)
    {
        if (!s_assets.TryGetValue(name, out var asset) || asset.Address != $"/assets/{hash}/{name}")
            return TypedResults.NotFound();
        context.Response.Headers.CacheControl = "public, max-age=31536000, immutable";
        context.Response.Headers.Vary = HeaderNames.AcceptEncoding;
        if (!context.Request.GetTypedHeaders().AcceptEncoding.Any(x => x.Value == "br" && x.Quality != 0))
            return TypedResults.Bytes(asset.Bytes, asset.ContentType);
        context.Response.Headers.ContentEncoding = "br";
        return TypedResults.Bytes(asset.Brotli, asset.ContentType);
    }

    private static FrozenDictionary<string, Asset> Read()
    {
        const string Prefix = "assets/"; // LogicalName in the project file
        var assembly = Assembly.GetExecutingAssembly();
        return assembly.GetManifestResourceNames().Where(x => x.StartsWith(Prefix, StringComparison.Ordinal)).ToFrozenDictionary(x => x[Prefix.Length..], resource =>
        {
            using var stream = assembly.GetManifestResourceStream(resource)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            var compressed = new MemoryStream();
            using (var brotli = new BrotliStream(compressed, CompressionLevel.Optimal))
                brotli.Write(bytes);
            var name = resource[Prefix.Length..];
            return new Asset($"/assets/{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8))}/{name}", ContentType(name), bytes, compressed.ToArray());
        });
    }

    private static string ContentType(string name) => Path.GetExtension(name) switch
    {
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        var other => throw new InvalidOperationException($"No content type is known for assets of the kind '{other}'."),
    };
}
