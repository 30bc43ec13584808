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
    [InlineData("data", "[{\"tokens\":[\"a\"]}]", CorpusFormat.Json)]
    [InlineData("data", "{\n \"tokens\":[\"a\"]\n}\n", CorpusFormat.Json)]
    [InlineData("data", "\uFEFF\r\n[\r\n{\"tokens\":[\"a\"]}]", CorpusFormat.Json)]
    [InlineData("data.bin", "the DT\r\ndog NN\r\n", CorpusFormat.Conll)]
    [InlineData("data", "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\n", CorpusFormat.Conll)]
    [InlineData("data", "a\tb\tc\td\te\tf\n", CorpusFormat.Conll)]
    [InlineData("data", "#begin document (x); part 000\n", CorpusFormat.Conll)]
    [InlineData("prose.txt", "Once upon a time there was a dog.\n", CorpusFormat.Text)]
    [InlineData("poem.txt", "the sea\nso wide\nmy boat\n", CorpusFormat.Text)]
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
    public void The_hub_s_layouts_open_as_one_data_set()
    {
        string Make(string folder, params string[] names)
        {
            foreach (var name in names)
            {
                var path = Path.Combine(files.Folder, folder, name);
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.WriteAllText(path, "");
            }
            return Path.Combine(files.Folder, folder);
        }

        string[] parts = ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "validation-00000-of-00001.parquet", "test-00000-of-00001.parquet"];
        foreach (var folder in new[]
        {
            Make("beside", [.. parts, "README.md", "dataset_infos.json"]),
            Make("data", [.. parts.Select(p => $"data/{p}"), "README.md", ".gitattributes"]),
            Make("one-config", [.. parts.Select(p => $"en_ewt/{p}")]),
            Make("converted", "default/train/0000.parquet", "default/train/0001.parquet", "default/validation/0000.parquet", "default/test/0000.parquet"),
        })
        {
            var open = DatasetFolder.Open(folder);
            Assert.Equal((CorpusFormat.Parquet, 4), (open.Format, open.Files.Count));
            Assert.Equal(["train", "train", "dev", "test"], open.Files.Select(f => f.Split));
        }
        Assert.Contains("several data sets: de_gsd, en_ewt; name one",
            Assert.Throws<CorpusException>(() => DatasetFolder.Open(Make("configs", "en_ewt/train.parquet", "de_gsd/train.parquet"))).Message);
        Assert.Contains("shard 1 of 3", Assert.Throws<CorpusException>(() => DatasetFolder.Open(Make("shards", "train-00000-of-00003.parquet", "train-00002-of-00003.parquet"))).Message);
        Assert.Equal([CorpusFormat.Conllu], DatasetFolder.Open(Make("paper", "a-train.conllu.zst", "LICENSE.txt", "notes.txt", "stats.json")).Files.Select(f => f.Format));
        Assert.Equal(2, DatasetFolder.Open(Make("books", "one.txt", "two.txt.gz", "README.txt")).Files.Count);
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
