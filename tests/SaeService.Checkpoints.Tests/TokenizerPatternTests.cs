using System.Text;
using Xunit;

namespace SaeService.Checkpoints.Tests;

public sealed class TokenizerPatternTests
{
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Llama3 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Cl100k = @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
    private const string Qwen2 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>A known pattern is scanned by hand; in a group it is not known, and read as any other.</summary>
    [Theory]
    [InlineData(Gpt2)]
    [InlineData(Llama3)]
    [InlineData(Cl100k)]
    [InlineData(Qwen2)]
    public void Scanning_by_hand_equals_the_pattern_on_random_text(string pattern)
    {
        var (scanned, read) = (PatternTokenizer.Of(pattern), PatternTokenizer.Of($"(?:{pattern})"));
        string[] parts =
        [
            "a", "B", "the", "é", "\u4E2D", "\uD835\uDCB3", "\uD83D\uDE00", "1", "22", "\u0663", "\uD835\uDFD8", "\u00BD", " ", "  ", "\n", "\r\n", "\t", "\u00A0", "\u3000",
            "'s", "'S", "'\u017F", "'LL", "'ve", "'re", "'m", "'d", "'t", "'", "''", ".", "!?", "_", "-", "\u0301", "\0", "\u200D", "\uFFFD", "'l", "'r",
        ];
        var random = new Random(7);
        for (var i = 0; i < 3000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => parts[random.Next(parts.Length)]));
            Assert.True(scanned.Encode(text, false).Offsets.SequenceEqual(read.Encode(text, false).Offsets), string.Join(' ', text.Select(c => $"{(int)c:X4}")));
        }
    }

    [Theory]
    [InlineData(@"(a+)+$")]
    [InlineData(@"(?:a|aa)+$")]
    [InlineData(@"(?=(?:a*)*b)a")]
    public void A_pattern_that_backtracks_without_end_is_stopped(string pattern)
    {
        var e = Assert.Throws<CheckpointException>(() => PatternTokenizer.Of(pattern).Encode(new string('a', 60) + "c", false));
        Assert.Contains("tokenizer.json", e.Message, StringComparison.Ordinal);
        Assert.Contains(pattern, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(@"(a)\1")]
    [InlineData(@"(?<n>a)\k<n>")]
    [InlineData(@"\X")]
    [InlineData(@"a\Kb")]
    [InlineData(@"\Ga")]
    [InlineData(@"(?~a)")]
    [InlineData(@"(?(1)a|b)")]
    [InlineData(@"(?W:\w)")]
    [InlineData(@"\p{Script=Han}")]
    [InlineData(@"\p{NoSuch}")]
    [InlineData(@"[[:nosuch:]]")]
    [InlineData(@"[a")]
    [InlineData(@"[]")]
    [InlineData(@"(a")]
    [InlineData(@"a)")]
    [InlineData(@"*a")]
    [InlineData(@"[b-a]")]
    [InlineData(@"[a-\d]")]
    [InlineData(@"\xE9")]
    [InlineData(@"(?i)stra\u00DFe")]
    [InlineData(@"(?i)miss")]
    [InlineData(@"(?i)[\p{L}]")]
    [InlineData(@"(?:(?:(?:a{1000}){1000}){1000}){1000}b")]
    [InlineData(@"((((a{999}b){999}c){999}d){999}e){999}")]
    public void What_is_not_computed_is_refused_by_name(string pattern)
    {
        var e = Assert.Throws<CheckpointException>(() => PatternTokenizer.Of(pattern));
        Assert.Equal((CheckpointFault.Unsupported, "pre_tokenizer.pattern"), (e.Fault, e.Key));
    }

    [Fact]
    public void Deep_nesting_and_long_patterns_are_refused()
    {
        foreach (var pattern in new[] { new string('(', 5_000) + new string(')', 5_000), new string('[', 5_000), new string('a', 100_000) })
            Assert.Equal(CheckpointFault.Unsupported, Assert.Throws<CheckpointException>(() => PatternTokenizer.Of(pattern)).Fault);
    }

    [Fact]
    public void A_long_text_is_no_burden()
    {
        var text = new StringBuilder();
        for (var i = 0; i < 100_000; i++)
            text.Append(i % 7 == 0 ? "  word" : "a1 ");
        Assert.True(PatternTokenizer.Of($"(?:{Llama3})").Encode(text.ToString(), false).Ids.Length > 100_000);
    }
}
