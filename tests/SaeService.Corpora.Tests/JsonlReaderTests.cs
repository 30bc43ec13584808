using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class JsonlReaderTests : IDisposable
{
    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    [Fact]
    public void The_full_form()
    {
        var sentence = Assert.Single(files.Read("a.jsonl", """
            {"id":"doc1-s3","doc":"doc1","text":"Alice didn't go.","words":[{"form":"Alice","start":0,"end":5},{"form":"did","start":6,"end":9},{"form":"n't","start":9,"end":12},{"form":"go","start":13,"end":15},{"form":".","start":15,"end":16}],"labels":{"pos":["PROPN","AUX","PART","VERB",null],"dep":["nsubj:pass","aux","advmod","root","punct"],"head":[4,4,4,0,4],"ner":["B-PER","O","O","O","O"]}}
            """));
        Assert.Equal(("doc1-s3", "doc1", false), (sentence.Id, sentence.Document, sentence.TextReconstructed));
        Assert.Equal(new Word("n't", 9, 12), sentence.Words[2]);
        Assert.Equal(["pos", "dep", "ner"], sentence.Labels.Keys);
        Assert.Equal(["PROPN", "AUX", "PART", "VERB", null], sentence.Labels["pos"]);
        Assert.Equal("nsubj", sentence.Labels["dep"][0]);
        Assert.Equal("PER", sentence.Labels["ner"][0]);
    }

    [Fact]
    public void The_short_form_with_and_without_text()
    {
        var read = files.Read("a.jsonl", """
            {"label_names":{"ner_tags":["O","B-PER","I-PER"]}}
            {"tokens":["Hi","Bob","."],"pos_tags":["INTJ","PROPN","PUNCT"],"ner_tags":[0,1,0],"lemmas":["hi","Bob","."]}

            {"tokens":["Hi",","],"text":"Hi,","upos":["INTJ","PUNCT"],"doc":7}
            """);
        Assert.Equal("Hi Bob .", read[0].Text);
        Assert.True(read[0].TextReconstructed);
        Assert.Equal("a.jsonl", read[0].Document);
        Assert.Equal(["O", "PER", "O"], read[0].Labels["ner"]);
        Assert.Equal(["pos", "ner"], read[0].Labels.Keys);
        Assert.Equal(new Word(",", 2, 3), read[1].Words[1]);
        Assert.Equal(("7", false), (read[1].Document, read[1].TextReconstructed));
    }

    [Fact]
    public void Offsets_may_count_code_points()
    {
        const string Line = """{"text":"😀 ok","words":[{"form":"😀","start":0,"end":1},{"form":"ok","start":2,"end":4}],"labels":{"pos":["SYM","ADJ"]}}""";
        Assert.Equal([new("😀", 0, 2), new("ok", 3, 5)], files.Read("a.jsonl", Line)[0].Words);
    }

    [Fact]
    public void Equal_spans_are_a_multiword_token()
    {
        const string Line = """{"text":"du vin","words":[{"form":"de","start":0,"end":2},{"form":"le","start":0,"end":2},{"form":"vin","start":3,"end":6}],"labels":{"pos":["ADP","DET","NOUN"]}}""";
        Assert.Equal([true, true, false], files.Read("a.jsonl", Line)[0].Words.Select(w => w.SharesSurface));
    }

    [Theory]
    [InlineData("""{"tokens":["a","b"],"pos_tags":["X"]}""", "1 labels of 'pos_tags' for 2 words")]
    [InlineData("""{"tokens":["a"],"pos_tags":[3]}""", "are numbers; give 'label_names'")]
    [InlineData("""{"tokens":["a"],"pos_tags":[3],"label_names":{"pos_tags":["X"]}}""", "label 3 of 'pos_tags' is outside its 1 names")]
    [InlineData("""{"tokens":["a"],"pos_tags":[["X"]]}""", "must be a string")]
    [InlineData("""{"tokens":["a"],"labels":"X"}""", "'labels' is no object")]
    [InlineData("""{"tokens":["a"],"labels":{"head":[2]}}""", "'head' is no array of 1 numbers from 0 to 1")]
    [InlineData("""{"tokens":["a"],"ner_tags":["B-"]}""", "is no tag like B-PER")]
    [InlineData("""{"tokens":[]}""", "without words")]
    [InlineData("""{"tokens":["a",""]}""", "word 2 is empty")]
    [InlineData("""{"tokens":[1]}""", "word 1 has no form")]
    [InlineData("""{"tokens":"a b"}""", "'words' is no array")]
    [InlineData("""{"pos_tags":["X"]}""", "neither 'words' nor 'tokens'")]
    [InlineData("""["a"]""", "Array where an object is needed")]
    [InlineData("""{"tokens":["a"]""", "no JSON object")]
    [InlineData("""{"tokens":["a"],"tokens":["b"]}""", "no JSON object")]
    [InlineData("""{"tokens":["\ud800"]}""", "surrogate")]
    [InlineData("""{"tokens":["a\u0000"]}""", "NUL")]
    [InlineData("""{"text":"ab","words":[{"form":"a","start":0,"end":9}]}""", "word 1 'a' is not at [0, 9)")]
    [InlineData("""{"text":"ab","words":[{"form":"b","start":1,"end":2},{"form":"a","start":0,"end":1}]}""", "word 2 'a' is not at [0, 1)")]
    [InlineData("""{"text":"ab","words":[{"form":"a","start":0,"end":1},{"form":"b"}]}""", "some words have offsets")]
    [InlineData("""{"words":[{"form":"a","start":0,"end":1}]}""", "there is no 'text'")]
    [InlineData("""{"tokens":["a"],"doc":"a\tb"}""", "control character")]
    public void Malformed_lines_are_refused_with_their_number(string line, string problem)
    {
        var refusal = Assert.Throws<CorpusException>(() => files.Read("bad.jsonl", """{"tokens":["fine"],"pos_tags":["X"]}""" + "\n" + line + "\n"));
        Assert.Equal(("bad.jsonl", (long?)2), (refusal.File, refusal.Line));
        Assert.Contains(problem, refusal.Problem);
    }
}
