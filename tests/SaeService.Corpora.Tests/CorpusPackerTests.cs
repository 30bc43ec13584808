using SaeService.Checkpoints;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Corpora.Tests;

public sealed class CorpusPackerTests
{
    private const int Bos = 1;

    private static PackingSettings Settings(int contextLength, bool bos = true) => new() { ContextLength = contextLength, PrefixIds = bos ? [Bos] : [] };

    private static PackedCorpus Pack(IEnumerable<Sentence> sentences, Tokenize tokenize, PackingSettings settings) =>
        CorpusPacker.Pack(sentences, tokenize, settings, TestContext.Current.CancellationToken);

    private static string[] Pieces(PackedCorpus corpus, string text) =>
        [.. Enumerable.Range(0, corpus.Words).Select(w => text[corpus.WordStart[w]..corpus.WordEnd[w]])];

    [Fact]
    public void Contexts_end_with_sentences_and_never_join_documents()
    {
        var corpus = Pack(
        [
            ToyTokenizers.Sentence("s1", "d1", "a b c", i => "XYX"[i].ToString()),
            ToyTokenizers.Sentence("s2", "d1", "d e"),
            ToyTokenizers.Sentence("s3", "d1", "f g"),
            ToyTokenizers.Sentence("s4", "d2", "h"),
        ], ToyTokenizers.Words, Settings(6));
        // [bos a b c d e] [bos f g] [bos h]
        Assert.Equal([0, 6, 9, 11], corpus.ContextStart);
        Assert.Equal([0, 6, 9], Enumerable.Range(0, corpus.TokenIds.Length).Where(t => corpus.TokenIds[t] == Bos));
        Assert.Equal([0, 6, 9], Enumerable.Range(0, corpus.TokenIds.Length).Where(t => corpus.SpecialOrExcluded[t]));
        Assert.Equal([1, 2, 3, 4, 5, 7, 8, 10], corpus.FirstToken);
        Assert.Equal(corpus.FirstToken, corpus.LastToken);
        Assert.Equal([0, 0, 0, 1, 1, 2, 2, 3], corpus.WordSentence);
        Assert.Equal([0, 1, 2, 0, 1, 0, 1, 0], corpus.WordPosition);
        Assert.Equal(["X", "Y"], corpus.Task("pos").Labels);
        Assert.Equal([0, 1, 0, 0, 0, 0, 0, 0], corpus.Task("pos").LabelOfWord);
        Assert.Equal((2, 4, 8, 3, 11, 8, 8), (corpus.Report.Documents, corpus.Report.Sentences, corpus.Report.Words, corpus.Report.Contexts,
            corpus.Report.Tokens, corpus.Report.Aligned, corpus.Report.Kept));
        Assert.True(corpus.Report.SplitBySentence);
        Assert.Equal(8, corpus.CountByPart().Values.Sum());
        Assert.Equal(7, corpus.CountByLabel()["pos"]["X"]);
    }

    [Fact]
    public void Without_a_BOS_the_first_five_positions_are_left_out()
    {
        var corpus = Pack([ToyTokenizers.Sentence("s", "d", "a b c d e f g")], ToyTokenizers.Words, Settings(10, bos: false));
        Assert.Equal([5, 6], corpus.FirstToken);
        Assert.Equal(5, corpus.Report.FirstPositionDropped);
        Assert.Equal([true, true, true, true, true, false, false], corpus.SpecialOrExcluded);
    }

    [Fact]
    public void An_encoder_s_context_is_closed_on_both_sides()
    {
        var corpus = Pack(
        [
            ToyTokenizers.Sentence("s1", "d1", "a b c"),
            ToyTokenizers.Sentence("s2", "d1", "d e"),
            ToyTokenizers.Sentence("s3", "d2", "f"),
        ], ToyTokenizers.Words, new() { ContextLength = 6, PrefixIds = [7001], SuffixIds = [7002] });
        // [cls a b c sep] [cls d e sep] [cls f sep]
        Assert.Equal([0, 5, 9, 12], corpus.ContextStart);
        Assert.Equal([0, 5, 9], Enumerable.Range(0, 12).Where(t => corpus.TokenIds[t] == 7001));
        Assert.Equal([4, 8, 11], Enumerable.Range(0, 12).Where(t => corpus.TokenIds[t] == 7002));
        Assert.Equal([0, 4, 5, 8, 9, 11], Enumerable.Range(0, 12).Where(t => corpus.SpecialOrExcluded[t]));
        Assert.Equal([1, 2, 3, 6, 7, 10], corpus.FirstToken); // the first word too
        Assert.Equal(0, corpus.Report.FirstPositionDropped);
    }

    [Fact]
    public void Text_without_labels_follows_in_contexts_without_words()
    {
        Sentence[] labelled = [ToyTokenizers.Sentence("s", "d", "a b c")];
        Sentence[] text = [ToyTokenizers.Sentence("t1", "x", "e f g h"), ToyTokenizers.Sentence("t2", "x", "i j k"), ToyTokenizers.Sentence("t3", "y", "l m")];
        PackedCorpus With(int maxTokens) => CorpusPacker.Pack(labelled, ToyTokenizers.Words, Settings(6) with { MaxTextTokens = maxTokens },
            TestContext.Current.CancellationToken, text);
        var all = With(100);
        Assert.Equal([0, 4, 9, 13, 16], all.ContextStart); // [bos a b c] [bos e f g h] [bos i j k] [bos l m]
        Assert.Equal((12, 3, 3, 1), (all.Report.TextTokens, all.Words, all.Report.Words, all.SentenceTexts.Length));
        Assert.Equal([0, 4, 9], With(11).ContextStart.Take(3));
        Assert.Equal((9, 5, 0), (With(11).Report.TextTokens, With(8).Report.TextTokens, With(4).Report.TextTokens));
        using var stream = new MemoryStream();
        all.Save(stream);
        stream.Position = 0;
        Assert.Equal(all.ContextStart, PackedCorpus.Load(stream).ContextStart);
    }

    [Fact]
    public void Every_dropped_word_is_named_with_its_reason()
    {
        var dropped = new List<DroppedWord>();
        var sentence = ToyTokenizers.Spelled("du ab cd yyyyyyyyy <s> ef", "ab", "cd", "yyyyyyyyy", "<s>", "ef") with
        {
            Words = [new("de", 0, 2, true), new("le", 0, 2, true), new("ab", 3, 5), new("cd", 6, 8), new("yyyyyyyyy", 9, 18), new("<s>", 19, 22), new("ef", 23, 25)],
            Labels = new Dictionary<string, string?[]> { ["pos"] = ["X", "X", "X", "X", "X", "X", "X"] },
        };
        var corpus = CorpusPacker.Pack([sentence], _ => ([5, 6, 7, 8, 9, 10, 3, 11], [(0, 2), (3, 7), (7, 8), (9, 12), (12, 15), (15, 18), (19, 22), (23, 25)]),
            Settings(20) with { SpecialIds = new HashSet<int> { 3 }, MaxPieces = 2, MinAlignedShare = 0 }, TestContext.Current.CancellationToken, dropped: dropped.Add);
        Assert.Equal(
            [new("s", 0, "de", "multiword-surface"), new("s", 1, "le", "multiword-surface"), new("s", 2, "ab", "shared-token"), new("s", 4, "yyyyyyyyy", "too-many-pieces"),
                new("s", 5, "<s>", "special-token")], dropped);
        Assert.Equal(["cd", "ef"], corpus.WordForm.Select(f => corpus.Forms[f]));
        Assert.Equal(corpus.Report.Words, corpus.Report.Kept + dropped.Count);
        Assert.Equal(1, corpus.Report.SharedTokens);
        Assert.All(dropped, d => Assert.Contains(d.Reason, DroppedWord.Reasons));
    }

    [Fact]
    public void Frequency_is_counted_over_all_that_is_read()
    {
        var corpus = Pack([ToyTokenizers.Sentence("s", "d", "the The THE cat cat a")], ToyTokenizers.Words, Settings(64) with { Tasks = ["frequency"] });
        Assert.Equal(["2-3", "2-3", "2-3", "2-3", "2-3", "1"], corpus.Task("frequency").LabelOfWord.Select(l => corpus.Task("frequency").Labels[l]));
    }

    [Fact]
    public void A_long_sentence_is_cut_where_a_word_starts()
    {
        const string Text = "abcdef ghijkl mnopqr st";
        var corpus = Pack([ToyTokenizers.Sentence("s", "d", Text)], ToyTokenizers.Pieces, Settings(6));
        // Two pieces a word, five a context: two words in each.
        Assert.Equal([0, 5, 9], corpus.ContextStart);
        Assert.Equal(["abcdef", "ghijkl", "mnopqr", "st"], Pieces(corpus, Text));
        Assert.Equal(0, corpus.Report.TruncatedDropped);
    }

    [Fact]
    public void Words_longer_than_a_context_or_than_sixteen_pieces_are_dropped()
    {
        var text = $"ab {new string('x', 40)} cd {new string('y', 51)} ef";
        var cut = Pack([ToyTokenizers.Sentence("s", "d", text)], ToyTokenizers.Pieces, Settings(16));
        Assert.Equal((1, 0), (cut.Report.TruncatedDropped, cut.Report.TooManyPiecesDropped));
        var whole = Pack([ToyTokenizers.Sentence("s", "d", text)], ToyTokenizers.Pieces, Settings(100));
        Assert.Equal((0, 1, 5), (whole.Report.TruncatedDropped, whole.Report.TooManyPiecesDropped, whole.Report.Aligned));
        Assert.DoesNotContain(new string('y', 51), Pieces(whole, text));
    }

    [Fact]
    public void A_token_over_a_sentence_border_is_never_parted_from_either()
    {
        // Cuts of 4: the tokens are "ab c", "d ef", " gh": each border of a sentence lies inside one.
        Tokenize tokenize = ToyTokenizers.At(4);
        Sentence[] sentences = [ToyTokenizers.Sentence("s1", "d", "ab cd"), ToyTokenizers.Sentence("s2", "d", "ef gh")];
        var corpus = Pack(sentences, tokenize, Settings(10) with { MinAlignedShare = 0 });
        Assert.Equal([0, 4], corpus.ContextStart);
        Assert.Equal((1, 3), (corpus.Report.Aligned, corpus.Report.AmbiguousDropped));
        Assert.Equal([3], corpus.FirstToken);
        Assert.Equal((1, 1), (corpus.WordSentence[0], corpus.WordPosition[0]));
    }

    [Fact]
    public void A_document_is_tokenised_once_unless_it_is_very_long()
    {
        var calls = new List<int>();
        (int[], (int, int)[]) Tokenize(string text)
        {
            calls.Add(text.Length);
            return ToyTokenizers.Words(text);
        }

        var text = string.Join(' ', Enumerable.Repeat("word", 1000));
        var corpus = Pack(Enumerable.Range(0, 100).Select(i => ToyTokenizers.Sentence($"s{i}", "d", text)), Tokenize, Settings(512));
        Assert.Equal(100_000, corpus.Words);
        Assert.All(calls, length => Assert.True(length <= CorpusPacker.MaxTextLength));
        Assert.InRange(calls.Count, 3, 4);
        calls.Clear();
        Pack(Enumerable.Range(0, 30).Select(i => ToyTokenizers.Sentence($"s{i}", $"d{i / 10}", "a b")), Tokenize, Settings(512));
        Assert.Equal([39, 39, 39], calls);
    }

    [Fact]
    public void Reading_stops_after_the_sentence_that_reaches_the_limit()
    {
        var read = 0;
        var endless = Enumerable.Range(0, int.MaxValue).Select(i =>
        {
            read++;
            return ToyTokenizers.Sentence($"s{i}", $"d{i / 3}", "a b c");
        });
        var corpus = Pack(endless, ToyTokenizers.Words, Settings(64) with { MaxWords = 31 });
        Assert.Equal((33, 11, 11), (corpus.Report.Words, corpus.Report.Sentences, read));
        Assert.True(corpus.Report.StoppedAtMaxWords);
    }

    [Fact]
    public void Types_are_lower_cased_forms()
    {
        var corpus = Pack([ToyTokenizers.Sentence("s", "d", "The the THE cat")], ToyTokenizers.Words, Settings(64));
        Assert.Equal(["The", "the", "THE", "cat"], corpus.WordForm.Select(f => corpus.Forms[f]));
        Assert.Equal(["the", "the", "the", "cat"], corpus.WordType.Select(t => corpus.Types[t]));
        Assert.Equal(2, corpus.Types.Length);
    }

    [Fact]
    public void What_cannot_be_packed_is_refused()
    {
        Sentence[] good = [ToyTokenizers.Sentence("s", "d", "ab cd ef", _ => null)];
        Assert.Contains("no sentence", Refusal([], ToyTokenizers.Words));
        Assert.Contains("0.0% of 3 words", Refusal(good, text => ([1], [(0, text.Length)])).Replace(" %", "%"));
        Assert.Contains("no word has a label of any task", Refusal(good, ToyTokenizers.Words));
        Assert.Contains("no word has a label of task 'ner'", Refusal([ToyTokenizers.Sentence("s", "d", "ab")], ToyTokenizers.Words, "pos", "ner"));
        Assert.Contains("2 tokens and 1 spans", Refusal(good, _ => ([1, 2], [(0, 1)])));
        Assert.Contains("over 4096 different labels",
            Refusal(Enumerable.Range(0, 5000).Select(i => ToyTokenizers.Sentence($"s{i}", "d", "ab", _ => $"L{i}")), ToyTokenizers.Words));
    }

    private static string Refusal(IEnumerable<Sentence> sentences, Tokenize tokenize, params string[] tasks) =>
        Assert.Throws<CorpusException>(() => Pack(sentences, tokenize, Settings(64) with { Tasks = tasks.Length == 0 ? null : tasks })).Message;

    // The judged input: dev and test of EWT through the tokenizer of the story model.
    [Fact]
    public void Real_sentences_through_a_real_tokenizer()
    {
        var folder = DatasetFolder.Open(SharedData.Require("data/gold/ewt-uner"));
        var tokenizer = Tokenizer.Load(SharedData.Require("data/models/stories3M"));
        var corpus = Pack(folder.Read(["dev", "test"]), text =>
        {
            var encoding = tokenizer.Encode(text, addSpecialTokens: false);
            return (encoding.Ids, encoding.Offsets);
        }, new PackingSettings { ContextLength = 512, PrefixIds = [tokenizer.BosId!.Value], SpecialIds = tokenizer.SpecialIds, Tasks = ["pos", "dep", "ner"] });

        var report = corpus.Report;
        TestContext.Current.SendDiagnosticMessage(report.ToString());
        Assert.Equal((4_078, 50_241, 634), (report.Sentences, report.Words, report.Documents));
        Assert.False(report.SplitBySentence);
        Assert.True(report.AlignedShare > 0.98, $"{report}");
        Assert.Equal(report.Words, report.Aligned + report.AmbiguousDropped + report.UnalignedDropped + report.MultiwordDropped);
        Assert.Equal(report.Aligned, report.Kept + report.TruncatedDropped + report.TooManyPiecesDropped + report.FirstPositionDropped);
        // Words spell their form; those that lost an end to a neighbour spell a part of it, or won one.
        var (spelled, wider) = (0, 0);
        for (var w = 0; w < corpus.Words; w++)
        {
            var pieces = string.Concat(corpus.TokenIds[corpus.FirstToken[w]..(corpus.LastToken[w] + 1)].ToArray().Select(tokenizer.TokenText)).Replace('▁', ' ').Trim();
            var form = corpus.SentenceTexts[corpus.WordSentence[w]][corpus.WordStart[w]..corpus.WordEnd[w]];
            if (!form.All(char.IsAsciiLetterOrDigit))
                continue;
            spelled += pieces == form ? 1 : 0;
            wider += form.Contains(pieces, StringComparison.Ordinal) ? 0 : 1;
        }
        Assert.True(wider <= report.SharedTokens, $"{wider} of {report.SharedTokens}");
        Assert.True(spelled > 40_000, $"{spelled} words are spelled by their tokens");
        Assert.All(corpus.CountByPart(), p => Assert.InRange(p.Value, p.Key == "train" ? 0.55 * corpus.Words : 0.15 * corpus.Words, 0.65 * corpus.Words));
    }
}
