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

    [Fact]
    public void Columns_of_any_number_are_tasks_by_their_place()
    {
        var read = files.Read("roles.conll", "I\tPRON\tnsubj\tA0\tcalm\nran\tVERB\troot\t_\tbusy\n", "column:4", "column:2");
        Assert.Equal(["A0", null], read[0].Labels["column:4"]);
        Assert.Equal(["PRON", "VERB"], read[0].Labels["column:2"]);
        var all = DatasetFolder.Open(files.Write("roles.conll", "I\tPRON\tnsubj\tA0\tcalm\n")).Read(settings: new ReadSettings { Further = true }).Single();
        Assert.Equal(["column:2", "column:3", "column:4", "column:5"], all.Further.Keys.Where(k => k.StartsWith("column", StringComparison.Ordinal)));
        Assert.Contains("'column:9' is asked for, and the line has 2 columns", Assert.Throws<CorpusException>(() => files.Read("two.conll", "a\tO\n", "column:9")).Message);
        Assert.Contains("names no column", Assert.Throws<CorpusException>(() => files.Read("two.conll", "a\tO\n", "column:x")).Message);
        Assert.Equal("dog", files.Read("u.conllu", "1\tDogs\tdog\tNOUN\t_\t_\t0\troot\t_\t_\n", "column:3")[0].Labels["column:3"][0]);
    }

    [Fact]
    public void Numbered_words_and_two_layers_of_entities_as_GermEval_has_them()
    {
        var read = files.Read("germeval.conll", "# global\n1\tBayern\tB-ORG\tB-LOC\n2\tMünchen\tI-ORG\tB-LOC\n3\tsiegt\tO\tO\n", "ner", "column:4");
        Assert.Equal(["Bayern", "München", "siegt"], read[0].Words.Select(w => w.Form));
        Assert.Equal(["ORG", "ORG", "O"], read[0].Labels["ner"]);
        Assert.Equal(["B-LOC", "B-LOC", "O"], read[0].Labels["column:4"]);
    }

    [Fact]
    public void CoNLL_2012_with_entities_in_brackets()
    {
        var read = files.Read("a.v4_gold_conll", """
            #begin document (bc/x/00/x_0000); part 000
            bc/x 0 0 New NNP (TOP(NP* - - - A (GPE* (ARG0* -
            bc/x 0 1 York NNP *) - - - A *) *) -
            bc/x 0 2 won VBD * win 01 - A * (V*) -

            bc/x 0 0 Hi UH * - - - B (PERSON) -
            #end document
            """, "pos", "ner:bio");
        Assert.Equal(["(bc/x/00/x_0000); part 000", "(bc/x/00/x_0000); part 000"], read.Select(s => s.Document));
        Assert.Equal(["NNP", "NNP", "VBD"], read[0].Labels["pos"]);
        Assert.Equal(["B-GPE", "I-GPE", "O"], read[0].Labels["ner:bio"]);
        Assert.Equal(["B-PERSON"], read[1].Labels["ner:bio"]);
        Assert.Contains("is no tag like (PERSON*",
            Assert.Throws<CorpusException>(() => files.Read("b.gold_conll", "#begin document (a); part 000\na 0 0 x NN * - - - A GPE) -\n")).Message);
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
