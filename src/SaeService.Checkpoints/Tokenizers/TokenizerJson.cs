using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>What the readers of tokenizer.json's sections share.</summary>
internal static class TokenizerJson
{
    /// <summary>Every part of tokenizer.json changes ids or offsets, so nothing in it may be passed over.</summary>
    public static void RefuseUnread(StrictJson json)
    {
        foreach (var property in json.Unread)
            throw json.Unsupported(property.Name, $"= {StrictJson.Shown(property.Value)} is not supported");
    }

    /// <summary>Refuses a switch that is given with another value than the one that is computed.</summary>
    public static void Require(StrictJson json, string key, bool value, bool absent)
    {
        if (json.Flag(key, absent) != value)
            throw json.Unsupported(key, $"= {(value ? "false" : "true")} is not supported");
    }

    /// <summary>A pattern given as <c>{"String": ...}</c>.</summary>
    public static string LiteralPattern(StrictJson json)
    {
        var pattern = json.Nested("pattern") ?? throw json.Invalid("pattern", "is missing");
        var text = pattern.Text("String") ?? throw json.Unsupported("pattern", "only a literal pattern is supported here");
        RefuseUnread(pattern);
        return text;
    }

    /// <summary>A vocabulary object, token to id.</summary>
    /// <exception cref="CheckpointException">An id that is negative, repeated, or so large that the vocabulary would be mostly holes.</exception>
    public static Dictionary<string, int> Vocabulary(StrictJson model, string key)
    {
        if (model.Value(key) is not { ValueKind: JsonValueKind.Object } vocab)
            throw model.Invalid(key, "must be an object of token to id");
        var ids = new Dictionary<string, int>(vocab.GetPropertyCount(), StringComparer.Ordinal);
        var seen = new HashSet<int>();
        foreach (var entry in vocab.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id) || id < 0 || id > MaxId)
                throw model.Invalid($"{key}.{entry.Name}", $"the id must be a whole number from 0 to {MaxId}");
            if (!seen.Add(id))
                throw model.Invalid($"{key}.{entry.Name}", $"two tokens have id {id}");
            ids[entry.Name] = id;
        }
        return ids;
    }

    // Ten times the largest vocabulary in use; tables are allocated by the largest id.
    public const int MaxId = 1 << 22;
}
