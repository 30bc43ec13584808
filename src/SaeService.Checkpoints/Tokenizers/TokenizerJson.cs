using System.Text;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>What the readers of tokenizer.json's sections share.</summary>
internal static class TokenizerJson
{
    // Ten times the largest vocabulary in use; tables are allocated by the largest id.
    public const int MaxId = 1 << 22;

    // No tokenizer in use has more than ten; each one is a pass over the text.
    private const int MaxParts = 200;

    /// <summary>Every part of tokenizer.json changes ids or offsets, so nothing in it may be passed over.</summary>
    public static void RefuseUnread(StrictJson json)
    {
        foreach (var property in json.Unread)
            throw json.Unsupported(property.Name, $"= {StrictJson.Shown(property.Value)} is not supported");
    }

    /// <summary>The parts of a Sequence.</summary>
    public static IReadOnlyList<StrictJson> Parts(StrictJson json, string key)
    {
        if (json.Value(key) is not { ValueKind: JsonValueKind.Array } parts)
            throw json.Invalid(key, "must be an array of objects");
        return parts.GetArrayLength() <= MaxParts ? json.List(key) : throw json.Invalid(key, $"{parts.GetArrayLength()} parts are more than {MaxParts}");
    }

    /// <summary>A string of one character.</summary>
    public static int Character(StrictJson json, string key)
    {
        var text = json.RequiredText(key);
        return text.Length > 0 && Rune.DecodeFromUtf16(text, out var rune, out var units) == System.Buffers.OperationStatus.Done && units == text.Length
            ? rune.Value
            : throw json.Invalid(key, "must be one character");
    }

    /// <summary>A whole number from 0 to <paramref name="most"/>.</summary>
    public static int Count(StrictJson json, string key, int absent, int most) =>
        json.Number(key, absent) is >= 0 and var number && number <= most && number == Math.Floor(number)
            ? (int)number
            : throw json.Invalid(key, $"must be a whole number from 0 to {most}");

    /// <summary>A vocabulary object, token to id.</summary>
    /// <exception cref="CheckpointException">An id that is negative, repeated, or so large that the vocabulary would be mostly holes.</exception>
    public static Dictionary<string, int> Vocabulary(StrictJson model, string key)
    {
        if (model.Value(key) is not { ValueKind: JsonValueKind.Object } vocab)
            throw model.Invalid(key, "must be an object of token to id");
        return Vocabulary(vocab, (name, message) => model.Invalid($"{key}.{name}", message));
    }

    public static Dictionary<string, int> Vocabulary(JsonElement vocab, Func<string, string, CheckpointException> invalid)
    {
        var ids = new Dictionary<string, int>(vocab.GetPropertyCount(), StringComparer.Ordinal);
        var seen = new HashSet<int>();
        foreach (var entry in vocab.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id) || id < 0 || id > MaxId)
                throw invalid(entry.Name, $"the id must be a whole number from 0 to {MaxId}");
            if (!seen.Add(id))
                throw invalid(entry.Name, $"two tokens have id {id}");
            ids[entry.Name] = id;
        }
        return ids;
    }
}
