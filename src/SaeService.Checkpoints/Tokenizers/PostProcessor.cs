using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>The <c>post_processor</c> section of tokenizer.json: tokens around a text, and offsets without the spaces that tokens begin or end with.</summary>
internal sealed class PostProcessor
{
    // What a template adds to every text; the longest in use add four.
    private const int MaxAdded = 1_000;

    // One entry for each part that trims: whether it leaves the first token the space that was put before the text.
    private readonly List<bool> _trims = [];
    private bool _added;

    public int[] Prefix { get; private set; } = [];

    public int[] Suffix { get; private set; } = [];

    public bool Trims => _trims.Count > 0;

    public static PostProcessor Read(StrictJson? json)
    {
        var processor = new PostProcessor();
        if (json is not null)
            processor.Add(json);
        return processor;
    }

    /// <summary>Replaces what is put around a text.</summary>
    public void Surround(int[] prefix, int[] suffix) => (Prefix, Suffix) = (prefix, suffix);

    private void Add(StrictJson json)
    {
        var kind = json.RequiredText("type");
        switch (kind)
        {
            case "Sequence":
                foreach (var part in TokenizerJson.Parts(json, "processors"))
                    Add(part);
                break;
            case "TemplateProcessing":
                AddTemplate(json);
                break;
            case "BertProcessing":
                AddAround(json);
                break;
            case "RobertaProcessing":
                AddTrim(json);
                AddAround(json);
                break;
            case "ByteLevel":
                AddTrim(json);
                json.Flag("use_regex", true);
                break;
            default:
                throw json.Unsupported("type", $"post-processor '{kind}' is not supported");
        }
        TokenizerJson.RefuseUnread(json);
    }

    private void AddTrim(StrictJson json)
    {
        var keepsFirst = json.Flag("add_prefix_space", true);
        if (json.Flag("trim_offsets", true))
            _trims.Add(keepsFirst);
    }

    private void AddTemplate(StrictJson json)
    {
        // Only single texts are encoded here, so the template for pairs is read and never used.
        json.Value("pair");
        var special = json.Nested("special_tokens");
        List<int> prefix = [], suffix = [];
        var sequenceSeen = false;
        foreach (var item in TokenizerJson.Parts(json, "single"))
        {
            if (item.Nested("Sequence") is { } sequence)
            {
                if (sequenceSeen || sequence.RequiredText("id") != "A")
                    throw item.Unsupported("Sequence", "must be A, once");
                sequenceSeen = true;
            }
            else
                (sequenceSeen ? suffix : prefix).AddRange(Ids(special, item.Nested("SpecialToken") ?? throw item.Invalid("SpecialToken", "is missing")));
        }
        if (!sequenceSeen)
            throw json.Unsupported("single", "has no place for the text");
        Surround(json, prefix, suffix);
    }

    private static IEnumerable<int> Ids(StrictJson? special, StrictJson item)
    {
        var name = item.RequiredText("id");
        var token = special?.Nested(name) ?? throw item.Invalid("id", $"'{name}' is none of special_tokens");
        if (token.Value("ids") is not { ValueKind: JsonValueKind.Array } ids || ids.GetArrayLength() > MaxAdded)
            throw token.Invalid("ids", "must be an array of token ids");
        foreach (var id in ids.EnumerateArray())
            yield return id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out var value) && value is >= 0 and <= TokenizerJson.MaxId
                ? value
                : throw token.Invalid("ids", "must be token ids");
    }

    private void AddAround(StrictJson json) => Surround(json, [Pair(json, "cls")], [Pair(json, "sep")]);

    private void Surround(StrictJson json, List<int> prefix, List<int> suffix)
    {
        // The library takes what a first template has made for a pair of texts.
        if (_added)
            throw json.Unsupported("type", "a second template over the first is not supported");
        if (prefix.Count + suffix.Count > MaxAdded)
            throw json.Invalid("single", $"adds more than {MaxAdded} tokens");
        _added = prefix.Count + suffix.Count > 0;
        Surround([.. prefix], [.. suffix]);
    }

    private static int Pair(StrictJson json, string key) =>
        json.Value(key) is { ValueKind: JsonValueKind.Array } pair && pair.GetArrayLength() == 2
            && pair[1].ValueKind == JsonValueKind.Number && pair[1].TryGetInt32(out var id) && id is >= 0 and <= TokenizerJson.MaxId
            ? id
            : throw json.Invalid(key, "must be a token and its id");

    /// <summary>Takes the leading and trailing spaces of the tokens out of their spans, by the rules of the library's ByteLevel post-processor.</summary>
    public void TrimOffsets(string original, TokenList tokens, Func<int, string> tokenOf)
    {
        foreach (var keepsFirst in _trims)
            for (var i = 0; i < tokens.Ids.Count; i++)
            {
                var token = tokens.Spelled.TryGetValue(i, out var spelled) ? spelled : tokenOf(tokens.Ids[i]);
                int leading = 0, trailing = 0;
                while (leading < token.Length && IsSpace(token[leading]))
                    leading++;
                while (trailing < token.Length && IsSpace(token[token.Length - 1 - trailing]))
                    trailing++;
                if (leading == 0 && trailing == 0)
                    continue;
                var (start, end) = tokens.Spans[i];
                // One leading space of the first token is the one that was put there.
                if (leading > 0 && !((i == 0 || start == 0) && keepsFirst && leading == 1))
                    start = Math.Min(Later(original, start, leading), end);
                if (trailing > 0)
                    end = Math.Max(Earlier(original, end, trailing), start);
                tokens.Spans[i] = (start, end);
            }
    }

    // Offsets of the library count characters, these count units.
    private static int Later(string text, int at, int characters)
    {
        for (; characters > 0; characters--)
            at += at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]) ? 2 : 1;
        return at;
    }

    private static int Earlier(string text, int at, int characters)
    {
        var to = at;
        for (; characters > 0; characters--)
        {
            // Where fewer characters stand before than would go, none goes.
            if (to == 0)
                return at;
            to -= to > 1 && char.IsSurrogatePair(text[to - 2], text[to - 1]) ? 2 : 1;
        }
        return to;
    }

    private static bool IsSpace(char c) => c == ByteAlphabet.CharOf((byte)' ') || UnicodeFacts.WhiteSpace.Contains(c);
}
