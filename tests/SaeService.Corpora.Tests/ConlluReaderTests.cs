using System.IO.Compression;
using System.Text;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class ConlluReaderTests : IDisposable
{
    private const string Didnt = """
        # newdoc id = d1
        # sent_id = d1-s1
        # text = Alice didn't  go.
        1	Alice	Alice	PROPN	NNP	Number=Sing|Case=Nom	4	nsubj:pass	_	NER=B-PER
        2-3	didn't	_	_	_	_	_	_	_	_
        2	did	do	AUX	VBD	_	4	aux	_	NER=O
        3	n't	not	PART	RB	_	4	advmod	_	NER=O
        3.1	want	want	VERB	_	_	_	_	4:conj	CopyOf=4
        4	go	go	VERB	VB	_	0	root	_	SpaceAfter=No|NER=O|Lang=en
        5	.	.	PUNCT	.	_	4	punct	_	_
        """;

    private readonly TemporaryFiles files = new();

    public void Dispose() => files.Dispose();

    // Sentences, words and entities as the README of the data states them (for German and Chinese: as grep counts them).
    [Theory]
    [InlineData("ewt-uner/en_ewt_uner-train.conllu", 12_544, 204_577, 7_005, 540)]
    [InlineData("ewt-uner/en_ewt_uner-dev.conllu", 2_001, 25_147, 966, 318)]
    [InlineData("ewt-uner/en_ewt_uner-test.conllu", 2_077, 25_094, 1_088, 316)]
    [InlineData("de-gsd/de_gsd-ud-dev.conllu", 799, 12_480, 0, 1)]
    [InlineData("de-gsd/de_gsd-ud-test.conllu", 977, 16_499, 0, 1)]
    [InlineData("zh-gsdsimp/zh_gsdsimp-ud-test.conllu", 500, 12_012, 0, 1)]
    public void Real_treebanks_are_read_whole(string file, int sentences, int words, int entities, int documents)
    {
        var path = SharedData.Require("data/gold/" + file);
        var (read, wordsRead, begun, reconstructed, misplaced) = (0, 0, 0, 0, 0);
        var ids = new HashSet<string>();
        foreach (var sentence in DatasetFolder.Open(path).Read(settings: new ReadSettings { Tasks = ["pos", "dep", "ner:bio"] }))
        {
            read++;
            wordsRead += sentence.Words.Length;
            ids.Add(sentence.Document);
            begun += sentence.Labels["ner:bio"].Count(t => t?.StartsWith("B-", StringComparison.Ordinal) == true);
            reconstructed += sentence.TextReconstructed ? 1 : 0;
            misplaced += sentence.Words.Count(w => !w.SharesSurface && !sentence.Text[w.Start..w.End].Equals(w.Form, StringComparison.OrdinalIgnoreCase));
            Assert.All(sentence.Labels["pos"], Assert.NotNull);
            Assert.DoesNotContain(sentence.Labels["dep"], d => d is null || d.Contains(':'));
        }
        Assert.Equal((sentences, words, entities, documents), (read, wordsRead, begun, ids.Count));
        Assert.Equal(0, misplaced);
        Assert.True(reconstructed <= 1, $"{reconstructed} texts were not spelled by their words; the data has one");
    }

    [Fact]
    public void Multiword_parts_get_their_own_spans_and_empty_nodes_are_no_words()
    {
        var sentence = Assert.Single(files.Read("a.conllu", Didnt, "pos", "xpos", "dep", "dep:full", "ner", "ner:bio", "feats:Case", "misc:Lang"));
        Assert.Equal(("d1-s1", "d1", "Alice didn't  go.", false), (sentence.Id, sentence.Document, sentence.Text, sentence.TextReconstructed));
        Assert.Equal([new("Alice", 0, 5), new("did", 6, 9), new("n't", 9, 12), new("go", 14, 16), new(".", 16, 17)], sentence.Words);
        Assert.Equal(["PROPN", "AUX", "PART", "VERB", "PUNCT"], sentence.Labels["pos"]);
        Assert.Equal("NNP", sentence.Labels["xpos"][0]);
        Assert.Equal(("nsubj", "nsubj:pass"), (sentence.Labels["dep"][0], sentence.Labels["dep:full"][0]));
        Assert.Equal(["PER", "O", "O", "O", null], sentence.Labels["ner"]);
        Assert.Equal("B-PER", sentence.Labels["ner:bio"][0]);
        Assert.Equal(["Nom", null, null, null, null], sentence.Labels["feats:Case"]);
        Assert.Equal([null, null, null, "en", null], sentence.Labels["misc:Lang"]);
    }

    [Fact]
    public void Tasks_made_of_the_words_themselves()
    {
        var sentence = Assert.Single(files.Read("a.conllu", Didnt, "position", "word-length", "capital", "sentence-final", "frequency"));
        Assert.Equal(["1", "2-3", "2-3", "4-7", "4-7"], sentence.Labels["position"]);
        Assert.Equal(["5", "3", "3", "2", "1"], sentence.Labels["word-length"]);
        Assert.Equal(["yes", "no", "no", "no", "no"], sentence.Labels["capital"]);
        Assert.Equal(["no", "no", "no", "no", "yes"], sentence.Labels["sentence-final"]);
        Assert.DoesNotContain("frequency", sentence.Labels.Keys); // only all sentences together give it
        var own = Assert.Single(files.Read("a.jsonl", """{"tokens":["a","b"],"labels":{"position":["left","right"]}}""", "position"));
        Assert.Equal(["left", "right"], own.Labels["position"]);
    }

    [Fact]
    public void Parts_that_do_not_spell_the_surface_share_it()
    {
        var sentence = Assert.Single(files.Read("fr.conllu",
            "# text = du vin\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n" + Row(1, "de", head: 3) + Row(2, "le", head: 3) + Row(3, "vin", head: 0)));
        Assert.Equal([new("de", 0, 2, true), new("le", 0, 2, true), new("vin", 3, 6)], sentence.Words);
    }

    [Fact]
    public void Line_ends_byte_order_mark_gzip_and_a_missing_last_blank_line_change_nothing()
    {
        var expected = files.Read("lf.conllu", Didnt).Single();
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(Didnt + "\n\n"));
        foreach (var other in new[]
        {
            files.Read("crlf.conllu", "\uFEFF" + Didnt.Replace("\n", "\r\n") + "\r\n\r\n\r\n").Single(),
            files.Read("zipped.conllu.gz", packed.ToArray()).Single(),
        })
        {
            Assert.Equal(expected.Words, other.Words);
            Assert.Equal(expected.Text, other.Text);
            Assert.Equal(expected.Labels["ner"], other.Labels["ner"]);
        }
    }

    [Fact]
    public void A_text_that_its_words_do_not_spell_is_replaced()
    {
        var sentence = Assert.Single(files.Read("a.conllu", "# text = something else\n" + Row(1, "Hello", head: 0, misc: "SpaceAfter=No") + Row(2, ",", head: 1) + Row(3, "you", head: 1)));
        Assert.True(sentence.TextReconstructed);
        Assert.Equal("Hello, you", sentence.Text);
        Assert.Equal([new("Hello", 0, 5), new(",", 5, 6), new("you", 7, 10)], sentence.Words);
    }

    [Fact]
    public void Forms_may_hold_spaces_and_underscores()
    {
        var sentence = Assert.Single(files.Read("a.conllu", "# text = 10 000 _\n" + Row(1, "10 000", head: 0) + Row(2, "_", head: 1)));
        Assert.Equal([new("10 000", 0, 6), new("_", 7, 8)], sentence.Words);
    }

    public static TheoryData<string, int, int?, string> Malformed => new()
    {
        { "1\tx\t_\t_\t_\t_\t0\troot\t_\n", 1, null, "9 tab-separated columns" },
        { Row(1, "x", 0) + Row(3, "y", 1), 2, 1, "where 2 is next" },
        { Row(1, "x", 0) + Row(1, "y", 0), 2, 1, "occurs twice" },
        { Row(0, "x", 0), 1, 1, "where 1 is next" },
        { Row(1, "x", 0).Replace("1\t", "one\t"), 1, 1, "'one' is no word id" },
        { Row(1, "x", 0).Replace("1\t", "-1\t"), 1, 1, "multi-word token '-1'" },
        { Row(1, "", 0), 1, 2, "form is empty" },
        { Row(1, "x", 1), 1, 7, "head '1' of word 1" },
        { Row(1, "x", 0).Replace("\t0\t", "\t-2\t"), 1, 7, "head '-2'" },
        { Row(1, "x", 0) + Row(2, "y", 9) + "\n", 3, 7, "head 9 of word 2 is out of range: the sentence has 2 words" },
        { Row(1, "x", 0).Replace("\t0\t", "\t99999999999\t"), 1, 7, "head '99999999999'" },
        { "2-3\tx\t_\t_\t_\t_\t_\t_\t_\t_\n", 1, 1, "does not begin at word 1" },
        { "1-3\tx\t_\t_\t_\t_\t_\t_\t_\t_\n" + Row(1, "x", 0), 2, 1, "ends after the last word, 1" },
        { "1-2\tx\t_\t_\t_\t_\t_\t_\t_\t_\n" + Row(1, "x", 0) + "2-3\tx\t_\t_\t_\t_\t_\t_\t_\t_\n", 3, 1, "overlaps the one before" },
        { "1-2000000000\tx\t_\t_\t_\t_\t_\t_\t_\t_\n", 1, 1, "multi-word token" },
        { "1.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n", 1, 1, "empty node '1.1' does not follow word 0" },
        { Row(1, "x", 0) + "# text = x\n", 2, null, "comment inside a sentence" },
        { "# sent_id = a\n# sent_id = b\n" + Row(1, "x", 0), 2, null, "second sent_id" },
        { "# text = a\n# text = b\n" + Row(1, "x", 0), 2, null, "second text" },
        { Row(1, "x", 0, misc: "NER=B-") + "\n", 2, 10, "NER of word 1" },
        { "# newdoc id = a\u0001b\n" + Row(1, "x", 0), 1, null, "control character" },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void Malformed_files_are_refused_with_their_place(string content, int line, int? column, string problem)
    {
        var refusal = Assert.Throws<CorpusException>(() => files.Read("bad.conllu", content));
        Assert.Equal(("bad.conllu", (long?)line, column), (refusal.File, refusal.Line, refusal.Column));
        Assert.Contains(problem, refusal.Problem);
    }

    [Theory]
    [InlineData(new byte[] { 0xff, 0xfe, 0x31, 0x00 }, 1, "NUL byte at byte offset 3")]
    [InlineData(new byte[] { 0x23, 0x0a, 0x23, 0xc3, 0x28 }, 2, "byte offset 3 is not UTF-8")]
    [InlineData(new byte[] { 0x23, 0x0d, 0x0a, 0x61, 0xe9 }, 2, "byte offset 4 is not UTF-8")]
    public void Text_that_is_not_utf8_is_refused(byte[] content, int line, string problem)
    {
        var refusal = Assert.Throws<CorpusException>(() => files.Read("bad.conllu", content));
        Assert.Equal(line, refusal.Line);
        Assert.Contains(problem, refusal.Problem);
    }

    [Fact]
    public void An_empty_file_a_damaged_gzip_and_an_endless_line_are_refused()
    {
        Assert.Contains("no sentence", Assert.Throws<CorpusException>(() => files.Read("empty.conllu", "# only a comment\n\n")).Message);
        Assert.Contains("gzip", Assert.Throws<CorpusException>(() => files.Read("bad.conllu.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7])).Message);
        Assert.Contains("8 MiB", Assert.Throws<CorpusException>(() => files.Read("long.conllu", new string('a', 9 << 20))).Message);
    }

    private static string Row(int id, string form, int head, string misc = "_") => $"{id}\t{form}\t_\tX\t_\t_\t{head}\tdep\t_\t{misc}\n";
}
