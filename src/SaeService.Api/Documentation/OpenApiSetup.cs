using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using SaeService.Contracts;

namespace SaeService.Api.Documentation;

/// <summary>OpenAPI 3.1 at /openapi.json (committed beside this project and compared in the tests) and Swagger UI at /swagger.</summary>
public static class OpenApiSetup
{
    public const string DocumentName = "openapi";

    public static IServiceCollection AddOpenApiDocument(this IServiceCollection services)
    {
        services.AddEndpointsApiExplorer();
        services.AddSwaggerGen(options =>
        {
            options.SwaggerDoc(DocumentName, new OpenApiInfo
            {
                Title = "SaeService",
                Version = "v1",
                Description = "What does each layer of a language model do? Post a model and a labelled data set; sparse autoencoders, their features' labels, " +
                    "held-out information and controls come back as one document. Errors are RFC 9457 problem details with a stable code.",
            });
            options.AddSecurityDefinition("bearer", new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                Description = "A key of 'sae keys create', as Authorization: Bearer KEY. The local mode of 'sae up' needs none.",
            });
            options.AddSecurityDefinition("header", new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = "x-api-key" });
            options.AddSecurityRequirement(document => new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("bearer", document)] = [] });
            options.AddSecurityRequirement(document => new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("header", document)] = [] });
            options.SupportNonNullableReferenceTypes();
            options.CustomSchemaIds(SchemaId);
            foreach (var assembly in new[] { typeof(JobRequest).Assembly, typeof(OpenApiSetup).Assembly })
                if (Path.ChangeExtension(assembly.Location, ".xml") is var xml && File.Exists(xml))
                    options.IncludeXmlComments(xml);
            options.MapType<LayerSelection>(() => new OpenApiSchema
            {
                OneOf =
                [
                    new OpenApiSchema { Type = JsonSchemaType.String, Enum = [JsonValue.Create("all")] },
                    new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema { Type = JsonSchemaType.Integer, Minimum = "0" }, MinItems = 1, UniqueItems = true },
                ],
            });
            options.OperationFilter<ProblemResponseFilter>();
            options.OperationFilter<ExampleFilter>();
        });
        return services;
    }

    public static void UseOpenApiDocument(this WebApplication app)
    {
        app.UseSwagger(options =>
        {
            options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
            options.RouteTemplate = "{documentName:regex(^openapi$)}.json";
        });
        app.UseSwaggerUI(options =>
        {
            options.RoutePrefix = "swagger";
            options.SwaggerEndpoint("../openapi.json", "SaeService");
            options.DocumentTitle = "SaeService";
            options.DisplayRequestDuration();
            options.EnableTryItOutByDefault();
        });
    }

    /// <summary><c>Page&lt;Job&gt;</c> is JobPage.</summary>
    private static string SchemaId(Type type) =>
        type.IsGenericType ? string.Concat(type.GetGenericArguments().Select(SchemaId)) + type.Name[..type.Name.IndexOf('`')] : type.Name;
}
