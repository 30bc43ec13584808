using System.Text.Json;
using System.Text.Json.Serialization;
using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>A job's request as a person would send it.</summary>
public static class RequestText
{
    private static readonly JsonSerializerOptions s_brief = new(Wire.IndentedJson) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Without what is null.</summary>
    public static string Json(JobRequest request) => JsonSerializer.Serialize(request, s_brief);

    /// <summary>For a shell.</summary>
    /// <param name="from">The request of the page, which says under which name the service is reached.</param>
    /// <param name="key">Whether a key has to be sent.</param>
    public static string Curl(JobRequest request, HttpRequest from, bool key) =>
        $"curl -s {Origin(from)}/v1/jobs -H 'Content-Type: application/json'{(key ? " -H \"Authorization: Bearer $SAE_KEY\"" : "")} \\\n     -d '{Json(request).Replace("'", @"'\''", StringComparison.Ordinal)}'";

    public static string Origin(HttpRequest from) => $"{from.Scheme}://{from.Host}";
}
