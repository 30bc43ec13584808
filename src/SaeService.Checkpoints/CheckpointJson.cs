using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>JSON files of a model folder, with errors that name the file.</summary>
internal static class CheckpointJson
{
    /// <summary>The root object of the file. Nothing longer than <paramref name="maxBytes"/> is read.</summary>
    public static JsonElement Read(string path, long maxBytes)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (stream.Length > maxBytes)
                throw new CheckpointException(CheckpointFault.Invalid, path, null, $"{stream.Length} bytes are more than the {maxBytes} that are read");
            using var document = JsonDocument.Parse(stream, new JsonDocumentOptions { AllowDuplicateProperties = false });
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
}
