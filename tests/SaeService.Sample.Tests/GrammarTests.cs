using SaeService.Sample.Evaluation;
using SaeService.Sample.Grammar;
using Xunit;

namespace SaeService.Sample.Tests;

/// <summary>The trees, tags and texts of the slice that is committed: 340 documents of seed 2.</summary>
public sealed class GrammarTests
{
    private static readonly SampleDocument[] Slice = [.. SampleCorpus.Documents(Bundle.CorpusSeed, Bundle.CorpusDocuments)];
    private static readonly SampleSentence[] Sentences = [.. Slice.SelectMany(d => d.Sentences)];

    private static readonly HashSet<string> UniversalTags =
        ["ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB"];

    private static readonly HashSet<string> Relations =
        ["acl", "acl:relcl", "advcl", "advmod", "amod", "appos", "aux", "aux:pass", "case", "cc", "ccomp", "compound", "compound:prt", "conj", "cop", "det",
         "discourse", "expl", "flat", "iobj", "mark", "nmod", "nmod:poss", "nsubj", "nsubj:pass", "nummod", "obj", "obl", "obl:agent", "punct", "root",
         "vocative", "xcomp"];

    [Fact]
    public void Documents_depend_on_seed_and_number_alone()
    {
        var alone = SampleCorpus.Document(Bundle.CorpusSeed, 17);
        Assert.Equal(Slice[17].Text, alone.Text);
        Assert.Equal(Slice[17].Id, alone.Id);
        Assert.Equal(Slice[17].Sentences.SelectMany(s => s.Words), alone.Sentences.SelectMany(s => s.Words));
        Assert.NotEqual(Slice[17].Text, SampleCorpus.Document(Bundle.TrainingSeed, 17).Text);
    }

    [Fact]
    public void Generator_is_splitmix64()
    {
        // The first values for seed 1234567 of the published reference implementation.
        var random = new SplitMix64(1234567);
        Assert.Equal([6457827717110365317UL, 3203168211198807973UL, 9817491932198370423UL], [random.Next(), random.Next(), random.Next()]);
    }

    [Fact]
    public void Documents_have_5_to_15_sentences_and_the_slice_40_to_50_thousand_words()
    {
        Assert.All(Slice, d => Assert.InRange(d.Sentences.Count, 5, 15));
        Assert.InRange(Sentences.Sum(s => s.Words.Count), 40_000, 50_000);
        Assert.InRange(Sentences.SelectMany(s => s.Words).Select(w => w.Form.ToLowerInvariant()).Distinct().Count(), 1200, 1900);
        Assert.Equal(Sentences.Length, Sentences.Select(s => s.Id).Distinct().Count());
    }

    [Fact]
    public void Every_tree_has_one_root_heads_in_range_and_no_cycle()
    {
        foreach (var sentence in Sentences)
        {
            var words = sentence.Words;
            Assert.Single(words, w => w.Head == 0);
            for (var i = 0; i < words.Count; i++)
            {
                Assert.InRange(words[i].Head, 0, words.Count);
                Assert.Equal(words[i].Head == 0, words[i].Relation == "root");
                var steps = 0;
                for (var at = i + 1; at != 0; at = words[at - 1].Head)
                    Assert.True(++steps <= words.Count, $"cycle in {sentence.Id}: {sentence.Text}");
            }
        }
    }

    [Fact]
    public void Tags_and_relations_are_those_of_universal_dependencies_and_all_occur()
    {
        var words = Sentences.SelectMany(s => s.Words).ToArray();
        Assert.Equal(UniversalTags.Order(), words.Select(w => w.Upos).Distinct().Order());
        Assert.Equal(Relations.Order(), words.Select(w => w.Relation).Distinct().Order());
        Assert.All(words.CountBy(w => w.Upos), c => Assert.True(c.Value >= 30, $"{c.Key}: {c.Value}"));
    }

    [Theory]
    [InlineData("case", "ADP", "PART")]
    [InlineData("det", "DET")]
    [InlineData("punct", "PUNCT")]
    [InlineData("aux", "AUX")]
    [InlineData("aux:pass", "AUX")]
    [InlineData("cop", "AUX")]
    [InlineData("cc", "CCONJ")]
    [InlineData("amod", "ADJ")]
    [InlineData("nummod", "NUM")]
    [InlineData("flat", "PROPN")]
    [InlineData("discourse", "INTJ")]
    public void Function_words_have_the_tag_of_their_relation(string relation, params string[] tags) =>
        Assert.All(Sentences.SelectMany(s => s.Words).Where(w => w.Relation == relation), w => Assert.Contains(w.Upos, tags));

    [Fact]
    public void Punctuation_has_no_dependents() =>
        Assert.All(Sentences, s => Assert.All(s.Words, w => Assert.True(w.Head == 0 || s.Words[w.Head - 1].Upos != "PUNCT", s.Text)));

    [Fact]
    public void Entities_are_valid_iob2_and_continuations_are_names_or_their_parts()
    {
        foreach (var sentence in Sentences)
        {
            var previous = "O";
            foreach (var word in sentence.Words)
            {
                Assert.Contains(word.Entity, (string[])["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-DATE", "I-DATE"]);
                if (word.Entity.StartsWith("I-", StringComparison.Ordinal))
                    Assert.True(previous != "O" && previous[2..] == word.Entity[2..], sentence.Text);
                if (word.Upos == "PROPN")
                    Assert.NotEqual("O", word.Entity);
                previous = word.Entity;
            }
        }
    }

    [Fact]
    public void Text_is_the_forms_joined_by_SpaceAfter()
    {
        foreach (var sentence in Sentences)
        {
            Assert.Equal(sentence.Text, string.Concat(sentence.Words.Select((w, i) => w.Form + (w.SpaceAfter && i + 1 < sentence.Words.Count ? " " : ""))));
            Assert.DoesNotContain("  ", sentence.Text);
            Assert.DoesNotContain(" ,", sentence.Text);
            Assert.DoesNotContain(" .", sentence.Text);
            Assert.False(char.IsLower(sentence.Text[0]), sentence.Text);
        }
    }

    [Fact]
    public void Finite_verbs_agree_with_the_subject_that_the_tree_gives_them()
    {
        var checkedVerbs = 0;
        foreach (var sentence in Sentences)
            for (var i = 0; i < sentence.Words.Count; i++)
            {
                var verb = sentence.Words[i];
                if (AgreementPairs.Subject(sentence.Words, i) is not { } subject)
                    continue;
                var noun = sentence.Words[subject];
                var expected = noun.Feats == "Number=Sing|Person=1" ? "Number=Sing|Person=1"
                    : AgreementPairs.IsSingular(sentence.Words, subject, i) ? "Number=Sing|Person=3" : "Number=Plur";
                Assert.True(verb.Feats == expected, $"{verb.Form} {verb.Feats} with {noun.Form} {noun.Feats}: {sentence.Text}");
                var form = (verb.Xpos, verb.Lemma, expected) switch
                {
                    (_, "be", _) when verb.Form == "'s" => "'s",
                    ("VBD", _, "Number=Plur") => "were",
                    ("VBD", _, _) => "was",
                    ("VBZ", "be", _) => "is",
                    ("VBP", "be", "Number=Plur") => "are",
                    ("VBP", "be", _) => "am",
                    ("VBZ", "have", _) => "has",
                    ("VBZ", _, _) => verb.Form.EndsWith('s') ? verb.Form : "a form in -s",
                    _ => verb.Lemma,
                };
                Assert.Equal(form, verb.Form, ignoreCase: true);
                checkedVerbs++;
            }
        Assert.True(checkedVerbs > 2500, $"only {checkedVerbs} verbs checked");
    }

    [Fact]
    public void Every_agreeing_verb_has_a_subject()
    {
        foreach (var sentence in Sentences)
            for (var i = 0; i < sentence.Words.Count; i++)
                if (sentence.Words[i].Feats.Contains("Number") && sentence.Words[i].Upos is "VERB" or "AUX")
                    Assert.True(AgreementPairs.Subject(sentence.Words, i) is not null, $"{sentence.Words[i].Form}: {sentence.Text}");
    }

    [Fact]
    public void Articles_fit_the_sound_that_follows()
    {
        foreach (var words in Sentences.Select(s => s.Words))
            for (var i = 0; i + 1 < words.Count; i++)
                if (words[i].Lemma == "a" && words[i].Upos == "DET")
                    Assert.Equal(Morphology.TakesAn(words[i + 1].Form) ? "an" : "a", words[i].Form, ignoreCase: true);
    }

    [Theory]
    [InlineData("walk", "walks", "walked", "walked", "walking")]
    [InlineData("carry", "carries", "carried", "carried", "carrying")]
    [InlineData("watch", "watches", "watched", "watched", "watching")]
    [InlineData("plan", "plans", "planned", "planned", "planning")]
    [InlineData("write", "writes", "wrote", "written", "writing")]
    [InlineData("play", "plays", "played", "played", "playing")]
    [InlineData("agree", "agrees", "agreed", "agreed", "agreeing")]
    [InlineData("die", "dies", "died", "died", "dying")]
    [InlineData("visit", "visits", "visited", "visited", "visiting")]
    public void Verbs_are_inflected(string lemma, string third, string past, string participle, string gerund) => Assert.Equal(
        [third, past, participle, gerund],
        [Morphology.Present(lemma, Agreement.Singular), Morphology.Past(lemma, Agreement.Singular), Morphology.Participle(lemma), Morphology.Gerund(lemma)]);
}
