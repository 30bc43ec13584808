using System.Text;

namespace SaeService.Checkpoints;

/// <summary>The <c>decoder</c> section of tokenizer.json: each kind a function from a list of token strings to another; what comes out is joined.</summary>
internal static class Decoder
{
    public static Func<List<string>, List<string>> Read(StrictJson json)
    {
        var kind = json.RequiredText("type");
        Func<List<string>, List<string>> decoder;
        switch (kind)
        {
            case "Sequence":
                Func<List<string>, List<string>>[] parts = [.. json.List("decoders").Select(Read)];
                decoder = tokens => parts.Aggregate(tokens, (current, part) => part(current));
                break;
            case "Replace":
                var (pattern, content) = (TokenizerJson.LiteralPattern(json), json.RequiredText("content"));
                if (pattern.Length == 0)
                    throw json.Invalid("pattern", "is empty");
                decoder = tokens => tokens.ConvertAll(t => t.Replace(pattern, content, StringComparison.Ordinal));
                break;
            case "ByteFallback":
                decoder = ByteFallback;
                break;
            case "Fuse":
                decoder = tokens => [string.Concat(tokens)];
                break;
            case "Strip":
                var strip = json.RequiredText("content") is [var c] ? c : throw json.Invalid("content", "must be one character");
                var (start, stop) = (Count(json, "start"), Count(json, "stop"));
                decoder = tokens => tokens.ConvertAll(t => Strip(t, strip, start, stop));
                break;
            case "ByteLevel":
                // Switches of the pre-tokenizer and post-processor of that name; decoding is the same with all of them.
                foreach (var flag in new[] { "add_prefix_space", "trim_offsets", "use_regex" })
                    json.Flag(flag, true);
                decoder = tokens => [Encoding.UTF8.GetString(tokens.SelectMany(ByteAlphabet.BytesOf).ToArray())];
                break;
            default:
                throw json.Unsupported("type", $"decoder '{kind}' is not supported");
        }
        TokenizerJson.RefuseUnread(json);
        return decoder;
    }

    /// <summary>The byte that a token <c>&lt;0xNN&gt;</c> stands for.</summary>
    public static byte? ByteOf(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' && char.IsAsciiHexDigit(token[3]) && char.IsAsciiHexDigit(token[4])
            ? Convert.ToByte(token[3..5], 16)
            : null;

    /// <summary>Runs of byte tokens become their text; a run that is not UTF-8 becomes one U+FFFD a byte.</summary>
    private static List<string> ByteFallback(List<string> tokens)
    {
        var result = new List<string>(tokens.Count);
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            if (ByteOf(token) is { } value)
            {
                bytes.Add(value);
                continue;
            }
            Flush();
            result.Add(token);
        }
        Flush();
        return result;

        void Flush()
        {
            byte[] run = [.. bytes];
            if (run.Length > 0)
                result.Add(System.Text.Unicode.Utf8.IsValid(run) ? Encoding.UTF8.GetString(run) : new string('\uFFFD', run.Length));
            bytes.Clear();
        }
    }

    private static string Strip(string token, char c, int start, int stop)
    {
        int from = 0, to = token.Length;
        while (from < Math.Min(start, token.Length) && token[from] == c)
            from++;
        while (to > from && token.Length - to < stop && token[to - 1] == c)
            to--;
        return token[from..to];
    }

    private static int Count(StrictJson json, string key) =>
        json.Number(key, 0) is >= 0 and <= 1000 and var number && number == Math.Floor(number) ? (int)number : throw json.Invalid(key, "must be a small whole number");
}
