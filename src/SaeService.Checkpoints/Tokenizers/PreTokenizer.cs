namespace SaeService.Checkpoints;

/// <summary>The <c>pre_tokenizer</c> section of tokenizer.json: each kind a function that cuts pieces further or rewrites them.</summary>
internal static class PreTokenizer
{
    private const int MaxLength = 1_000_000;

    private static readonly Func<Pieces, Pieces> s_atSpace = Splitting.By(PatternFinder.Characters(UnicodeFacts.WhiteSpace), SplitBehavior.Removed);

    public static Func<Pieces, Pieces> Read(StrictJson? json)
    {
        if (json is null)
            return pieces => pieces;
        var kind = json.RequiredText("type");
        var preTokenizer = kind switch
        {
            "Sequence" => Sequence([.. TokenizerJson.Parts(json, "pretokenizers").Select(Read)]),
            "ByteLevel" => ByteLevel(json),
            "Split" => Splitting.By(PatternFinder.Read(json), Splitting.ReadBehavior(json), json.Flag("invert", false)),
            "Whitespace" => pieces => Words(s_atSpace(pieces)),
            "WhitespaceSplit" => s_atSpace,
            "BertPreTokenizer" => Bert,
            "Punctuation" => Splitting.By(PatternFinder.Characters(UnicodeFacts.Punctuation), Splitting.ReadBehavior(json, SplitBehavior.Isolated)),
            "Digits" => Splitting.By(PatternFinder.Characters(UnicodeFacts.Numeric), json.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
            "CharDelimiterSplit" => Splitting.By(PatternFinder.Characters(CodePointSet.Of(TokenizerJson.Character(json, "delimiter"))), SplitBehavior.Removed),
            "Metaspace" => Metaspace.ReadPreTokenizer(json),
            "UnicodeScripts" => UnicodeScripts.Split,
            "FixedLength" => FixedLength(json),
            _ => throw json.Unsupported("type", $"pre-tokenizer '{kind}' is not supported"),
        };
        TokenizerJson.RefuseUnread(json);
        return preTokenizer;
    }

    private static Func<Pieces, Pieces> Sequence(Func<Pieces, Pieces>[] parts) => pieces => parts.Aggregate(pieces, (current, part) => part(current));

    private static Func<Pieces, Pieces> ByteLevel(StrictJson json)
    {
        var addSpace = json.Flag("add_prefix_space", true);
        // Read and without effect here: offsets are trimmed by the post-processor of the same name.
        json.Flag("trim_offsets", true);
        var cut = json.Flag("use_regex", true) ? Splitting.By(PatternFinder.Compile(WordScanner.Gpt2, e => json.Unsupported("use_regex", e)), SplitBehavior.Isolated) : null;
        return pieces =>
        {
            if (addSpace)
                pieces = Metaspace.WithPrefix(pieces, " ", (text, start) => text.Chars[start] != ' ');
            if (cut is not null)
                pieces = cut(pieces);
            var bytes = new AlignedText(pieces.Text.Length + (pieces.Text.Length >> 3), pieces.Text.Origin);
            var ranges = new List<(int, int)>(pieces.Ranges.Count);
            foreach (var (start, end) in pieces.Ranges)
            {
                var begin = bytes.Length;
                ByteAlphabet.Spell(pieces.Text, start, end, bytes);
                ranges.Add((begin, bytes.Length));
            }
            return new Pieces(bytes, ranges);
        };
    }

    /// <summary>\w+|[^\w\s]+ within pieces that have no white space.</summary>
    private static Pieces Words(Pieces pieces)
    {
        var ranges = new List<(int, int)>(pieces.Ranges.Count);
        foreach (var (start, end) in pieces.Ranges)
        {
            var begin = start;
            bool? isWord = null;
            for (int at = start, units; at < end; at += units)
            {
                var own = UnicodeFacts.Word.Contains(pieces.Text.CodePoint(at, out units));
                if (isWord is { } before && before != own)
                {
                    ranges.Add((begin, at));
                    begin = at;
                }
                isWord = own;
            }
            Splitting.AddRange(ranges, begin, end);
        }
        return new Pieces(pieces.Text, ranges);
    }

    /// <summary>White space goes, punctuation is by itself.</summary>
    private static Pieces Bert(Pieces pieces)
    {
        var chars = pieces.Text.Chars;
        var ranges = new List<(int, int)>(chars.Length / 4);
        foreach (var (start, end) in pieces.Ranges)
        {
            var begin = start;
            for (int at = start, units; at < end; at += units)
            {
                var c = AlignedText.CodePoint(chars, at, out units);
                if (c < 0x80 && char.IsAsciiLetterOrDigit((char)c))
                    continue;
                var isSpace = UnicodeFacts.WhiteSpace.Contains(c);
                if (!isSpace && !UnicodeFacts.Punctuation.Contains(c))
                    continue;
                Splitting.AddRange(ranges, begin, at);
                if (!isSpace)
                    ranges.Add((at, at + units));
                begin = at + units;
            }
            Splitting.AddRange(ranges, begin, end);
        }
        return new Pieces(pieces.Text, ranges);
    }

    private static Func<Pieces, Pieces> FixedLength(StrictJson json)
    {
        var length = TokenizerJson.Count(json, "length", 5, MaxLength);
        if (length == 0)
            throw json.Invalid("length", "must be more than 0");
        return pieces =>
        {
            var ranges = new List<(int, int)>();
            foreach (var (start, end) in pieces.Ranges)
            {
                var begin = start;
                var characters = 0;
                for (int at = start, units; at < end; at += units)
                {
                    pieces.Text.CodePoint(at, out units);
                    if (++characters % length != 0)
                        continue;
                    ranges.Add((begin, at + units));
                    begin = at + units;
                }
                Splitting.AddRange(ranges, begin, end);
            }
            return new Pieces(pieces.Text, ranges);
        };
    }
}
