using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;

namespace SaeService.Api.Documentation;

/// <summary>Bodies to try: they run as they stand on the bundled sample.</summary>
public sealed class ExampleFilter : IOperationFilter
{
    /// <summary>By operation: (name, summary, body). A test submits every one of POST /v1/jobs.</summary>
    public static IReadOnlyDictionary<string, (string Name, string Summary, string Body)[]> Examples { get; } = new Dictionary<string, (string, string, string)[]>
    {
        ["SubmitJob"] =
        [
            ("minimal", "A model and a data set; everything else has a default", """{ "model": { "id": "sample" }, "dataset": { "id": "sample" } }"""),
            ("quick", "Two layers, one task, few controls: done in well under a minute", """
                {
                  "model": { "id": "sample" }, "dataset": { "id": "sample", "max_words": 20000 }, "tasks": ["pos"], "layers": [0, 2],
                  "sae": { "expansion": 4, "k": 16, "train_tokens": 200000 }, "mode": "quick", "metadata": { "note": "a first look" }
                }
                """),
            ("settings", "What can be set", """
                {
                  "model": { "id": "sample" }, "dataset": { "id": "sample" }, "tasks": ["pos", "ner", "dep"], "layers": "all", "hook": "resid_post",
                  "sae": { "architecture": "topk", "expansion": 8, "k": 32, "train_tokens": 2000000, "seed": 0 },
                  "labels": { "min_support": 30, "fdr": 0.05, "consistency_lower": 0.8, "kappa": 0.7 },
                  "information": { "max_train_words": 20000, "bootstrap_samples": 1000, "target": "both" }, "mode": "standard", "seed": 0
                }
                """),
            ("webhook", "Told of the job's end, signed", """
                {
                  "model": { "id": "sample" }, "dataset": { "id": "sample", "max_words": 20000 }, "tasks": ["pos"], "layers": [2], "mode": "quick",
                  "webhook": { "url": "https://example.org/hook", "secret": "whsec_c2VjcmV0IG9mIHRoaXMgZXhhbXBsZSwgbm90IHlvdXJz" }
                }
                """),
        ],
        ["EstimateJob"] =
        [
            ("minimal", "A model and a data set; everything else has a default", """{ "model": { "id": "sample" }, "dataset": { "id": "sample" } }"""),
        ],
        ["InspectText"] =
        [
            ("sentence", "A sentence, all layers", """{ "text": "The old dog that the girls saw barked." }"""),
            ("settings", "What can be set", """
                { "text": "The old dog that the girls saw barked.", "layers": [0, 2], "task": "pos", "top": 10, "positions": [3, 4], "all_features": true }
                """),
        ],
        ["CheckModel"] = [("sample", "The bundled model", """{ "id": "sample" }""")],
    };

    private const string Conllu = "# newdoc id = d1\n# sent_id = s1\n# text = Dogs bark.\n" +
        "1\tDogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\tbark\tbark\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No\n3\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_\n\n";

    public void Apply(OpenApiOperation operation, OperationFilterContext context)
    {
        if (operation.OperationId is { } id && Examples.TryGetValue(id, out var examples) && operation.RequestBody is OpenApiRequestBody body)
            foreach (var media in body.Content!.Values.OfType<OpenApiMediaType>())
                media.Examples = examples.ToDictionary(e => e.Name, IOpenApiExample (e) => new OpenApiExample { Summary = e.Summary, Value = JsonNode.Parse(e.Body) });
        if (operation.OperationId == "PutDataset" && operation.RequestBody is OpenApiRequestBody upload)
            foreach (var media in upload.Content!.Values.OfType<OpenApiMediaType>())
            {
                media.Schema = new OpenApiSchema { Type = JsonSchemaType.String };
                media.Example = JsonValue.Create(Conllu);
            }
        foreach (var parameter in (operation.Parameters ?? []).OfType<OpenApiParameter>())
            parameter.Example = (operation.OperationId, parameter.Name) switch
            {
                ("GetModel" or "GetDataset", "id") => JsonValue.Create("sample"),
                ("PutDataset", "name") => JsonValue.Create("my-treebank"),
                (_, "layer") => JsonValue.Create(2),
                (_, "index") => JsonValue.Create(0),
                ("GetExport", "name") => JsonValue.Create("features.csv"),
                _ => parameter.Example,
            };
    }
}
