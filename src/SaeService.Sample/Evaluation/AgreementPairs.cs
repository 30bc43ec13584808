using SaeService.Sample.Grammar;

namespace SaeService.Sample.Evaluation;

/// <summary>What a subject is parted from its verb by. All but the first hold an attractor: a noun of the other number.</summary>
public enum Intervening
{
    NoAttractor,
    RelativeClause,
    PrepositionalPhrase,
    OtherWords,
}

/// <summary>
/// A finite verb of a document, and the form it would have with a subject of the other number: the two differ in nothing else.
/// <paramref name="Distance"/> counts words from the head of the subject to the verb.
/// </summary>
public sealed record AgreementPair(SampleDocument Document, int Sentence, int Verb, string Wrong, Intervening Between, int Distance);

/// <summary>Minimal pairs for subject-verb agreement (Linzen, Dupoux and Goldberg, 2016), taken from the trees of unseen documents.</summary>
public static class AgreementPairs
{
    /// <summary>Every finite verb of a document that shows its number and follows its subject.</summary>
    public static IEnumerable<AgreementPair> In(SampleDocument document)
    {
        for (var s = 0; s < document.Sentences.Count; s++)
        {
            var words = document.Sentences[s].Words;
            for (var verb = 0; verb < words.Count; verb++)
            {
                if (OtherNumber(words[verb]) is not { } wrong || Subject(words, verb) is not { } subject || subject > verb)
                    continue;
                yield return new(document, s, verb, wrong, Between(words, subject, verb), verb - subject);
            }
        }
    }

    /// <summary>
    /// The word that a finite verb at <paramref name="verb"/> (0-based) agrees with, found from the tree alone: the subject of its clause, of the
    /// clause it is coordinated with, or the noun before its relative pronoun. Null where the word is not an agreeing verb or has no subject.
    /// </summary>
    public static int? Subject(IReadOnlyList<SampleWord> words, int verb)
    {
        if (words[verb].Upos is not ("VERB" or "AUX") || !words[verb].Feats.Contains("Number"))
            return null;
        var predicate = words[verb].Relation is "aux" or "aux:pass" or "cop" ? words[verb].Head - 1 : verb;
        int? subject = DependentSubject(words, predicate);
        if (subject is null && words[predicate].Relation == "conj")
            subject = DependentSubject(words, predicate = words[predicate].Head - 1);
        if (subject is { } pronoun && words[pronoun].Xpos is "WP" or "WDT" && words[predicate].Relation == "acl:relcl")
            return words[predicate].Head - 1;
        return subject;
    }

    /// <summary>
    /// Whether a subject is singular for the verb: a singular word, and no other coordinated with it. In "the man who walks and the boy" the
    /// boy is outside what <c>walks</c> agrees with, which shows in the verb standing before it.
    /// </summary>
    public static bool IsSingular(IReadOnlyList<SampleWord> words, int subject, int verb)
    {
        if (words[subject].Feats is "Person=2" || words[subject].Feats.StartsWith("Number=Plur", StringComparison.Ordinal))
            return false;
        for (var i = subject + 1; i < words.Count; i++)
            if (words[i].Head == subject + 1 && words[i].Relation == "conj" && words[i].Upos is "NOUN" or "PROPN" && !(subject < verb && verb < i))
                return false;
        return true;
    }

    private static int? DependentSubject(IReadOnlyList<SampleWord> words, int predicate)
    {
        for (var i = 0; i < words.Count; i++)
            if (words[i].Head == predicate + 1 && words[i].Relation is "nsubj" or "nsubj:pass")
                return i;
        return null;
    }

    private static string? OtherNumber(SampleWord verb) => (verb.Upos, verb.Form) switch
    {
        (not ("VERB" or "AUX"), _) or (_, "'s") => null,
        _ when verb.Feats == "Number=Sing|Person=3" => verb.Xpos == "VBD" ? "were" : Morphology.Present(verb.Lemma, Grammar.Agreement.Plural),
        _ when verb.Feats == "Number=Plur" => verb.Xpos == "VBD" ? "was" : Morphology.Present(verb.Lemma, Grammar.Agreement.Singular),
        _ => null,
    };

    private static Intervening Between(IReadOnlyList<SampleWord> words, int subject, int verb)
    {
        var singular = IsSingular(words, subject, verb);
        var between = Enumerable.Range(subject + 1, verb - subject - 1);
        if (!between.Any(i => words[i].Upos is "NOUN" or "PROPN" && (words[i].Feats == "Number=Sing") != singular))
            return Intervening.NoAttractor;
        var modifiers = between.Where(i => words[i].Head == subject + 1).Select(i => words[i].Relation).ToArray();
        return modifiers.Contains("acl:relcl") ? Intervening.RelativeClause
            : modifiers.Contains("nmod") ? Intervening.PrepositionalPhrase
            : Intervening.OtherWords;
    }
}
