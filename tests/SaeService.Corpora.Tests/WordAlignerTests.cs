using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class WordAlignerTests
{
    /// <summary>Each word as the texts of its tokens, or as what happened to it.</summary>
    private static string[] Align(Sentence sentence, (int Start, int End)[] tokens, bool[]? ignored = null)
    {
        var n = sentence.Words.Length;
        var (first, last, outcome) = (new int[n], new int[n], new Alignment[n]);
        WordAligner.Align(sentence.Text, [.. sentence.Words.Select(w => (w.Start, w.End))], [.. sentence.Words.Select(w => w.SharesSurface)],
            tokens, ignored ?? new bool[tokens.Length], first, last, outcome);
        return [.. Enumerable.Range(0, n).Select(w => outcome[w] == Alignment.Aligned
            ? string.Join('|', tokens[first[w]..(last[w] + 1)].Select(t => sentence.Text[t.Start..t.End])) : outcome[w].ToString())];
    }

    private static (int Start, int End)[] Tiles(params string[] pieces)
    {
        var at = 0;
        return [.. pieces.Select(p => (at, at += p.Length))];
    }

    [Fact]
    public void Contractions_cut_where_the_words_are()
    {
        var sentence = ToyTokenizers.Spelled("I didn't", "I", "did", "n't");
        Assert.Equal(["I", " did", "n|'t"], Align(sentence, Tiles("I", " did", "n", "'t")));
    }

    [Fact]
    public void A_token_that_reaches_into_two_words_is_the_own_of_neither()
    {
        var sentence = ToyTokenizers.Spelled("I didn't", "I", "did", "n't");
        Assert.Equal(["I", "Ambiguous", "'t"], Align(sentence, Tiles("I", " didn", "'t")));
        // It goes to the one it covers more of, of equals to the later, if that has others.
        Assert.Equal(["I", " di", "dn|'t"], Align(sentence, Tiles("I", " di", "dn", "'t")));
        Assert.Equal(["I", " d|idn", "'t"], Align(sentence, Tiles("I", " d", "idn", "'t")));
        Assert.Equal(["I", "Ambiguous", "Ambiguous"], Align(sentence, Tiles("I", " didn't")));
    }

    [Fact]
    public void Hyphens_double_spaces_and_tokens_of_white_space()
    {
        var sentence = ToyTokenizers.Spelled("  The  U.S.-based ", "The", "U.S.", "-", "based");
        Assert.Equal(["  The", " U|.S|.", "-", "based "], Align(sentence, Tiles("  The", " ", " U", ".S", ".", "-", "based ")));
        Assert.Equal(["The", "U.S.", "-", "based"], Align(sentence, Tiles(" ", " ", "The", "  ", "U.S.", "-", "based", " ")));
    }

    [Fact]
    public void Byte_tokens_of_one_character_share_its_span()
    {
        var sentence = ToyTokenizers.Spelled("😀 我們好", "😀", "我們", "好");
        var (_, spans) = ToyTokenizers.Bytes(sentence.Text);
        Assert.Equal(["😀|😀|😀|😀", "我|我|我|們|們|們", "好|好|好"], Align(sentence, spans));
    }

    [Fact]
    public void Parts_that_share_a_surface_get_no_token_and_cost_their_neighbours_none()
    {
        var sentence = ToyTokenizers.Spelled("boire du vin", "boire", "vin") with
        {
            Words = [new("boire", 0, 5), new("de", 6, 8, true), new("le", 6, 8, true), new("vin", 9, 12)],
        };
        Assert.Equal(["boire", "Multiword", "Multiword", " vin"], Align(sentence, Tiles("boire", " du", " vin")));
        Assert.Equal(["boire", "Multiword", "Multiword", "in"], Align(sentence, Tiles("boire", " du v", "in")));
    }

    [Fact]
    public void Special_tokens_in_the_text_belong_to_no_word()
    {
        var sentence = ToyTokenizers.Spelled("a <s> b", "a", "<s>", "b");
        Assert.Equal(["a", "Special", " b"], Align(sentence, Tiles("a", " <s>", " b"), [false, true, false]));
    }

    [Fact]
    public void Tokens_within_tokens_never_bring_words_out_of_order()
    {
        var sentence = ToyTokenizers.Spelled("ab cd", "ab", "cd");
        // The first covers both words; given to the later, it would stand before the token that is the earlier's own.
        Assert.Equal(["b", "d"], Align(sentence, [(0, 5), (1, 2), (4, 5)]));
    }

    [Fact]
    public void Spans_outside_the_text_or_out_of_order_are_refused()
    {
        var sentence = ToyTokenizers.Spelled("ab", "ab");
        Assert.Throws<CorpusException>(() => Align(sentence, [(0, 3)]));
        Assert.Throws<CorpusException>(() => Align(sentence, [(1, 2), (0, 1)]));
        Assert.Throws<CorpusException>(() => Align(sentence, [(2, 1)]));
    }

    [Fact]
    public void Tokens_touch_their_word_only_and_words_keep_their_order_whatever_the_cuts()
    {
        var character = Gen.Elements("a", "b", "é", "我", "😀", " ", " ", "\u00a0", "'", "-");
        var inputs =
            from pieces in Gen.ListOf(character)
            from wordCuts in Gen.ArrayOf(Gen.Choose(1, 4))
            from tokenCuts in Gen.ArrayOf(Gen.Choose(1, 6))
            select (Text: string.Concat(pieces), Words: wordCuts.Append(2).ToArray(), Tokens: tokenCuts.Append(3).ToArray());
        Prop.ForAll(inputs.ToArbitrary(), input =>
        {
            // Words: runs without white space out of a random tiling; tokens: any tiling of the text.
            var words = ToyTokenizers.At(input.Words)(input.Text).Offsets
                .Where(s => !input.Text[s.Start..s.End].Any(char.IsWhiteSpace)).ToArray();
            var tokens = ToyTokenizers.At(input.Tokens)(input.Text).Offsets;
            var n = words.Length;
            var (first, last, outcome) = (new int[n], new int[n], new Alignment[n]);
            WordAligner.Align(input.Text, words, new bool[n], tokens, new bool[tokens.Length], first, last, outcome);
            var previous = -1;
            for (var w = 0; w < n; w++)
            {
                // The oracle looks at every pair of a word and a token.
                var touching = Enumerable.Range(0, tokens.Length).Where(t => Touches(input.Text, tokens[t], words[w])).ToArray();
                var own = touching.Where(t => words.Count(other => Touches(input.Text, tokens[t], other)) == 1).ToArray();
                var expected = own.Length > 0 ? Alignment.Aligned : touching.Length > 0 ? Alignment.Ambiguous : Alignment.Unaligned;
                Assert.Equal(expected, outcome[w]);
                if (expected != Alignment.Aligned)
                    continue;
                var given = touching.Where(t => Enumerable.Range(0, n).MaxBy(other => (Overlap(input.Text, tokens[t], words[other]), other)) == w).ToArray();
                Assert.Equal((given[0], given[^1]), (first[w], last[w]));
                Assert.True(first[w] > previous);
                previous = last[w];
            }
        }).QuickCheckThrowOnFailure();
    }

    private static int Overlap(string text, (int Start, int End) token, (int Start, int End) word) =>
        Enumerable.Range(token.Start, token.End - token.Start).Count(c => c >= word.Start && c < word.End && !char.IsWhiteSpace(text[c]));

    private static bool Touches(string text, (int Start, int End) token, (int Start, int End) word) => Overlap(text, token, word) > 0;

    // Byte-level BPE, WordPiece and SentencePiece as their own library cuts 228 hard strings; words are what white space parts.
    [Theory]
    [InlineData("tokenizers/gpt2")]
    [InlineData("tokenizers/llama3")]
    [InlineData("tokenizers/bert-base-uncased")]
    [InlineData("tokenizers/llama2")]
    [InlineData("models/stories3M")]
    public void Real_tokenizers_never_give_a_word_a_token_from_elsewhere(string folder)
    {
        var (words, aligned, strings) = (0, 0, 0);
        foreach (var line in File.ReadLines(SharedData.Require($"data/{folder}/encodings.jsonl")))
        {
            using var json = JsonDocument.Parse(line);
            var text = json.RootElement.GetProperty("text").GetString()!;
            var units = new List<int>();
            for (var u = 0; u < text.Length; u += char.IsSurrogatePair(text, u) ? 2 : 1)
                units.Add(u);
            units.Add(text.Length);
            var tokens = json.RootElement.GetProperty("offsets").EnumerateArray().Select(o => (Start: units[o[0].GetInt32()], End: units[o[1].GetInt32()])).ToArray();
            if (tokens.Zip(tokens.Skip(1)).Any(p => p.Second.Start < p.First.Start))
                continue;
            var sentence = ToyTokenizers.Sentence("s", "d", text);
            var n = sentence.Words.Length;
            var (first, last, outcome) = (new int[n], new int[n], new Alignment[n]);
            WordAligner.Align(text, [.. sentence.Words.Select(w => (w.Start, w.End))], new bool[n], tokens, new bool[tokens.Length], first, last, outcome);
            strings++;
            for (var w = 0; w < n; w++)
            {
                words++;
                if (outcome[w] != Alignment.Aligned)
                    continue;
                aligned++;
                Assert.True(Touches(text, tokens[first[w]], (sentence.Words[w].Start, sentence.Words[w].End)));
                Assert.True(Touches(text, tokens[last[w]], (sentence.Words[w].Start, sentence.Words[w].End)));
            }
        }
        Assert.True(strings > 220, $"{strings} strings");
        Assert.True(aligned > 0.95 * words, $"{aligned} of {words} words");
    }
}
