using System.Text;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sources.Tests;

public sealed class EntityJoinTests
{
    private const string Treebank = """
        # newdoc id = d1
        # sent_id = a
        # text = Ada Lovelace didn't see Paris.
        1	Ada	Ada	PROPN	NNP	_	4	nsubj	_	_
        2	Lovelace	Lovelace	PROPN	NNP	_	1	flat	_	_
        3-4	didn't	_	_	_	_	_	_	_	_
        3	did	do	AUX	VBD	_	5	aux	_	_
        4	n't	not	PART	RB	_	5	advmod	_	_
        5	see	see	VERB	VB	_	0	root	_	_
        5.1	seen	see	VERB	VB	_	_	_	0:root	_
        6	Paris	Paris	PROPN	NNP	_	5	obj	_	SpaceAfter=No
        7	.	.	PUNCT	.	_	5	punct	_	_

        # sent_id = b
        1	New	New	ADJ	JJ	_	2	amod	_	_
        2	York-based	York-based	ADJ	JJ	_	3	amod	_	_
        3	Kanzi	Kanzi	PROPN	NNP	_	0	root	_	_

        # sent_id = c
        1	Nowhere	nowhere	ADV	RB	_	0	root	_	_

        # sent_id = d
        1	Other	other	ADJ	JJ	_	2	amod	_	_
        2	text	text	NOUN	NN	_	0	root	_	_

        """;

    private const string Entities = """
        # newdoc id = d1
        # sent_id = d
        1	Another	O	-	x
        2	text	O	-	x

        # sent_id = a
        # text = Ada Lovelace didn't see Paris.
        1	Ada	B-PER	-	x
        2	Lovelace	I-PER	-	x
        3-4	didn't	_	-	x
        3	did	B-O	-	x
        4	n't	O
        5	see	B-OTH	-	x
        6	Paris	B-LOC	-	x
        7	.	O	-	x

        # sent_id = b
        1	New	B-LOC	-	x
        2	York	I-LOC	-	x
        3	-	O	-	x
        4	based	O	-	x
        5	Kan	B-PER	-	x
        6	zi	I-PER	-	x

        """;

    private static (string Joined, EntityJoinReport Report) Join(string treebank, string entities)
    {
        using var joined = new StringWriter();
        return (EntityJoin.Join(new StringReader(treebank.ReplaceLineEndings("\n")), new StringReader(entities.ReplaceLineEndings("\n")), joined) is var report ? joined.ToString() : "", report);
    }

    [Fact]
    public void Entities_are_joined_by_sentence_then_by_words_then_by_characters()
    {
        var (joined, report) = Join(Treebank, Entities);
        var miscellany = joined.Split('\n').Where(l => l.Contains('\t')).Select(l => (Id: l.Split('\t')[0], Misc: l.Split('\t')[9])).ToList();
        Assert.Equal(
            [
                ("1", "NER=B-PER"), ("2", "NER=I-PER"), ("3-4", "_"), ("3", "NER=O"), ("4", "NER=O"), ("5", "NER=O"), ("5.1", "_"), ("6", "SpaceAfter=No|NER=B-LOC"), ("7", "NER=O"),
                ("1", "NER=B-LOC"), ("2", "NER=I-LOC"), ("3", "NER=B-PER"),
                ("1", "_"),
                ("1", "_"), ("2", "_"),
            ], miscellany);
        Assert.Equal((4, 1), (report.Sentences, report.Same));
        Assert.Equal(["b"], report.Projected);
        Assert.Equal(["c", "d"], report.Without);
        // Nothing else changed.
        Assert.Equal(Treebank.ReplaceLineEndings("\n"), Strip(joined));
    }

    [Theory]
    [InlineData("1\ta\tb\n", "# sent_id = a\n1\tx\tO\n", "line 1 of the treebank")]
    [InlineData("", "# sent_id = a\n1 x O\n", "line 2 of the entities")]
    [InlineData("", "# sent_id = a\n1\tx\tO\n\n# sent_id = a\n1\tx\tO\n\n", "second time")]
    public void What_is_no_such_file_is_refused_with_the_line(string treebank, string entities, string says)
    {
        var e = Assert.Throws<SourceException>(() => Join(treebank, entities));
        Assert.Equal(SourceFault.Damaged, e.Fault);
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dev")]
    [InlineData("test")]
    public void Taken_apart_and_joined_again_the_english_treebank_is_the_same(string split)
    {
        var gold = File.ReadAllText(SharedData.Require($"data/gold/ewt-uner/en_ewt_uner-{split}.conllu"));
        var entities = new StringBuilder();
        foreach (var line in gold.Split('\n'))
            if (line.Length == 0 || line.StartsWith('#'))
                entities.Append(line).Append('\n');
            else if (line.Split('\t') is var fields && fields[0].All(char.IsAsciiDigit))
                entities.Append(fields[0]).Append('\t').Append(fields[1]).Append('\t').Append(fields[9].Split('|')[^1]["NER=".Length..]).Append("\t-\tx\n");
        var (joined, report) = Join(Strip(gold), entities.ToString());
        Assert.True(gold == joined);
        Assert.Empty(report.Projected);
        Assert.Empty(report.Without);
    }

    private static string Strip(string joined) => string.Join('\n', joined.Split('\n').Select(line =>
    {
        var at = line.LastIndexOf("NER=", StringComparison.Ordinal);
        return at < 0 || line.StartsWith('#') ? line : line[at - 1] == '|' ? line[..(at - 1)] : line[..at] + "_";
    }));
}
