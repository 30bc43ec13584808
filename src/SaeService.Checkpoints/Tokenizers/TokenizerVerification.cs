using System.Text;
using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>One thing that a tokenizer makes otherwise than it should.</summary>
/// <param name="Line">Of the file, from 1.</param>
/// <param name="What">ids, ids_with_special, offsets or decoded.</param>
public sealed record TokenizerDifference(int Line, string Text, string What, string Expected, string Got);

/// <summary>How a tokenizer compares with the encodings that lie beside it.</summary>
/// <param name="Differences">The first ones.</param>
public sealed record TokenizerVerification(int Strings, int Equal, IReadOnlyList<TokenizerDifference> Differences)
{
    public const string FileName = "encodings.jsonl";

    private const int MaxDifferences = 50;

    // Of a line; and of a list as it is shown.
    private const int MaxLine = 50_000_000;
    private const int MaxShown = 200;

    /// <summary>
    /// Compares the tokenizer of a folder with its encodings.jsonl: a JSON object a line, of <c>text</c>, <c>ids</c>, <c>ids_with_special</c>, <c>offsets</c>
    /// (pairs of positions in code points of the text) and <c>decoded</c>, the text of the ids with special tokens kept. All but <c>text</c> and <c>ids</c> may be absent.
    /// </summary>
    /// <exception cref="CheckpointException">The tokenizer or the file cannot be used.</exception>
    public static TokenizerVerification Run(string folder) => Run(Tokenizer.Load(folder), Path.Combine(folder, FileName));

    /// <exception cref="CheckpointException">The file cannot be used.</exception>
    public static TokenizerVerification Run(Tokenizer tokenizer, string file)
    {
        var (strings, equal) = (0, 0);
        List<TokenizerDifference> differences = [];
        foreach (var (number, json) in Lines(file))
        {
            strings++;
            var before = differences.Count;
            Compare(tokenizer, number, json, differences);
            if (differences.Count == before)
                equal++;
            if (differences.Count > MaxDifferences)
                differences.RemoveRange(MaxDifferences, differences.Count - MaxDifferences);
        }
        return strings > 0 ? new(strings, equal, differences) : throw new CheckpointException(CheckpointFault.Invalid, file, null, "has no lines");
    }

    private static void Compare(Tokenizer tokenizer, int line, StrictJson json, List<TokenizerDifference> differences)
    {
        var text = json.RequiredText("text");
        var encoding = tokenizer.Encode(text, addSpecialTokens: false);
        var ids = Numbers(json, "ids") ?? throw json.Invalid("ids", "is missing");
        Add("ids", ids, encoding.Ids);
        if (Numbers(json, "ids_with_special") is { } special)
            Add("ids_with_special", special, tokenizer.Encode(text, addSpecialTokens: true).Ids);
        if (json.Value("offsets") is { } offsets)
            Add("offsets", Spans(json, offsets, text), encoding.Offsets);
        if (json.Text("decoded") is { } decoded)
        {
            var got = ids.All(id => id >= 0 && id < tokenizer.VocabularySize) ? Decoded(tokenizer, ids) : "an id outside the vocabulary";
            if (got != decoded)
                differences.Add(new(line, Escape(text), "decoded", Escape(decoded), Escape(got)));
        }

        void Add<T>(string what, IReadOnlyList<T> expected, IReadOnlyList<T> got)
        {
            if (!expected.SequenceEqual(got))
                differences.Add(new(line, Escape(text), what, Shown(expected, got), Shown(got, expected)));
        }
    }

    private static string Decoded(Tokenizer tokenizer, int[] ids)
    {
        try
        {
            return tokenizer.Decode(ids);
        }
        catch (ArgumentOutOfRangeException e)
        {
            return e.Message;
        }
    }

    private static IEnumerable<(int Line, StrictJson Json)> Lines(string file)
    {
        using var reader = Open(file);
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (line.Length == 0)
                continue;
            if (line.Length > MaxLine)
                throw new CheckpointException(CheckpointFault.Invalid, file, $"line {number}", $"is longer than {MaxLine} characters");
            JsonElement root;
            try
            {
                using var document = JsonDocument.Parse(line);
                root = document.RootElement.Clone();
            }
            catch (JsonException e)
            {
                throw new CheckpointException(CheckpointFault.Invalid, file, $"line {number}", $"is not valid JSON ({e.Message})", e);
            }
            yield return root.ValueKind == JsonValueKind.Object
                ? (number, new StrictJson(root, file, $"line {number}"))
                : throw new CheckpointException(CheckpointFault.Invalid, file, $"line {number}", "is not a JSON object");
        }
    }

    private static StreamReader Open(string file)
    {
        try
        {
            return new StreamReader(file, new UTF8Encoding(false));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException(CheckpointFault.NotFound, file, null, e is FileNotFoundException ? "no such file" : $"cannot be read ({e.Message})", e);
        }
    }

    private static int[]? Numbers(StrictJson json, string key)
    {
        if (json.Value(key) is not { } value)
            return null;
        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(n => n.ValueKind == JsonValueKind.Number && n.TryGetInt32(out _))
            ? [.. value.EnumerateArray().Select(n => n.GetInt32())]
            : throw json.Invalid(key, "must be an array of whole numbers");
    }

    private static (int, int)[] Spans(StrictJson json, JsonElement value, string text)
    {
        // Where each code point starts; one past the last is the length.
        List<int> units = [];
        for (var i = 0; i < text.Length; i += char.IsSurrogatePair(text, i) ? 2 : 1)
            units.Add(i);
        units.Add(text.Length);
        if (value.ValueKind != JsonValueKind.Array)
            throw json.Invalid("offsets", "must be an array of pairs");
        return [.. value.EnumerateArray().Select(pair =>
            pair.ValueKind == JsonValueKind.Array && pair.GetArrayLength() == 2 ? (Unit(pair[0]), Unit(pair[1])) : throw json.Invalid("offsets", "must be an array of pairs"))];

        int Unit(JsonElement position) =>
            position.ValueKind == JsonValueKind.Number && position.TryGetInt32(out var at) && at >= 0 && at < units.Count ? units[at] : throw json.Invalid("offsets", "must be positions in the text");
    }

    /// <summary>The part of a list from just before the first difference on.</summary>
    private static string Shown<T>(IReadOnlyList<T> list, IReadOnlyList<T> other)
    {
        var same = 0;
        while (same < list.Count && same < other.Count && EqualityComparer<T>.Default.Equals(list[same], other[same]))
            same++;
        var from = Math.Max(0, same - 2);
        var text = string.Join(' ', list.Skip(from).Take(20));
        return $"{(from > 0 ? "... " : "")}{text}{(list.Count > from + 20 ? " ..." : "")} ({list.Count})";
    }

    private static string Escape(string text)
    {
        var shown = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (shown.Length > MaxShown)
            {
                shown.Append("...");
                break;
            }
            if (rune.Value is >= ' ' and < 0x7F and not '\\')
                shown.Append((char)rune.Value);
            else
                shown.Append(rune.Value switch { '\\' => @"\\", '\n' => @"\n", '\t' => @"\t", '\r' => @"\r", _ => $"\\u{{{rune.Value:X}}}" });
        }
        return shown.ToString();
    }
}
