namespace SaeService.Sample.Grammar;

internal enum Tense
{
    Present,
    Past,
}

/// <summary>Everything about a verb group but its verb and its subject. At most one of modal, perfect and progressive.</summary>
internal readonly record struct Aspect(string? Modal = null, bool Perfect = false, bool Progressive = false, bool Passive = false, bool Negated = false);

/// <summary>
/// Auxiliaries and main verb of a clause. The first of them is finite and agrees; each decides the form of the next: base form after a
/// modal or do, past participle after have and the passive be, -ing after the progressive be. Questions and negation bring in do.
/// </summary>
internal sealed class VerbGroup
{
    private static readonly HashSet<string> Contractible = ["do", "be", "have", "will", "can", "could", "would", "should", "must"];

    /// <summary>Auxiliaries and negation with their relations, in order.</summary>
    public List<(string Relation, Node Node)> Auxiliaries { get; } = [];

    /// <summary>The verb itself; the copula where the verb is be.</summary>
    public Node Main { get; }

    public VerbGroup(string verb, Agreement subject, Tense tense, Aspect aspect, bool question = false, bool contracted = false, string mainTag = "VERB")
    {
        var chain = new List<(string Lemma, string Relation)>();
        if (aspect.Modal is not null)
            chain.Add((aspect.Modal, "aux"));
        if (aspect.Perfect)
            chain.Add(("have", "aux"));
        if (aspect.Progressive)
            chain.Add(("be", "aux"));
        if (aspect.Passive)
            chain.Add(("be", "aux:pass"));
        if (chain.Count == 0 && (aspect.Negated || question) && verb != "be")
            chain.Add(("do", "aux"));
        chain.Add((verb, ""));

        contracted &= aspect.Negated && Contractible.Contains(chain[0].Lemma) && (chain[0].Lemma, subject) != ("be", Agreement.I);
        Main = null!;
        for (var i = 0; i < chain.Count; i++)
        {
            var (lemma, relation) = chain[i];
            var isMain = i == chain.Count - 1;
            var tag = isMain ? mainTag : "AUX";
            var node = i == 0 ? Finite(lemma, tag, subject, tense, aspect.Modal is not null, contracted) : After(chain[i - 1], lemma, tag);
            if (isMain)
                Main = node;
            else
                Auxiliaries.Add((relation, node));
            // The copula of a negated clause is its own auxiliary: "is not old".
            if (i == 0 && aspect.Negated)
                Negation = contracted
                    ? new Node("n't", "not", "PART", "RB") { GluedToPrevious = true }
                    : new Node("not", "not", "PART", "RB");
            if (i == 0 && Negation is not null && !isMain)
                Auxiliaries.Add(("advmod", Negation));
        }
        NegationFollowsMain = chain.Count == 1 && Negation is not null;
    }

    public Node? Negation { get; }

    /// <summary>True where be is alone, so that the negation comes after it and not among the auxiliaries.</summary>
    public bool NegationFollowsMain { get; }

    private static Node Finite(string lemma, string tag, Agreement subject, Tense tense, bool modal, bool contracted)
    {
        if (modal)
            return new(contracted ? lemma switch { "will" => "wo", "can" => "ca", _ => lemma } : lemma, lemma, tag, "MD");
        if (tense == Tense.Past)
            return new(Morphology.Past(lemma, subject), lemma, tag, "VBD", lemma == "be" ? Words.FiniteFeats(subject) : "_");
        return new(Morphology.Present(lemma, subject), lemma, tag, subject == Agreement.Singular ? "VBZ" : "VBP", Words.FiniteFeats(subject));
    }

    private static Node After((string Lemma, string Relation) previous, string lemma, string tag) => previous switch
    {
        ("have", _) or ("be", "aux:pass") => new(Morphology.Participle(lemma), lemma, tag, "VBN"),
        ("be", "aux") => new(Morphology.Gerund(lemma), lemma, tag, "VBG"),
        _ => new(lemma, lemma, tag, "VB"),
    };
}
