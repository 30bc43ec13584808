using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class PlainTextReaderTests : IDisposable
{
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    [Fact]
    public void Blank_lines_part_pieces_and_marks_part_documents()
    {
        var read = files.Read("a.txt", "Once upon a time\nthere was a dog.\n\nThe end.<|endoftext|>Another one.\n<|endoftext|>\n  \nThird.");
        Assert.Equal(["Once upon a time\nthere was a dog.", "The end.", "Another one.", "Third."], read.Select(s => s.Text));
        Assert.Equal(["a.txt#1", "a.txt#1", "a.txt#2", "a.txt#3"], read.Select(s => s.Document));
        Assert.All(read, s => Assert.Empty(s.Words));
        Assert.Equal(4, read.Select(s => s.Id).Distinct().Count());
    }

    [Fact]
    public void Long_lines_are_cut_between_words_and_never_inside_a_character()
    {
        var text = string.Join(' ', Enumerable.Repeat("word", 20_000));
        var read = files.Read("a.txt", text);
        Assert.All(read, s => Assert.True(s.Text.Length <= 20_000));
        Assert.Equal(text, string.Join(' ', read.Select(s => s.Text)));
        var faces = string.Concat(Enumerable.Repeat("😀", 25_000));
        Assert.Equal("x" + faces, string.Concat(files.Read("b.txt", "x" + faces).Select(s => s.Text)));
    }

    [Theory]
    [InlineData("data/text/tiny-shakespeare.txt", 1)]
    [InlineData("data/text/generated-stories3M.txt", 2_000)]
    public void Real_texts_lose_nothing_but_white_space(string path, int leastDocuments)
    {
        var folder = DatasetFolder.Open(SharedData.Require(path));
        Assert.Equal(CorpusFormat.Text, folder.Format);
        var read = folder.Read().ToList();
        Assert.True(read.Select(s => s.Document).Distinct().Count() >= leastDocuments);
        static string Letters(string text) => string.Concat(text.Replace("<|endoftext|>", "").Where(c => !char.IsWhiteSpace(c)));
        Assert.Equal(Letters(File.ReadAllText(SharedData.Require(path))), string.Concat(read.Select(s => Letters(s.Text))));
    }
}
