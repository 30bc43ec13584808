using System.Text;

namespace SaeService.Checkpoints;

/// <summary>The <c>decoder</c> section of tokenizer.json: each kind a function from a list of token strings to another; what comes out is joined.</summary>
internal static class Decoder
{
    // In this order; of WordPiece's decoder and CTC's.
    private static readonly (string From, string To)[] s_cleanup =
        [(" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")];

    public static Func<List<string>, List<string>> Read(StrictJson json)
    {
        var kind = json.RequiredText("type");
        Func<List<string>, List<string>> decoder;
        switch (kind)
        {
            case "Sequence":
                Func<List<string>, List<string>>[] parts = [.. TokenizerJson.Parts(json, "decoders").Select(Read)];
                decoder = tokens => parts.Aggregate(tokens, (current, part) => part(current));
                break;
            case "Replace":
                var (pattern, content) = (PatternFinder.Read(json), json.RequiredText("content"));
                decoder = tokens => tokens.ConvertAll(t => Replace(t, pattern, content));
                break;
            case "ByteFallback":
                decoder = ByteFallback;
                break;
            case "Fuse":
                decoder = tokens => [string.Concat(tokens)];
                break;
            case "Strip":
                var strip = TokenizerJson.Character(json, "content");
                var (start, stop) = (TokenizerJson.Count(json, "start", 0, 1_000_000), TokenizerJson.Count(json, "stop", 0, 1_000_000));
                decoder = tokens => tokens.ConvertAll(t => Strip(t, char.ConvertFromUtf32(strip), start, stop));
                break;
            case "ByteLevel":
                // Switches of the pre-tokenizer and post-processor of that name; decoding is the same with all of them.
                foreach (var flag in new[] { "add_prefix_space", "trim_offsets", "use_regex" })
                    json.Flag(flag, true);
                decoder = tokens => [Encoding.UTF8.GetString(tokens.SelectMany(ByteAlphabet.BytesOf).ToArray())];
                break;
            case "WordPiece":
                var (prefix, clean) = (json.Text("prefix") ?? "##", json.Flag("cleanup", true));
                decoder = tokens => [.. tokens.Select((t, i) => WordPiece(t, i == 0, prefix, clean))];
                break;
            case "BPEDecoder":
                var suffix = json.Text("suffix") is { Length: > 0 } given ? given : throw json.Unsupported("suffix", "must not be empty");
                decoder = tokens => [.. tokens.Select((t, i) => t.Replace(suffix, i == tokens.Count - 1 ? "" : " ", StringComparison.Ordinal))];
                break;
            case "Metaspace":
                decoder = Metaspace.ReadDecoder(json);
                break;
            case "CTC":
                decoder = Ctc(json.RequiredText("pad_token"), json.RequiredText("word_delimiter_token"), json.Flag("cleanup", true), json);
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

    private static string Replace(string token, PatternFinder pattern, string content)
    {
        var matches = new List<(int Start, int End)>();
        pattern.Find(token, matches);
        var result = new StringBuilder();
        var done = 0;
        foreach (var (start, end) in matches)
        {
            result.Append(token, done, start - done).Append(content);
            done = end;
        }
        return result.Append(token, done, token.Length - done).ToString();
    }

    private static string Strip(string token, string character, int start, int stop)
    {
        int from = 0, to = token.Length;
        for (; start > 0 && string.CompareOrdinal(token, from, character, 0, character.Length) == 0 && from < to; start--)
            from += character.Length;
        for (; stop > 0 && to - from >= character.Length && string.CompareOrdinal(token, to - character.Length, character, 0, character.Length) == 0; stop--)
            to -= character.Length;
        return token[from..to];
    }

    private static string WordPiece(string token, bool first, string prefix, bool clean)
    {
        if (!first)
            token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        return clean ? Clean(token) : token;
    }

    private static Func<List<string>, List<string>> Ctc(string pad, string delimiter, bool clean, StrictJson json)
    {
        if (pad.Length == 0 || delimiter.Length == 0)
            throw json.Unsupported("pad_token", "an empty token is not supported");
        return tokens =>
        {
            var result = new List<string>(tokens.Count);
            for (var i = 0; i < tokens.Count; i++)
            {
                if (i > 0 && tokens[i] == tokens[i - 1])
                    continue;
                var token = tokens[i].Replace(pad, "", StringComparison.Ordinal);
                if (clean)
                    token = Clean(token).Replace(delimiter, " ", StringComparison.Ordinal);
                if (token.Length > 0)
                    result.Add(token);
            }
            return result;
        };
    }

    private static string Clean(string token) => s_cleanup.Aggregate(token, (text, rule) => text.Replace(rule.From, rule.To, StringComparison.Ordinal));
}
