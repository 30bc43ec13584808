namespace SaeService.Sample.Grammar;

/// <summary>Where a noun phrase stands: it decides the form of a pronoun, and subjects carry more of the cohesion.</summary>
internal enum Role
{
    Subject,
    Object,
    Oblique,
}

internal sealed partial class DocumentWriter
{
    private Person? _salient;
    private Agreement? _salientThing;

    /// <summary>Somebody or something that can act: a person of the cast, an organisation, or a common noun.</summary>
    private Phrase Actor(int depth)
    {
        if (_speaking && _random.Chance(0.5))
            return _random.Below(4) switch
            {
                0 => new(Words.Pronoun("you"), Agreement.Plural),
                1 => new(Words.Pronoun("we"), Agreement.Plural),
                _ => new(Words.Pronoun("I"), Agreement.I),
            };
        var choice = _random.Unit();
        if (choice < 0.48)
            return Coordinated(Individual(_random.Pick(_cast.People), Role.Subject), NounClass.Person, depth);
        if (choice < 0.58)
            return Of(NounClass.Organisation, depth, Role.Subject);
        return Coordinated(Common(NounClass.Person, depth), NounClass.Person, depth);
    }

    /// <summary>A noun phrase of a class: often a name where the class has names, and sometimes a pronoun.</summary>
    private Phrase Of(NounClass kind, int depth, Role role)
    {
        switch (kind)
        {
            case NounClass.Person when _random.Chance(0.5):
                return Individual(_random.Pick(_cast.People), role);
            case NounClass.Place when _random.Chance(0.4):
                return new(PlaceName(_random.Chance(0.85) ? _random.Pick(_cast.Places) : Lexicon.Places.Draw(_random)), Agreement.Singular);
            case NounClass.Organisation when _random.Chance(0.6):
                var name = _random.Chance(0.85) ? _random.Pick(_cast.Organisations) : Lexicon.Organisations.Draw(_random);
                return new(OrganisationName(name), Agreement.Singular);
            case NounClass.Thing when role == Role.Object && _salientThing is { } thing && _random.Chance(0.12):
                return new(Words.Pronoun(thing == Agreement.Singular ? "it" : "them"), thing);
            case NounClass.Thing when role == Role.Object && _random.Chance(0.03):
                return new(Words.Pronoun(_random.Chance(0.7) ? "that" : "this"), Agreement.Singular);
            default:
                var phrase = Coordinated(Common(kind, depth), kind, depth);
                if (kind == NounClass.Thing && role != Role.Oblique)
                    _salientThing = phrase.Agreement;
                return phrase;
        }
    }

    private Phrase Coordinated(Phrase first, NounClass kind, int depth)
    {
        if (depth == 0 || !_random.Chance(0.07))
            return first;
        var second = kind == NounClass.Person && _random.Chance(0.3) ? Individual(_random.Pick(_cast.People), Role.Oblique, plain: true) : Common(kind, 0);
        second.Head.Front(("cc", Words.Conjunction("and")));
        first.Head.Right("conj", second.Head);
        return new(first.Head, Agreement.Plural);
    }

    private Phrase Individual(Person person, Role role, bool plain = false)
    {
        if (!plain && person == _salient && _random.Chance(0.6))
            return new((role == Role.Subject, person.Female) switch
            {
                (true, true) => Words.Pronoun("she"),
                (true, false) => Words.Pronoun("he"),
                (false, true) => Words.Her(possessive: false),
                (false, false) => Words.Pronoun("him"),
            }, Agreement.Singular);
        if (role == Role.Subject)
            _salient = person;
        var form = person.Introduced ? _random.Unit() : 1;
        var introduce = !person.Introduced && !plain && role == Role.Subject && _random.Chance(0.5);
        person.Introduced |= !plain;
        var head = Words.Proper(form < 0.78 || form > 0.9 ? person.Given : person.Surname);
        if (form > 0.9)
            head.Right("flat", Words.Proper(person.Surname));
        head.Name("PER");
        if (introduce)
            head.Right("appos", Introduction()).After[^1].Front(("punct", Words.Punctuation(","))).Right("punct", Words.Punctuation(","));
        return new(head, Agreement.Singular);
    }

    /// <summary>"a teacher from Norwell", "the manager of Veldor".</summary>
    private Node Introduction()
    {
        var noun = Words.Noun(_cast.Noun(NounClass.Person, _random).Lemma, plural: false);
        if (_random.Chance(0.5))
            noun.Right("nmod", Case(_random.Chance(0.7) ? "from" : "in", PlaceName(_random.Pick(_cast.Places))));
        else if (_random.Chance(0.5))
            noun.Right("nmod", Case(_random.Chance(0.5) ? "of" : "at", OrganisationName(_random.Pick(_cast.Organisations))));
        if (_random.Chance(0.3))
            noun.Front(("amod", Words.Adjective(Lexicon.PersonAdjectives.Draw(_random))));
        return noun.Front(("det", Words.Determiner(_random.Chance(0.6) ? "a" : "the")));
    }

    private Phrase Common(NounClass kind, int depth)
    {
        var noun = _cast.Noun(kind, _random);
        var plural = !noun.Mass && _random.Chance(kind is NounClass.Organisation ? 0.25 : 0.42);
        var agreement = plural ? Agreement.Plural : Agreement.Singular;
        var head = Words.Noun(noun.Lemma, plural);

        if (_random.Chance(0.05) && kind is not NounClass.Abstract && _cast.Noun(NounClass.Place, _random).Lemma is var modifier && modifier != noun.Lemma)
            head.Front(("compound", Words.Noun(modifier, plural: false)));
        if (_random.Chance(0.28))
            head.Front(("amod", Describe(kind)));
        if (_random.Chance(0.04))
            head.Front(("amod", Describe(kind)));
        Determine(head, noun.Mass, plural);

        if (depth > 0 && _random.Chance(0.16))
            head.Right("nmod", Modifier(kind, depth - 1));
        if (depth > 0 && _random.Chance(0.13))
            head.Right("acl:relcl", RelativeClause(kind, agreement, depth - 1));
        else if (depth > 0 && kind is NounClass.Thing or NounClass.Abstract && _random.Chance(0.05))
            head.Right("acl", Participle(kind, depth - 1));
        return new(head, agreement);
    }

    private Node Describe(NounClass kind)
    {
        var list = kind switch
        {
            NounClass.Person or NounClass.Organisation => Lexicon.PersonAdjectives,
            NounClass.Abstract => Lexicon.AbstractAdjectives,
            _ => Lexicon.ThingAdjectives,
        };
        var adjective = Words.Adjective(list.Draw(_random));
        return _random.Chance(0.08) ? adjective.Front(("advmod", Words.Adverb(_random.Pick(Lexicon.Degrees)))) : adjective;
    }

    private void Determine(Node head, bool mass, bool plural)
    {
        var choice = _random.Unit();
        if (choice < 0.44)
            head.Front(("det", Words.Determiner("the")));
        else if (choice < 0.58)
            head.Front(("nmod:poss", Owner()));
        else if (choice < 0.68)
            head.Front(("det", Words.Determiner(plural ? _random.Pick(["these", "those", "those"]) : _random.Pick(["this", "that", "that"]))));
        else if (plural && choice < 0.77)
            head.Front(("nummod", Words.Number(_random.Chance(0.8) ? Lexicon.Numbers.Draw(_random) : Digits(11, 90))));
        else if (plural && choice < 0.86)
            head.Front(("amod", Words.Adjective(_random.Pick(["many", "many", "few"]))));
        else if (plural || mass)
        {
            if (choice < 0.93)
                head.Front(("det", Words.Determiner(_random.Pick(["some", "no", "all"]))));
        }
        else
            head.Front(("det", Words.Determiner(choice < 0.94 ? "a" : _random.Pick(["every", "each", "no"]))));
    }

    private Node Owner()
    {
        if (_speaking && _random.Chance(0.4))
            return Words.Pronoun(_random.Pick(["my", "my", "our", "your"]));
        if (_salient is { } person && _random.Chance(0.5))
            return person.Female ? Words.Her(true) : new("his", "his", "PRON", "PRP$");
        if (_random.Chance(0.15))
            return new("their", "their", "PRON", "PRP$");
        var owner = _random.Chance(0.7)
            ? Individual(_random.Pick(_cast.People), Role.Oblique, plain: true).Head
            : Words.Noun(_cast.Noun(NounClass.Person, _random).Lemma, plural: false).Front(("det", Words.Determiner("the")));
        return owner.Right("case", Words.Possessive());
    }

    /// <summary>A prepositional phrase inside a noun phrase. Its noun often differs in number from the head: an attractor for agreement.</summary>
    private Node Modifier(NounClass kind, int depth)
    {
        const NounClass person = NounClass.Person, thing = NounClass.Thing, idea = NounClass.Abstract, place = NounClass.Place, organisation = NounClass.Organisation;
        var (preposition, of) = kind switch
        {
            person or organisation => _random.Pick([("from", place), ("in", place), ("with", thing), ("of", organisation)]),
            thing => _random.Pick([("in", place), ("near", place), ("of", person), ("from", person), ("on", thing)]),
            idea => _random.Pick([("of", person), ("about", thing), ("about", idea), ("of", organisation), ("for", place)]),
            _ => _random.Pick([("of", person), ("near", place), ("in", place), ("with", thing)]),
        };
        return Case(preposition, Of(of, depth, Role.Oblique).Head);
    }

    private static Node Case(string preposition, Node noun) => noun.Front(("case", Words.Adposition(preposition)));

    private Node Money() => Words.Dollar().Right("nummod", Words.Number(Digits(2, 99)));

    private string Digits(int low, int high) => (low + _random.Below(high - low + 1)).ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static Node PlaceName(string name) => Compound(name).Name("LOC");

    private static Node OrganisationName(string name)
    {
        var article = name.StartsWith("the ", StringComparison.Ordinal);
        var parts = (article ? name[4..] : name).Split(" of ");
        var head = Compound(parts[0]);
        if (parts.Length > 1)
            head.Right("nmod", Case("of", Compound(parts[1])));
        if (article)
            head.Front(("det", Words.Determiner("the")));
        return head.Name("ORG");
    }

    private static Node Compound(string name)
    {
        var words = name.Split(' ');
        return Words.Proper(words[^1]).Front(words[..^1].Select(w => ("compound", Words.Proper(w))));
    }
}
