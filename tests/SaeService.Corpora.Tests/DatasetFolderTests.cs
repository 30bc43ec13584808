using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class DatasetFolderTests : IDisposable
{
    private const string Word = "1\tx\t_\tX\t_\t_\t0\troot\t_\t_\n";
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    [Fact]
    public void Splits_are_told_by_the_names()
    {
        foreach (var name in (string[])["en-ud-test.conllu", "en-ud-train-b.conllu", "en-ud-train-a.conllu", "en-ud-dev.conllu", "README.md"])
            files.Write(name, $"# sent_id = {name}\n{Word}\n");
        var folder = DatasetFolder.Open(files.Folder);
        Assert.Equal(["train", "dev", "test"], folder.Splits);
        Assert.Equal(["en-ud-train-a.conllu", "en-ud-train-b.conllu", "en-ud-dev.conllu", "en-ud-test.conllu"], folder.Read().Select(s => s.Id));
        Assert.Equal(["en-ud-dev.conllu", "en-ud-test.conllu"], folder.Read(["test", "dev"]).Select(s => s.Id));
        Assert.Contains("no split 'all'; there is train, dev, test", Assert.Throws<CorpusException>(() => folder.Read(["all"])).Message);
    }

    [Theory]
    [InlineData("x.train.conll", "train")]
    [InlineData("test.jsonl", "test")]
    [InlineData("validation.jsonl", "dev")]
    [InlineData("contest-data.jsonl", "all")]
    public void Names_of_splits_stand_alone(string name, string split) => Assert.Equal([split], DatasetFolder.Open(files.Write(name, "")).Splits);

    [Theory]
    [InlineData("data.txt", "# sent_id = a\n" + Word, CorpusFormat.Conllu)]
    [InlineData("data.dat", "EU NNP I-NP I-ORG\n", CorpusFormat.Conll)]
    [InlineData("data", "{\"tokens\":[\"a\"]}\n", CorpusFormat.Jsonl)]
    public void Formats_are_told_by_content_where_the_name_says_nothing(string name, string content, CorpusFormat format) =>
        Assert.Equal(format, DatasetFolder.Open(files.Write(name, content)).Format);

    [Fact]
    public void What_is_no_data_set_is_refused()
    {
        Assert.Contains("no file or folder", Assert.Throws<CorpusException>(() => DatasetFolder.Open(Path.Combine(files.Folder, "absent"))).Message);
        Assert.Contains("no .conllu", Assert.Throws<CorpusException>(() => DatasetFolder.Open(files.Folder)).Message);
        Assert.Contains("neither its name nor its first lines", Assert.Throws<CorpusException>(() => DatasetFolder.Open(files.Write("empty", "\n\n"))).Message);
        Assert.Contains("NUL byte", Assert.Throws<CorpusException>(() => DatasetFolder.Open(files.Write("picture.png", "\u0089PNG\r\n\0\0"))).Message);
        files.Write("a-train.conllu", Word);
        files.Write("a-train.jsonl", "{}");
        Assert.Contains("two formats", Assert.Throws<CorpusException>(() => DatasetFolder.Open(files.Folder)).Message);
    }

    [Fact]
    public void Two_data_sets_in_one_folder_are_not_mixed() =>
        Assert.Contains("two data sets", Assert.Throws<CorpusException>(() => DatasetFolder.Open(SharedData.Require("data/gold/conll4"))).Message);

    [Fact]
    public void Real_folders_open()
    {
        Assert.Equal(["train", "dev", "test"], DatasetFolder.Open(SharedData.Require("data/gold/ewt-uner")).Splits);
        Assert.Equal(["dev", "test"], DatasetFolder.Open(SharedData.Require("data/gold/de-gsd")).Splits);
        var wnut = DatasetFolder.Open(SharedData.Require("data/gold/wnut17"));
        Assert.Equal((CorpusFormat.Conll, 3), (wnut.Format, wnut.Files.Count));
    }
}
