using System.Text.Json;

namespace SaeService.Checkpoints;

/// <summary>The <c>post_processor</c> section of tokenizer.json: tokens around a text, and offsets without the spaces that tokens begin or end with.</summary>
internal sealed class PostProcessor
{
    private bool _trim, _trimKeepsFirst;

    public int[] Prefix { get; private set; } = [];

    public int[] Suffix { get; private set; } = [];

    public static PostProcessor Read(StrictJson? json)
    {
        var processor = new PostProcessor();
        if (json is not null)
            processor.Add(json);
        return processor;
    }

    private void Add(StrictJson json)
    {
        var kind = json.RequiredText("type");
        switch (kind)
        {
            case "Sequence":
                foreach (var part in json.List("processors"))
                    Add(part);
                break;
            case "TemplateProcessing":
                AddTemplate(json);
                break;
            case "ByteLevel":
                _trim = json.Flag("trim_offsets", true);
                _trimKeepsFirst = json.Flag("add_prefix_space", true);
                json.Flag("use_regex", true);
                break;
            default:
                throw json.Unsupported("type", $"post-processor '{kind}' is not supported");
        }
        TokenizerJson.RefuseUnread(json);
    }

    private void AddTemplate(StrictJson json)
    {
        // Only single texts are encoded here, so the template for pairs is read and never used.
        json.Value("pair");
        var special = json.Nested("special_tokens");
        List<int> prefix = [], suffix = [];
        var sequenceSeen = false;
        foreach (var item in json.List("single"))
        {
            if (item.Nested("Sequence") is { } sequence)
            {
                if (sequenceSeen || sequence.RequiredText("id") != "A")
                    throw item.Invalid("Sequence", "must be A, once");
                sequenceSeen = true;
            }
            else
                (sequenceSeen ? suffix : prefix).AddRange(Ids(special, item.Nested("SpecialToken")?.RequiredText("id") ?? throw item.Invalid("SpecialToken", "is missing")));
        }
        if (!sequenceSeen)
            throw json.Invalid("single", "has no place for the text");
        (Prefix, Suffix) = ([.. prefix, .. Prefix], [.. Suffix, .. suffix]);
    }

    private static IEnumerable<int> Ids(StrictJson? special, string name)
    {
        if (special?.Nested(name)?.Value("ids") is not { ValueKind: JsonValueKind.Array } ids)
            throw (special ?? throw new InvalidOperationException(name)).Invalid(name, "has no ids");
        foreach (var id in ids.EnumerateArray())
            yield return id.TryGetInt32(out var value) && value is >= 0 and <= TokenizerJson.MaxId ? value : throw special.Invalid(name, "ids must be token ids");
    }

    /// <summary>Takes the leading and trailing spaces of the tokens out of their spans, by the rules of the library's ByteLevel post-processor.</summary>
    public void TrimOffsets(IReadOnlyList<int> ids, List<(int Start, int End)> spans, Func<int, string> tokenOf)
    {
        if (!_trim)
            return;
        for (var i = 0; i < spans.Count; i++)
        {
            var token = tokenOf(ids[i]);
            int leading = token.TakeWhile(IsSpace).Count(), trailing = token.Reverse().TakeWhile(IsSpace).Count();
            var (start, end) = spans[i];
            if (leading > 0)
            {
                if ((i == 0 || start == 0) && _trimKeepsFirst)
                    leading--;
                start = Math.Min(start + leading, end);
            }
            if (trailing > 0 && end >= trailing)
                end = Math.Max(end - trailing, start);
            spans[i] = (start, end);
        }
    }

    private static bool IsSpace(char c) => c == ByteAlphabet.CharOf((byte)' ') || char.IsWhiteSpace(c);
}
