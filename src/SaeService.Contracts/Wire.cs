using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SaeService.Contracts;

/// <summary>How everything travels: snake_case names, enums as snake_case words, times in RFC 3339 UTC.</summary>
public static class Wire
{
    /// <summary>For reading requests and writing responses. Unknown members are an error: a misspelt setting must not be ignored.</summary>
    public static JsonSerializerOptions Json { get; } = Configure(new JsonSerializerOptions());

    /// <summary>The same, indented; for files that people read.</summary>
    public static JsonSerializerOptions IndentedJson { get; } = Configure(new JsonSerializerOptions { WriteIndented = true });

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        options.PropertyNameCaseInsensitive = false;
        options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        options.AllowDuplicateProperties = false;
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        options.MaxDepth = 64;
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false));
        options.Converters.Add(new LayerSelectionConverter());
        return options;
    }
}
