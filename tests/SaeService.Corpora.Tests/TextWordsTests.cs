using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class TextWordsTests
{
    [Theory]
    [InlineData("The old dog barked.", "The|old|dog|barked|.")]
    [InlineData("  two\u00a0spaces\t\r\nhere ", "two|spaces|here")]
    [InlineData("I don't think it\u2019s 3.14, or 1,000...", "I|don't|think|it\u2019s|3.14|,|or|1,000|...")]
    [InlineData("well-known (rock 'n' roll)?!", "well|-|known|(|rock|'|n|'|roll|)|?|!")]
    [InlineData("na\u00efve cafe\u0301 Stra\u00dfe \u0418\u0432\u0430\u043d", "na\u00efve|cafe\u0301|Stra\u00dfe|\u0418\u0432\u0430\u043d")]
    [InlineData("\u6211\u7231\u4f60 \u30c6\u30b9\u30c8", "\u6211|\u7231|\u4f60|\u30c6\u30b9\u30c8")]
    [InlineData("ok \U0001F469\u200D\U0001F52C!\U0001D400\U0001D401", "ok|\U0001F469\u200D\U0001F52C|!|\U0001D400\U0001D401")]
    [InlineData("\u200b", "\u200b")]
    [InlineData("\ud800x", "\ud800|x")]
    [InlineData(" \n", "")]
    public void Words_are_what_stands_between_spaces_and_punctuation(string text, string expected)
    {
        var words = TextWords.Of(text);
        Assert.Equal(expected, string.Join('|', words.Select(w => w.Form)));
        var at = 0;
        foreach (var word in words)
        {
            // In order, and nothing but white space is left out.
            Assert.True(string.IsNullOrWhiteSpace(text[at..word.Start]));
            Assert.Equal(word.Form, text[word.Start..word.End]);
            at = word.End;
        }
        Assert.True(string.IsNullOrWhiteSpace(text[at..]));
    }

    [Fact]
    public void A_text_is_packed_as_a_corpus_of_one_sentence_without_labels()
    {
        var words = TextWords.Of("big dogs");
        var corpus = CorpusPacker.Pack(
            [new Sentence { Id = "t", Document = "t", Text = "big dogs", TextReconstructed = false, Words = words, Labels = new Dictionary<string, string?[]>() }],
            _ => ([7, 8, 9], [(0, 3), (3, 6), (6, 8)]),
            new PackingSettings { ContextLength = 8, PrefixIds = [1], SuffixIds = [2], Tasks = [], MinAlignedShare = 0 }, TestContext.Current.CancellationToken);
        Assert.Equal([1, 7, 8, 9, 2], corpus.TokenIds);
        Assert.Equal([1, 2], corpus.FirstToken);
        Assert.Equal([1, 3], corpus.LastToken);
        Assert.Empty(corpus.Tasks);
    }
}
