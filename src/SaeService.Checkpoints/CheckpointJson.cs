using System.Text.Json;
using System.Text.Unicode;

namespace SaeService.Checkpoints;

/// <summary>JSON files of a folder of weights, with errors that name the file.</summary>
public static class CheckpointJson
{
    /// <summary>The root object of the file. Nothing longer than <paramref name="maxBytes"/> is read.</summary>
    /// <exception cref="CheckpointException">NotFound, or Invalid where it is no JSON object, repeats a key or holds text that is none.</exception>
    public static JsonElement Read(string path, long maxBytes)
    {
        try
        {
            var json = ReadBytes(path, maxBytes);
            CheckText(json);
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.Clone()
                : throw new CheckpointException(CheckpointFault.Invalid, path, null, "is not a JSON object");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, path, null, "no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, path, null, $"cannot be read ({e.Message})", e);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new CheckpointException(CheckpointFault.Invalid, path, null, $"is not valid JSON ({e.Message})", e);
        }
    }

    private static ReadOnlyMemory<byte> ReadBytes(string path, long maxBytes)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        if (stream.Length > maxBytes)
            throw new CheckpointException(CheckpointFault.Invalid, path, null, $"{stream.Length} bytes are more than the {maxBytes} that are read");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsMemory(3) : bytes;
    }

    /// <summary>Throws where a string is not text, which the parser would only notice when someone asks for it: bytes that are not UTF-8, lone surrogates in escapes.</summary>
    private static void CheckText(ReadOnlyMemory<byte> json)
    {
        if (!Utf8.IsValid(json.Span))
            throw new JsonException("not UTF-8");
        if (json.Span.IndexOf("\\u"u8) < 0)
            return;
        var reader = new Utf8JsonReader(json.Span);
        while (reader.Read())
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
                reader.GetString();
    }
}
