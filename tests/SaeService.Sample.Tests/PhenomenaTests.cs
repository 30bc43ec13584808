using SaeService.Sample.Evaluation;
using SaeService.Sample.Grammar;
using Xunit;

namespace SaeService.Sample.Tests;

/// <summary>What the bundled corpus promises is in it, often enough to be measured.</summary>
public sealed class PhenomenaTests
{
    private static readonly SampleSentence[] Sentences =
        [.. SampleCorpus.Documents(Bundle.CorpusSeed, Bundle.CorpusDocuments).SelectMany(d => d.Sentences)];

    private static readonly SampleWord[] Words = [.. Sentences.SelectMany(s => s.Words)];

    [Theory]
    [InlineData("watch")]
    [InlineData("record")]
    [InlineData("plan")]
    [InlineData("answer")]
    [InlineData("report")]
    [InlineData("work")]
    [InlineData("walk")]
    [InlineData("visit")]
    [InlineData("call")]
    [InlineData("play")]
    public void Nouns_that_are_verbs_too_are_both_in_the_same_form(string lemma)
    {
        string[] forms = [lemma, Morphology.Plural(lemma)];
        var found = Words.Where(w => forms.Contains(w.Form, StringComparer.OrdinalIgnoreCase)).CountBy(w => w.Upos).ToDictionary();
        Assert.True(found.GetValueOrDefault("NOUN") >= 50 && found.GetValueOrDefault("VERB") >= 50, string.Join(' ', found));
    }

    [Theory]
    [InlineData("April", "PER", "DATE")]
    [InlineData("May", "PER", "DATE")]
    [InlineData("June", "PER", "DATE")]
    [InlineData("Jordan", "PER", "LOC")]
    [InlineData("Sydney", "PER", "LOC")]
    [InlineData("Florence", "PER", "LOC")]
    [InlineData("Lincoln", "PER", "LOC")]
    [InlineData("Austin", "PER", "LOC")]
    public void Names_are_people_and_places_or_months(string form, params string[] types)
    {
        var found = Words.Where(w => w.Form == form && w.Entity != "O").CountBy(w => w.Entity[2..]).ToDictionary();
        Assert.All(types, t => Assert.True(found.GetValueOrDefault(t) >= 50, string.Join(' ', found)));
    }

    [Theory]
    [InlineData("that", "DET", "SCONJ", "PRON")]
    [InlineData("will", "AUX", "PROPN")]
    [InlineData("may", "AUX", "PROPN")]
    [InlineData("to", "ADP", "PART")]
    [InlineData("is", "AUX", "VERB")]
    [InlineData("well", "NOUN", "ADV", "INTJ")]
    [InlineData("light", "NOUN", "ADJ")]
    [InlineData("fast", "ADJ", "ADV")]
    [InlineData("right", "NOUN", "ADJ")]
    [InlineData("back", "NOUN", "ADV")]
    [InlineData("new", "ADJ", "PROPN")]
    [InlineData("before", "ADP", "SCONJ")]
    [InlineData("so", "ADV", "CCONJ")]
    public void Forms_have_several_parts_of_speech(string form, params string[] tags)
    {
        var found = Words.Where(w => w.Form.Equals(form, StringComparison.OrdinalIgnoreCase)).CountBy(w => w.Upos).ToDictionary();
        Assert.All(tags, t => Assert.True(found.GetValueOrDefault(t) >= 20, string.Join(' ', found)));
    }

    [Theory]
    [InlineData("her", "nmod:poss", "obj")]
    [InlineData("'s", "case", "cop")]
    [InlineData("was", "aux:pass", "cop")]
    public void Forms_have_several_relations(string form, params string[] relations)
    {
        var found = Words.Where(w => w.Form.Equals(form, StringComparison.OrdinalIgnoreCase)).CountBy(w => w.Relation).ToDictionary();
        Assert.All(relations, r => Assert.True(found.GetValueOrDefault(r) >= 10, string.Join(' ', found)));
    }

    [Theory]
    [InlineData("acl:relcl", 300)]
    [InlineData("nsubj:pass", 300)]
    [InlineData("obl:agent", 200)]
    [InlineData("conj", 500)]
    [InlineData("ccomp", 300)]
    [InlineData("xcomp", 100)]
    [InlineData("advcl", 200)]
    [InlineData("appos", 100)]
    [InlineData("cop", 300)]
    [InlineData("expl", 100)]
    public void Constructions_occur(string relation, int atLeast) => Assert.True(Words.Count(w => w.Relation == relation) >= atLeast);

    [Fact]
    public void Questions_occur() => Assert.True(Sentences.Count(s => s.Text.EndsWith('?')) >= 100);

    [Fact]
    public void Entities_of_several_words_occur_with_small_words_inside()
    {
        Assert.True(Words.Count(w => w is { Form: "of", Entity: "I-ORG" }) >= 50);
        Assert.True(Words.Count(w => w is { Form: "the" or "The", Entity: "B-ORG" }) >= 100);
        Assert.True(Words.Count(w => w.Entity == "I-PER") >= 300);
        Assert.True(Words.Count(w => w.Entity == "I-LOC") >= 50);
        Assert.True(Words.Count(w => w.Entity == "I-DATE") >= 50);
    }

    [Fact]
    public void Agreement_reaches_over_clauses_and_phrases_with_a_noun_of_the_other_number()
    {
        var pairs = SampleCorpus.Documents(Bundle.CorpusSeed, Bundle.CorpusDocuments).SelectMany(AgreementPairs.In).CountBy(p => p.Between).ToDictionary();
        Assert.True(pairs[Intervening.RelativeClause] >= 50 && pairs[Intervening.PrepositionalPhrase] >= 50, string.Join(' ', pairs));
    }
}
