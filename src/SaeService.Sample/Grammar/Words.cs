namespace SaeService.Sample.Grammar;

/// <summary>Single words with their tags: one function a part of speech, so that no sentence rule writes a tag by hand.</summary>
internal static class Words
{
    private const string Singular = "Number=Sing", Many = "Number=Plur";

    public static Node Noun(string lemma, bool plural) =>
        plural ? new(Morphology.Plural(lemma), lemma, "NOUN", "NNS", Many) : new(lemma, lemma, "NOUN", "NN", Singular);

    public static Node Proper(string form) => new(form, form, "PROPN", "NNP", Singular);

    public static Node Determiner(string form) => new(form, form is "these" ? "this" : form is "those" ? "that" : form, "DET", "DT");

    public static Node Adjective(string form) => new(form, form, "ADJ", "JJ");

    public static Node Adverb(string form) => new(form, form, "ADV", "RB");

    public static Node Adposition(string form) => new(form, form, "ADP", "IN");

    public static Node Particle(string form) => form == "back" ? new(form, form, "ADV", "RB") : new(form, form, "ADP", "RP");

    public static Node To() => new("to", "to", "PART", "TO");

    public static Node Subordinator(string form) => new(form, form, "SCONJ", "IN");

    public static Node Conjunction(string form) => new(form, form, "CCONJ", "CC");

    public static Node Interjection(string form) => new(form, form, "INTJ", "UH");

    public static Node Number(string form) => new(form, form, "NUM", "CD");

    public static Node Possessive() => new("'s", "'s", "PART", "POS") { GluedToPrevious = true };

    public static Node Dollar() => new("$", "$", "SYM", "$") { GluedToNext = true };

    public static Node Relative(string form) => form switch
    {
        "where" or "when" => new(form, form, "ADV", "WRB"),
        _ => new(form, form, "PRON", form == "who" ? "WP" : "WDT"),
    };

    /// <summary>A pronoun in the form that its place in the sentence asks for.</summary>
    public static Node Pronoun(string form) => form switch
    {
        "I" or "me" => new(form, "I", "PRON", "PRP", "Number=Sing|Person=1"),
        "my" => new(form, "my", "PRON", "PRP$"),
        "we" or "us" => new(form, "we", "PRON", "PRP", "Number=Plur|Person=1"),
        "our" => new(form, "our", "PRON", "PRP$"),
        "you" => new(form, "you", "PRON", "PRP", "Person=2"),
        "your" => new(form, "your", "PRON", "PRP$"),
        "he" or "him" => new(form, "he", "PRON", "PRP", "Number=Sing|Person=3"),
        "she" => new(form, "she", "PRON", "PRP", "Number=Sing|Person=3"),
        "it" => new(form, "it", "PRON", "PRP", "Number=Sing|Person=3"),
        "they" or "them" => new(form, "they", "PRON", "PRP", "Number=Plur|Person=3"),
        "this" or "that" => new(form, form, "PRON", "DT", Singular),
        "there" => new(form, form, "PRON", "EX"),
        "who" or "what" => new(form, form, "PRON", "WP"),
        _ => throw new ArgumentException($"'{form}' is no pronoun of this grammar"),
    };

    /// <summary>The object form "her" of she, which is written like the possessive.</summary>
    public static Node Her(bool possessive) => possessive ? new("her", "her", "PRON", "PRP$") : new("her", "she", "PRON", "PRP", "Number=Sing|Person=3");

    public static Node Punctuation(string form) => form switch
    {
        "“" => new(form, form, "PUNCT", "``") { GluedToNext = true },
        "”" => new(form, form, "PUNCT", "''") { GluedToPrevious = true },
        "," => new(form, form, "PUNCT", ",") { GluedToPrevious = true },
        _ => new(form, form, "PUNCT", ".") { GluedToPrevious = true },
    };

    public static string FiniteFeats(Agreement subject) => subject switch
    {
        Agreement.I => "Number=Sing|Person=1",
        Agreement.Singular => "Number=Sing|Person=3",
        _ => Many,
    };
}
