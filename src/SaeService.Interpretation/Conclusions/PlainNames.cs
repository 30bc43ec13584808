namespace SaeService.Interpretation.Conclusions;

/// <summary>Labels in words, for readers who do not know the tag sets: Universal Dependencies 2 and the usual entity types.</summary>
public static class PlainNames
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["pos:ADJ"] = "adjectives", ["pos:ADP"] = "prepositions", ["pos:ADV"] = "adverbs", ["pos:AUX"] = "auxiliaries",
        ["pos:CCONJ"] = "coordinating conjunctions", ["pos:DET"] = "determiners", ["pos:INTJ"] = "interjections", ["pos:NOUN"] = "nouns",
        ["pos:NUM"] = "numerals", ["pos:PART"] = "particles", ["pos:PRON"] = "pronouns", ["pos:PROPN"] = "proper nouns", ["pos:PUNCT"] = "punctuation",
        ["pos:SCONJ"] = "subordinating conjunctions", ["pos:SYM"] = "symbols", ["pos:VERB"] = "verbs",
        ["dep:acl"] = "clauses that modify nouns", ["dep:advcl"] = "adverbial clauses", ["dep:advmod"] = "adverbial modifiers",
        ["dep:amod"] = "adjectival modifiers", ["dep:appos"] = "appositions", ["dep:aux"] = "auxiliaries of verbs", ["dep:case"] = "case-marking prepositions",
        ["dep:cc"] = "coordinators", ["dep:ccomp"] = "clausal complements", ["dep:compound"] = "parts of compounds", ["dep:conj"] = "conjuncts",
        ["dep:cop"] = "copulas", ["dep:csubj"] = "clausal subjects", ["dep:det"] = "determiners of nouns", ["dep:discourse"] = "discourse elements",
        ["dep:expl"] = "expletives", ["dep:fixed"] = "parts of fixed expressions", ["dep:flat"] = "parts of names", ["dep:iobj"] = "indirect objects", ["dep:list"] = "list items",
        ["dep:mark"] = "markers of subordinate clauses", ["dep:nmod"] = "nominal modifiers", ["dep:nsubj"] = "grammatical subjects",
        ["dep:nummod"] = "numeric modifiers", ["dep:obj"] = "direct objects", ["dep:obl"] = "oblique nominals", ["dep:parataxis"] = "parataxis",
        ["dep:punct"] = "punctuation", ["dep:root"] = "heads of sentences", ["dep:vocative"] = "forms of address", ["dep:xcomp"] = "open clausal complements",
        ["ner:PER"] = "names of persons", ["ner:PERSON"] = "names of persons", ["ner:ORG"] = "names of organisations", ["ner:LOC"] = "names of places",
        ["ner:GPE"] = "names of countries and cities", ["ner:MISC"] = "other names", ["ner:DATE"] = "dates", ["ner:MONTH"] = "names of months",
    };

    /// <summary>The plural in words, or the label itself where it has none.</summary>
    public static string Of(string task, string label) => Names.GetValueOrDefault($"{task}:{label}", label);
}
