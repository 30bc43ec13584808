using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.Corpora;
using SaeService.Sample.Evaluation;
using SaeService.Sample.Grammar;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Sample.Tests;

/// <summary>The files that are committed: nothing in them is older or newer than the grammar beside them.</summary>
public sealed class BundleTests
{
    private static readonly string Folder = Path.Combine(SharedData.RepositoryRoot, "src", "SaeService.Sample", "bundle");

    [Fact]
    public void Files_have_their_recorded_hashes_and_the_grammar_writes_the_same_corpus() => Assert.Empty(Bundle.Faults(Folder));

    [Fact]
    public void A_changed_file_is_noticed()
    {
        var copy = Directory.CreateTempSubdirectory("sae-sample-").FullName;
        try
        {
            foreach (var file in Directory.GetFiles(Folder, "*", SearchOption.AllDirectories))
            {
                var target = Path.Combine(copy, Path.GetRelativePath(Folder, file));
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Copy(file, target);
            }
            File.AppendAllText(Bundle.CorpusFile(copy), "\n");
            Assert.Equal(2, Bundle.Faults(copy).Count);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void Corpus_is_read_by_the_service_word_for_word()
    {
        var read = DatasetFolder.Open(Path.GetDirectoryName(Bundle.CorpusFile(Folder))!).Read().ToArray();
        var written = SampleCorpus.Documents(Bundle.CorpusSeed, Bundle.CorpusDocuments)
            .SelectMany(d => d.Sentences.Select(s => (Document: d.Id, Sentence: s))).ToArray();
        Assert.Equal(written.Length, read.Length);
        foreach (var (was, now) in written.Zip(read))
        {
            Assert.Equal((was.Document, was.Sentence.Id, was.Sentence.Text, false), (now.Document, now.Id, now.Text, now.TextReconstructed));
            Assert.Equal(was.Sentence.Words.Select(w => w.Form), now.Words.Select(w => w.Form));
            Assert.All(now.Words, w => Assert.Equal(w.Form, now.Text[w.Start..w.End]));
            Assert.Equal(was.Sentence.Words.Select(w => w.Upos), now.Labels["pos"]);
            Assert.Equal(was.Sentence.Words.Select(w => w.Relation.Split(':')[0]), now.Labels["dep"]);
            Assert.Equal(was.Sentence.Words.Select(w => w.Entity == "O" ? "O" : w.Entity[2..]), now.Labels["ner"]);
        }
    }

    [Fact]
    public void Tokenizer_gives_back_every_text_and_nearly_every_word_has_tokens_of_its_own()
    {
        var tokenizer = Tokenizer.Load(Bundle.ModelFolder(Folder));
        foreach (var document in SampleCorpus.Documents(Bundle.CorpusSeed, Bundle.CorpusDocuments))
            Assert.Equal(document.Text, tokenizer.Decode(tokenizer.Encode(document.Text, addSpecialTokens: false).Ids));
        var packed = CorpusPacker.Pack(
            DatasetFolder.Open(Bundle.CorpusFile(Folder)).Read(),
            text => tokenizer.Encode(text, addSpecialTokens: false) is var e ? (e.Ids, e.Offsets) : default,
            new PackingSettings { ContextLength = 256, PrefixIds = [tokenizer.BosId!.Value], SpecialIds = tokenizer.SpecialIds },
            TestContext.Current.CancellationToken);
        Assert.True(packed.Report.AlignedShare > 0.99, $"{packed.Report.AlignedShare:P2} aligned");
    }

    [Fact]
    public void Model_has_learnt_the_grammar_and_the_report_says_so_truly()
    {
        using var report = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "report.json")));
        var recorded = report.RootElement.GetProperty("evaluation");
        var evaluation = Bundle.Evaluate(Folder, Bundle.HeldOutDocuments / 2);

        Assert.True(evaluation.HeldOut.Model < evaluation.HeldOut.Unigram - 2, $"{evaluation.HeldOut}");
        Assert.True(evaluation.HeldOut.Model < evaluation.HeldOut.Bigram - 0.3, $"{evaluation.HeldOut}");
        // Where a noun of the other number stands between, following the nearest noun would be right in no pair.
        Assert.True(Agreement(Intervening.NoAttractor) > 0.9 && Agreement(Intervening.RelativeClause) > 0.65, string.Join(' ', evaluation.Agreement));
        // The embedding knows the form alone, the last layer which reading holds.
        var nounOrVerb = evaluation.Readings.Single(r => r.Ambiguity == "noun or verb");
        Assert.True(nounOrVerb.AccuracyByLayer[0] < 0.7 && nounOrVerb.AccuracyByLayer[^1] > 0.95, $"{nounOrVerb}");
        // The report is over twice the documents.
        Assert.Equal(recorded.GetProperty("heldOut").GetProperty("model").GetDouble(), evaluation.HeldOut.Model, 0.05);

        double Agreement(Intervening between) => evaluation.Agreement.Single(a => a.Between == between).Accuracy;
    }
}
