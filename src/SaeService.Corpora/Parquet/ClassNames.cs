using System.Text.Json;

namespace SaeService.Corpora.Parquet;

/// <summary>
/// What numbers in a hub data set mean: the names of its ClassLabel features, which the datasets library writes as JSON under the key
/// <c>huggingface</c> (<c>info.features</c>). A list of them is spelled in several ways: <c>_type</c> Sequence, List or LargeList over
/// <c>feature</c>; <c>sequence</c> over <c>class_label</c>; a bare array.
/// </summary>
internal static class ClassNames
{
    private const string Key = "huggingface";

    /// <returns>By column; only those that have names.</returns>
    /// <exception cref="FormatException">Such metadata, but no JSON.</exception>
    public static Dictionary<string, string[]> Read(IReadOnlyDictionary<string, string> metadata)
    {
        var names = new Dictionary<string, string[]>(StringComparer.Ordinal);
        if (!metadata.TryGetValue(Key, out var json))
            return names;
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 32 });
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("info", out var info) || info.ValueKind != JsonValueKind.Object
                || !info.TryGetProperty("features", out var features))
                return names;
            if (features.ValueKind == JsonValueKind.Object)
                foreach (var feature in features.EnumerateObject())
                    Add(feature.Name, feature.Value);
            else if (features.ValueKind == JsonValueKind.Array) // as a data card has them
                foreach (var feature in features.EnumerateArray())
                    if (feature.ValueKind == JsonValueKind.Object && feature.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String)
                        Add(name.GetString()!, feature);
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
        {
            throw new FormatException($"its '{Key}' metadata are no JSON", wrong);
        }
        return names;

        void Add(string column, JsonElement feature)
        {
            if (Find(feature) is { } found)
                names[column] = found;
        }
    }

    private static string[]? Find(JsonElement feature)
    {
        if (feature.ValueKind == JsonValueKind.Array && feature.GetArrayLength() == 1)
            return Find(feature[0]);
        if (feature.ValueKind != JsonValueKind.Object)
            return null;
        if (feature.TryGetProperty("names", out var names))
            return names.ValueKind switch
            {
                JsonValueKind.Array when names.EnumerateArray().All(n => n.ValueKind == JsonValueKind.String) => [.. names.EnumerateArray().Select(n => n.GetString()!)],
                // {"0": "O", "1": "B-PER"}
                JsonValueKind.Object => [.. Enumerable.Range(0, names.EnumerateObject().Count()).Select(i =>
                    names.TryGetProperty($"{i}", out var name) && name.ValueKind == JsonValueKind.String ? name.GetString()! : $"{i}")],
                _ => null,
            };
        foreach (var inner in (string[])["feature", "sequence", "list", "class_label", "dtype"])
            if (feature.TryGetProperty(inner, out var nested) && Find(nested) is { } found)
                return found;
        return null;
    }
}
