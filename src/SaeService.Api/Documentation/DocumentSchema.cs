using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using SaeService.Contracts;

namespace SaeService.Api.Documentation;

/// <summary>
/// JSON Schema (2020-12) of the layer-functionality document, made from the types it is written with and their documentation. The committed file beside this project is
/// compared with it in the tests.
/// </summary>
public static partial class DocumentSchema
{
    public const string FileName = "layer-functionality-1.0.json";

    private static readonly Lazy<byte[]> s_bytes = new(() =>
        Encoding.UTF8.GetBytes(Build(typeof(LayerFunctionalityDocument)).ToJsonString(Wire.IndentedJson).ReplaceLineEndings("\n") + "\n"));

    public static byte[] Bytes => s_bytes.Value;

    public static void MapDocumentSchema(this WebApplication app) =>
        app.MapGet("/v1/schemas/layer-functionality-1.0.json", () => TypedResults.Bytes(Bytes, "application/schema+json"))
            .WithTags("Jobs").WithName("GetLayerFunctionalitySchema").WithSummary("JSON Schema (2020-12) of the layer-functionality document");

    private static JsonObject Build(Type type)
    {
        var definitions = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        var comments = new Comments(type.Assembly);
        var options = new JsonSerializerOptions(Wire.Json) { TypeInfoResolver = new DefaultJsonTypeInfoResolver() };
        var root = (JsonObject)options.GetJsonSchemaAsNode(type, new JsonSchemaExporterOptions
        {
            TreatNullObliviousAsNonNullable = true,
            TransformSchemaNode = (context, node) => Transform(context, node, type, definitions, comments),
        });
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["$id"] = "urn:sae:schema:layer-functionality:1.0",
            ["title"] = "What each layer of a language model does",
        };
        foreach (var (name, value) in root.ToArray())
        {
            root.Remove(name);
            schema[name] = value;
        }
        schema["properties"]!["schema"] = new JsonObject { ["const"] = "layer-functionality/1.0" };
        schema["required"]!.AsArray().Insert(0, "schema");
        var named = new JsonObject();
        foreach (var (name, definition) in definitions)
            named[name] = definition;
        schema["$defs"] = named;
        return schema;
    }

    /// <summary>Records of ours go to $defs, each once; a description stands with the member, or with the type.</summary>
    private static JsonNode Transform(JsonSchemaExporterContext context, JsonNode node, Type root, SortedDictionary<string, JsonObject> definitions, Comments comments)
    {
        var type = context.TypeInfo.Type;
        if (type == typeof(LayerSelection))
            node = JsonNode.Parse("""{ "oneOf": [ { "const": "all" }, { "type": "array", "items": { "type": "integer", "minimum": 0 } } ] }""")!;
        else if (node is not JsonObject)
            return node;
        var schema = (JsonObject)node;
        // A record within itself is a reference to the place where it is being described, which will be of another name.
        if (schema["$ref"] is not null)
            return new JsonObject { ["$ref"] = $"#/$defs/{type.Name}" };
        // Later versions may add members, and a document of theirs must still pass here. (Maps have a schema in this place.)
        if (schema["additionalProperties"]?.GetValueKind() == JsonValueKind.False)
            schema.Remove("additionalProperties");
        var nullable = (schema["type"] is JsonArray types && types.Any(t => (string?)t == "null"))
            || (context.PropertyInfo?.IsGetNullable == true && type == typeof(LayerSelection));
        if (type.Assembly == root.Assembly && !type.IsEnum && type != root && type != typeof(LayerSelection))
        {
            if (nullable)
                schema["type"] = "object";
            if (comments.Of(type) is { } about)
                schema.Insert(0, "description", about);
            definitions.TryAdd(type.Name, schema);
            schema = new JsonObject { ["$ref"] = $"#/$defs/{type.Name}" };
            if (nullable)
                schema = new JsonObject { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "null" }) };
        }
        else if (type == typeof(LayerSelection) && nullable)
            schema["oneOf"]!.AsArray().Add(new JsonObject { ["type"] = "null" });
        else if (type == root && comments.Of(root) is { } about)
            schema["description"] = about;
        if (context.PropertyInfo is { AttributeProvider: MemberInfo member } && comments.Of(member) is { } description)
            schema["description"] = description;
        return schema;
    }

    /// <summary>What the compiler kept of the documentation comments, in plain text.</summary>
    private sealed partial class Comments(Assembly assembly)
    {
        private readonly Dictionary<string, XElement> _members = Load(assembly);

        public string? Of(Type type) => Find($"T:{type.FullName}");
        public string? Of(MemberInfo member) => member.DeclaringType is { } type ? Find($"P:{type.FullName}.{member.Name}") : null;

        private string? Find(string id) => _members.TryGetValue(id, out var member) && member.Element("summary") is { } summary ? Plain(summary) : null;

        private static string Plain(XElement summary) => Space().Replace(string.Concat(summary.Nodes().Select(node => node switch
        {
            XText text => text.Value,
            XElement { Name.LocalName: "see" } see => OnTheWire(((string)see.Attribute("cref")!).Split('.')[^1]),
            XElement { Name.LocalName: "paramref" } parameter => OnTheWire((string)parameter.Attribute("name")!),
            XElement other => other.Value,
            _ => "",
        })), " ").Trim();

        private static string OnTheWire(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

        private static Dictionary<string, XElement> Load(Assembly assembly)
        {
            var file = Path.ChangeExtension(assembly.Location, ".xml");
            return File.Exists(file) ? XDocument.Load(file).Descendants("member").ToDictionary(m => (string)m.Attribute("name")!) : [];
        }

        [GeneratedRegex(@"\s+")]
        private static partial Regex Space();
    }
}
