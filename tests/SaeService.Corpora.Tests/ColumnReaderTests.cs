using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class ColumnReaderTests : IDisposable
{
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    // Words and entities: the data's README. The four-column files hold the sentences of the treebank that have entities annotated: in
    // train four sentences (39 words) have not.
    [Theory]
    [InlineData("conll4/uner_en_ewt.train.conll", 12_540, 204_538, 7_005)]
    [InlineData("conll4/uner_en_ewt.dev.conll", 2_001, 25_147, 966)]
    [InlineData("conll4/uner_en_ewt.test.conll", 2_077, 25_094, 1_088)]
    [InlineData("conll4/wnut17.train.conll", 3_394, 62_730, 1_975)]
    [InlineData("conll4/wnut17.dev.conll", 1_009, 15_733, 836)]
    [InlineData("conll4/wnut17.test.conll", 1_287, 23_394, 1_079)]
    [InlineData("wnut17/wnut17.train.conll", 3_394, 62_730, 1_975)]
    [InlineData("wnut17/wnut17.dev.conll", 1_009, 15_733, 836)]
    [InlineData("wnut17/wnut17.test.conll", 1_287, 23_394, 1_079)]
    public void Real_files_are_read_whole(string file, int sentences, int words, int entities)
    {
        var read = DatasetFolder.Open(SharedData.Require("data/gold/" + file)).Read(settings: new ReadSettings { Tasks = ["pos", "ner:bio"] }).ToList();
        Assert.Equal(sentences, read.Count);
        Assert.Equal(words, read.Sum(s => s.Words.Length));
        Assert.Equal(entities, read.Sum(s => s.Labels["ner:bio"].Count(t => t!.StartsWith("B-", StringComparison.Ordinal))));
        Assert.All(read, s => Assert.All(s.Words, w => Assert.Equal(w.Form, s.Text[w.Start..w.End])));
    }

    [Fact]
    public void Four_columns_with_documents_in_IOB1()
    {
        var read = files.Read("eng.conll", """
            -DOCSTART- -X- -X- O

            EU NNP I-NP I-ORG
            German JJ I-NP I-MISC
            Bonn NNP B-NP I-LOC
            Rome NNP I-NP B-LOC

            -DOCSTART- -X- -X- O
            # NN O O
            """, "pos", "chunk", "ner", "ner:bio", "ner:boundary");
        Assert.Equal(["eng.conll#1", "eng.conll#2"], read.Select(s => s.Document));
        Assert.Equal("EU German Bonn Rome", read[0].Text);
        Assert.True(read[0].TextReconstructed);
        Assert.Equal(["NNP", "JJ", "NNP", "NNP"], read[0].Labels["pos"]);
        Assert.Equal(["NP", "NP", "NP", "NP"], read[0].Labels["chunk"]);
        Assert.Equal(["ORG", "MISC", "LOC", "LOC"], read[0].Labels["ner"]);
        Assert.Equal(["B-ORG", "B-MISC", "B-LOC", "B-LOC"], read[0].Labels["ner:bio"]);
        Assert.Equal(["B", "B", "B", "B"], read[0].Labels["ner:boundary"]);
        Assert.Equal("#", read[1].Words[0].Form);
    }

    [Fact]
    public void Other_numbers_of_columns()
    {
        Assert.Equal(["X", "O"], files.Read("two.conll", "a\tB-X\nb\tO\n")[0].Labels["ner"]);
        Assert.Equal(["DT", "NN"], files.Read("tags.conll", "the DT\ncat NN\n")[0].Labels["pos"]);
        Assert.Equal(["LOC"], files.Read("three.conll", "Rome NNP B-LOC\n")[0].Labels["ner"]);
        var uner = files.Read("u.iob2", "# sent_id = s-7\n# text = A b\n1\tA\tB-PER\t-\t-\n2\tb\tO\t-\t-\n").Single();
        Assert.Equal("s-7", uner.Id);
        Assert.Equal(["PER", "O"], uner.Labels["ner"]);
    }

    [Theory]
    [InlineData("a NN O B-X\nb NN O\n", 2, null, "3 columns where the first word has 4")]
    [InlineData("a\tO\n\tO\n", 2, 1, "word is empty")]
    [InlineData("a\n", 1, null, "1 columns")]
    [InlineData("a b c\nd e f g\n", 2, null, "4 columns where the first word has 3")]
    [InlineData("a NN O\nb NN B-\n", 2, 3, "'B-' is no tag")]
    public void Malformed_files_are_refused_with_their_place(string content, int line, int? column, string problem)
    {
        var refusal = Assert.Throws<CorpusException>(() => files.Read("bad.conll", content));
        Assert.Equal(((long?)line, column), (refusal.Line, refusal.Column));
        Assert.Contains(problem, refusal.Problem);
    }
}
