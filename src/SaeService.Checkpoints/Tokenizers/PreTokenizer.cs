using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SaeService.Checkpoints;

/// <summary>Text cut into pieces [Start, End) of UTF-16 units that the model encodes one by one.</summary>
internal readonly record struct Pieces(AlignedText Text, IReadOnlyList<(int Start, int End)> Ranges);

/// <summary>The <c>pre_tokenizer</c> section of tokenizer.json: each kind a function that cuts pieces further or rewrites them.</summary>
internal static class PreTokenizer
{
    // Tokenizer files come from strangers; a pattern that backtracks without end is stopped.
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(10);

    private const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public static Func<Pieces, Pieces> Read(StrictJson? json)
    {
        if (json is null)
            return pieces => pieces;
        var kind = json.RequiredText("type");
        var preTokenizer = kind switch
        {
            "Sequence" => Sequence([.. json.List("pretokenizers").Select(Read)]),
            "ByteLevel" => ByteLevel(json),
            "Split" => Split(json),
            _ => throw json.Unsupported("type", $"pre-tokenizer '{kind}' is not supported"),
        };
        TokenizerJson.RefuseUnread(json);
        return preTokenizer;
    }

    private static Func<Pieces, Pieces> Sequence(Func<Pieces, Pieces>[] parts) => pieces => parts.Aggregate(pieces, (current, part) => part(current));

    private static Func<Pieces, Pieces> ByteLevel(StrictJson json)
    {
        TokenizerJson.Require(json, "add_prefix_space", false, absent: true);
        // Read and without effect here: offsets are trimmed by the post-processor of the same name.
        json.Flag("trim_offsets", true);
        var cut = json.Flag("use_regex", true) ? Isolate(Compile(Gpt2Pattern, json)) : pieces => pieces;
        return pieces => ToBytes(cut(pieces));
    }

    /// <summary>Every piece in UTF-8, a byte a character of <see cref="ByteAlphabet"/>; all bytes of a character carry the character's span.</summary>
    private static Pieces ToBytes(Pieces pieces)
    {
        var bytes = new AlignedText(pieces.Text.Length + (pieces.Text.Length >> 3));
        var ranges = new List<(int, int)>(pieces.Ranges.Count);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var (start, end) in pieces.Ranges)
        {
            var begin = bytes.Length;
            for (var i = start; i < end;)
            {
                Rune.DecodeFromUtf16(pieces.Text.Chars[i..end], out var rune, out var units);
                var count = rune.EncodeToUtf8(utf8);
                foreach (var value in utf8[..count])
                    bytes.Append(ByteAlphabet.CharOf(value), pieces.Text.Original(i, i + units));
                i += units;
            }
            ranges.Add((begin, bytes.Length));
        }
        return new Pieces(bytes, ranges);
    }

    private static Func<Pieces, Pieces> Split(StrictJson json)
    {
        var pattern = json.Nested("pattern") ?? throw json.Invalid("pattern", "is missing");
        var regex = pattern.Text("Regex") ?? Regex.Escape(pattern.RequiredText("String"));
        TokenizerJson.RefuseUnread(pattern);
        if (json.RequiredText("behavior") is var behavior && behavior != "Isolated")
            throw json.Unsupported("behavior", $"'{behavior}' is not supported");
        TokenizerJson.Require(json, "invert", false, absent: false);
        return Isolate(Compile(regex, json));
    }

    private static Regex Compile(string pattern, StrictJson json)
    {
        try
        {
            return new Regex(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant, PatternTimeout);
        }
        catch (ArgumentException e)
        {
            throw json.Unsupported("pattern", $"the regular expression is not understood ({e.Message})");
        }
    }

    /// <summary>Each match becomes a piece, and so does each stretch between two.</summary>
    private static Func<Pieces, Pieces> Isolate(Regex regex) => pieces =>
    {
        var (chars, unitOf) = OneUnitARune(pieces.Text.Chars);
        var ranges = new List<(int, int)>(pieces.Text.Length / 4 + 1);
        foreach (var (start, end) in pieces.Ranges)
        {
            int begin = IndexOf(unitOf, start), stop = IndexOf(unitOf, end), done = 0;
            foreach (var match in regex.EnumerateMatches(chars.AsSpan(begin, stop - begin)))
            {
                Add(done, match.Index);
                Add(match.Index, match.Index + match.Length);
                done = match.Index + match.Length;
            }
            Add(done, stop - begin);

            void Add(int from, int to)
            {
                if (from < to)
                    ranges.Add(unitOf is null ? (begin + from, begin + to) : (unitOf[begin + from], unitOf[begin + to]));
            }
        }
        return new Pieces(pieces.Text, ranges);
    };

    private static int IndexOf(int[]? unitOf, int unit) => unitOf is null ? unit : Array.BinarySearch(unitOf, unit);

    /// <summary>
    /// .NET's expressions see UTF-16 units and never match \p{L} on a letter outside the basic plane. Such characters are replaced by one of the basic
    /// plane of the same category, one unit each; unitOf[i] is then where character i starts, with the length last. Null where nothing was replaced.
    /// </summary>
    private static (char[] Chars, int[]? UnitOf) OneUnitARune(ReadOnlySpan<char> text)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
            return (text.ToArray(), null);
        var chars = new List<char>(text.Length);
        var unitOf = new List<int>(text.Length + 1);
        for (var i = 0; i < text.Length;)
        {
            Rune.DecodeFromUtf16(text[i..], out var rune, out var units);
            chars.Add(rune.IsBmp ? (char)rune.Value : Stand(Rune.GetUnicodeCategory(rune)));
            unitOf.Add(i);
            i += units;
        }
        unitOf.Add(text.Length);
        return ([.. chars], [.. unitOf]);
    }

    private static char Stand(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u0394',
        UnicodeCategory.LowercaseLetter => '\u03B4',
        UnicodeCategory.TitlecaseLetter => '\u01C5',
        UnicodeCategory.ModifierLetter => '\u02B0',
        UnicodeCategory.OtherLetter => '\u4E00',
        UnicodeCategory.NonSpacingMark => '\u0301',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u20DD',
        UnicodeCategory.DecimalDigitNumber => '\u0661',
        UnicodeCategory.LetterNumber => '\u2160',
        UnicodeCategory.OtherNumber => '\u00B2',
        UnicodeCategory.MathSymbol => '\u2211',
        UnicodeCategory.CurrencySymbol => '\u20AC',
        UnicodeCategory.ModifierSymbol => '\u02C2',
        UnicodeCategory.OtherPunctuation => '\u2020',
        UnicodeCategory.DashPunctuation => '\u2014',
        UnicodeCategory.Format => '\u200B',
        UnicodeCategory.PrivateUse => '\uE000',
        UnicodeCategory.OtherNotAssigned => '\u0378',
        _ => '\u2603',
    };
}
