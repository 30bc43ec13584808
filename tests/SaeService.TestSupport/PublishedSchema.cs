using System.Text.Json;
using Json.Schema;
using Xunit;

namespace SaeService.TestSupport;

/// <summary>The committed JSON Schema of the layer-functionality document, which every document that a test makes is held against.</summary>
public static class PublishedSchema
{
    public static string File { get; } = Path.Combine(SharedData.RepositoryRoot, "src", "SaeService.Api", "layer-functionality-1.0.json");

    private static readonly Lazy<JsonSchema> s_schema = new(() => JsonSchema.FromText(System.IO.File.ReadAllText(File)));

    public static void AssertValid(string document)
    {
        var errors = Errors(document);
        Assert.True(errors.Length == 0, errors);
    }

    /// <summary>Place and message of each fault; empty for a valid document.</summary>
    public static string Errors(string document)
    {
        using var parsed = JsonDocument.Parse(document);
        var result = s_schema.Value.Evaluate(parsed.RootElement, new EvaluationOptions { OutputFormat = OutputFormat.List, RequireFormatValidation = true });
        if (result.IsValid)
            return "";
        var faults = (result.Details ?? []).Where(d => d.Errors is { Count: > 0 }).SelectMany(d => d.Errors!.Values.Select(e => $"{d.InstanceLocation}: {e}")).ToArray();
        return faults.Length == 0 ? "not valid" : string.Join('\n', faults);
    }
}
