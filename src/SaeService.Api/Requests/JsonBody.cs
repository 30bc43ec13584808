using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using SaeService.Contracts;

namespace SaeService.Api.Requests;

/// <summary>
/// Reads a JSON body strictly and says everything that is wrong with its shape at once: where it is no JSON (line and position), which members
/// are not known (with the name that was probably meant), which are missing, and which have a value of the wrong kind, each by its JSON path.
/// </summary>
public static class JsonBody
{
    private static readonly JsonSerializerOptions s_strict = new(Wire.Json)
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(), // the copied options have none before their first use
    };

    /// <exception cref="ProblemException">unsupported_media_type, payload_too_large, malformed_json, unknown_field or invalid_request.</exception>
    public static async Task<T> ReadAsync<T>(HttpRequest request, long limit) where T : class
    {
        if (!request.HasJsonContentType())
            throw new ProblemException(ProblemCodes.UnsupportedMediaType, $"The content type must be application/json, not '{request.ContentType}'.");
        return Parse<T>(await ReadBytesAsync(request, limit));
    }

    public static T Parse<T>(ReadOnlyMemory<byte> body) where T : class
    {
        if (!Utf8.IsValid(body.Span))
            throw new ProblemException(ProblemCodes.MalformedJson, "The body is not UTF-8.");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = Wire.Json.MaxDepth, AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            throw new ProblemException(ProblemCodes.MalformedJson, Explain(e));
        }
        catch (InvalidOperationException e) when (IsHalfAPair(e))
        {
            // Names are read to find those that are there twice.
            throw new ProblemException(ProblemCodes.MalformedJson, $"The name of a member {HalfAPair}.", inner: e);
        }
        using (document)
        {
            var errors = new RequestErrors();
            CheckShape(document.RootElement, s_strict.GetTypeInfo(typeof(T)), "$", errors);
            errors.ThrowIfAny();
            try
            {
                return document.Deserialize<T>(s_strict) ?? throw new ProblemException(ProblemCodes.InvalidRequest, "must not be null", "$");
            }
            catch (JsonException e)
            {
                throw new ProblemException(ProblemCodes.InvalidRequest, KindOf(e), e.Path ?? "$");
            }
        }
    }

    private static async Task<byte[]> ReadBytesAsync(HttpRequest request, long limit)
    {
        ProblemException TooLarge() => new(ProblemCodes.TooLarge, $"A request of at most {limit} bytes is accepted here.");
        if (request.ContentLength > limit)
            throw TooLarge();
        while (true)
        {
            var read = await request.BodyReader.ReadAsync(request.HttpContext.RequestAborted);
            if (read.Buffer.Length > limit)
                throw TooLarge();
            if (read.IsCompleted)
            {
                var body = read.Buffer.ToArray();
                request.BodyReader.AdvanceTo(read.Buffer.End);
                return body;
            }
            request.BodyReader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static void CheckShape(JsonElement value, JsonTypeInfo type, string path, RequestErrors errors)
    {
        if (type.Kind != JsonTypeInfoKind.Object || value.ValueKind == JsonValueKind.Null)
            return; // wrong kinds of value are found by the reading itself
        if (value.ValueKind != JsonValueKind.Object)
        {
            errors.Add(ProblemCodes.InvalidRequest, path, $"must be an object, not {Named(value.ValueKind)}");
            return;
        }
        foreach (var member in value.EnumerateObject())
        {
            if (type.Properties.FirstOrDefault(p => p.Name == member.Name) is { } known)
                CheckShape(member.Value, s_strict.GetTypeInfo(known.PropertyType), $"{path}.{member.Name}", errors);
            else
                errors.Add(ProblemCodes.UnknownField, $"{path}.{Shown(member.Name)}", $"'{Shown(member.Name)}' is not known here; known: {string.Join(", ", type.Properties.Select(p => p.Name))}");
        }
        foreach (var missing in type.Properties.Where(p => p.IsRequired && !value.TryGetProperty(p.Name, out _)))
            errors.Add(ProblemCodes.InvalidRequest, $"{path}.{missing.Name}", "is required");
    }

    private static string Explain(JsonException e)
    {
        var message = e.Message;
        // The message ends with zero-based places of its own; ours count from 1, as editors do.
        var cut = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        if (cut > 0)
            message = message[..cut];
        return e.LineNumber is { } line ? $"line {line + 1}, byte {(e.BytePositionInLine ?? 0) + 1}: {message}" : message;
    }

    private static string KindOf(JsonException e)
    {
        // What our own converters say is fit to show; the serializer's own messages name .NET types.
        const string Generic = "The JSON value could not be converted to ";
        if (e.InnerException is InvalidOperationException inner && IsHalfAPair(inner))
            return HalfAPair;
        if (!e.Message.StartsWith(Generic, StringComparison.Ordinal))
            return e.Message.Contains(" Path:", StringComparison.Ordinal) ? e.Message[..e.Message.IndexOf(" Path:", StringComparison.Ordinal)] : e.Message;
        var type = e.Message[Generic.Length..e.Message.IndexOf(". Path", StringComparison.Ordinal)];
        return "must be " + type switch
        {
            _ when type.Contains("Int32", StringComparison.Ordinal) => "a whole number between -2147483648 and 2147483647",
            _ when type.Contains("Int64", StringComparison.Ordinal) => "a whole number of at most 64 bits",
            _ when type.Contains("Double", StringComparison.Ordinal) => "a number",
            _ when type.Contains("Boolean", StringComparison.Ordinal) => "true or false",
            _ when type.Contains("Dictionary", StringComparison.Ordinal) => "an object of strings",
            _ when type.Contains("List", StringComparison.Ordinal) => "a list of strings",
            _ when type.Contains("String", StringComparison.Ordinal) => "a string",
            _ => "of another kind",
        };
    }

    private const string HalfAPair = "holds half of a surrogate pair (\\ud800 to \\udfff without the other half), which is no character";

    private static bool IsHalfAPair(InvalidOperationException e) => e.Message.Contains("UTF-16", StringComparison.Ordinal);

    private static string Named(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        _ => "true or false",
    };

    private static string Shown(string name) => name.Length <= 60 ? name : name[..60] + "…";
}
