using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>
/// A JSON object read strictly: a value of the wrong kind is refused by name, and what was never asked for is known afterwards. A key given as null
/// is absent.
/// </summary>
/// <param name="root">The object.</param>
/// <param name="file">For messages.</param>
/// <param name="path">Where the object lies in the file, for messages; empty for its root.</param>
public class StrictJson(JsonElement root, string file, string path = "")
{
    // Sizes are multiplied with one another; this bound keeps every product inside 64 bits and is far above any real model.
    private const int MaxSize = 1 << 26;

    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    public string File { get; } = file;

    /// <summary>The value of the first of these keys that is present and not null.</summary>
    public JsonElement? Value(params ReadOnlySpan<string> keys)
    {
        JsonElement? found = null;
        foreach (var key in keys)
        {
            _read.Add(key);
            if (found is null && root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null)
                found = value;
        }
        return found;
    }

    /// <summary>A positive whole number under the first present key; <paramref name="fallback"/> where none is, which is an error where it is null.</summary>
    public int Size(int? fallback, params ReadOnlySpan<string> keys)
    {
        if (Value(keys) is not { } value)
            return fallback ?? throw Invalid(keys[0], "is missing");
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number is > 0 and <= MaxSize
            ? number
            : throw Invalid(keys[0], $"must be a whole number from 1 to {MaxSize}, not {Shown(value)}");
    }

    public double Number(string key, double fallback)
    {
        if (Value(key) is not { } value)
            return fallback;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)
            ? number
            : throw Invalid(key, $"must be a finite number, not {Shown(value)}");
    }

    /// <summary>A number that can be switched off: null where the key is given as null, <paramref name="absent"/> where it is not given.</summary>
    public double? OptionalNumber(string key, double? absent) => IsNull(key) ? null : Value(key) is null ? absent : Number(key, 0);

    /// <summary>A size that can be switched off: null where the key is given as null, <paramref name="absent"/> where it is not given.</summary>
    public int? OptionalSize(string key, int? absent) => IsNull(key) ? null : Value(key) is null ? absent : Size(null, key);

    /// <summary>Whether the key is given, as null.</summary>
    public bool IsNull(string key) => root.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Null;

    public bool Flag(string key, bool fallback) => Value(key) switch
    {
        null => fallback,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Invalid(key, $"must be true or false, not {Shown(value)}"),
    };

    public string? Text(string key) => Value(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Invalid(key, $"must be a string, not {Shown(value)}"),
    };

    /// <summary>The object under <paramref name="key"/>; null where it is absent.</summary>
    public StrictJson? Nested(string key) => Value(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new StrictJson(value, File, FullKey(key)),
        { } value => throw Invalid(key, $"must be an object, not {Shown(value)}"),
    };

    /// <summary>The objects of the array under <paramref name="key"/>; none where it is absent.</summary>
    public IReadOnlyList<StrictJson> List(string key)
    {
        if (Value(key) is not { } value)
            return [];
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.Object))
            throw Invalid(key, "must be an array of objects");
        return [.. value.EnumerateArray().Select((item, i) => new StrictJson(item, File, $"{FullKey(key)}[{i}]"))];
    }

    /// <summary>The strings of the array under <paramref name="key"/>; null where it is absent.</summary>
    public IReadOnlyList<string>? Texts(string key)
    {
        if (Value(key) is not { } value)
            return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
            throw Invalid(key, $"must be an array of strings, not {Shown(value)}");
        return [.. value.EnumerateArray().Select(item => item.GetString()!)];
    }

    /// <summary>The finite numbers of the array under <paramref name="key"/>; null where it is absent.</summary>
    public IReadOnlyList<double>? Numbers(string key)
    {
        if (Value(key) is not { } value)
            return null;
        if (value.ValueKind != JsonValueKind.Array
            || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.Number || !item.TryGetDouble(out var number) || !double.IsFinite(number)))
            throw Invalid(key, $"must be an array of finite numbers, not {Shown(value)}");
        return [.. value.EnumerateArray().Select(item => item.GetDouble())];
    }

    /// <summary>Properties with a value that was never asked for.</summary>
    public IEnumerable<JsonProperty> Unread =>
        root.EnumerateObject().Where(p => p.Value.ValueKind != JsonValueKind.Null && !_read.Contains(p.Name));

    public string RequiredText(string key) => Text(key) ?? throw Invalid(key, "is missing");

    public CheckpointException Invalid(string key, string message) => new(CheckpointFault.Invalid, File, FullKey(key), message);

    public CheckpointException Unsupported(string key, string message) => new(CheckpointFault.Unsupported, File, FullKey(key), message);

    public static string Shown(JsonElement value)
    {
        var text = value.GetRawText();
        return text.Length <= 80 ? text : text[..80] + "...";
    }

    private string FullKey(string key) => path.Length == 0 ? key : $"{path}.{key}";
}
