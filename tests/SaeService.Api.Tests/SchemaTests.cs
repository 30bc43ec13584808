using System.Text.Json;
using System.Text.Json.Nodes;
using SaeService.Api.Documentation;
using SaeService.Contracts;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

public sealed class SchemaTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_schema_is_the_committed_one()
    {
        Assert.NotEmpty(DocumentSchema.Bytes);
        using var answer = await api.Reader.GetAsync("/v1/schemas/layer-functionality-1.0.json", Ct);
        var served = await answer.Content.ReadAsStringAsync(Ct);
        Assert.Equal("application/schema+json", answer.Content.Headers.ContentType!.MediaType);
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1")
            await File.WriteAllTextAsync(PublishedSchema.File, served, Ct);
        Assert.True(served == (await File.ReadAllTextAsync(PublishedSchema.File, Ct)).ReplaceLineEndings("\n"), "src/SaeService.Api/layer-functionality-1.0.json differs from what is served; UPDATE_GOLDEN=1 rewrites it");

        var schema = JsonNode.Parse(served)!;
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", (string)schema["$schema"]!);
        // A description comes from the documentation comments, of members and of positional parameters alike.
        Assert.StartsWith("Held-out share of the words", (string)schema["$defs"]!["FeatureSummary"]!["properties"]!["consistency"]!["description"]!, StringComparison.Ordinal);
        Assert.StartsWith("False where the profile", (string)schema["$defs"]!["CentreOfGravity"]!["properties"]!["localised"]!["description"]!, StringComparison.Ordinal);
        Assert.DoesNotContain(schema["$defs"]!.AsObject(), d => d.Value!["type"] is null);
    }

    [Fact]
    public async Task It_refuses_what_is_no_document()
    {
        var job = await api.SubmitAsync();
        var good = JsonSerializer.SerializeToNode(FinishedJob.Document(job), Wire.Json)!;
        PublishedSchema.AssertValid(good.ToJsonString());
        (string Place, Action<JsonNode> Spoil)[] faults =
        [
            ("/provenance", d => d.AsObject().Remove("provenance")),
            ("/", d => d.AsObject().Remove("schema")),
            ("/schema", d => d["schema"] = "layer-functionality/2.0"),
            ("/layers/0", d => d["layers"]![0]!.AsObject().Remove("alive")),
            ("/layers/0/layer", d => d["layers"]![0]!["layer"] = "zero"),
            ("/tasks/0/profiles/0/label", d => d["tasks"]![0]!["profiles"]![0]!["label"] = null),
            ("/tasks/0/entropy_bits", d => d["tasks"]![0]!["entropy_bits"] = "2.3"),
            ("/created_utc", d => d["created_utc"] = "yesterday"),
            ("/counts/split", d => d["counts"]!["split"]!["train"] = 0.5),
        ];
        foreach (var (place, spoil) in faults)
        {
            var bad = good.DeepClone();
            spoil(bad);
            Assert.True(PublishedSchema.Errors(bad.ToJsonString()).Length > 0, place);
        }
        // A member that a later version adds is none of these.
        var later = good.DeepClone();
        later["layers"]![0]!["colour"] = "blue";
        PublishedSchema.AssertValid(later.ToJsonString());
    }
}
