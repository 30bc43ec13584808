namespace SaeService.Sample.Grammar;

internal sealed partial class DocumentWriter
{
    /// <summary>A finite clause with its own subject. Returns the predicate, without final punctuation.</summary>
    private Node Clause(int depth)
    {
        var choice = _random.Unit();
        return choice switch
        {
            < 0.60 => ActiveClause(Actor(depth), Tense(), depth),
            < 0.74 => PassiveClause(depth),
            < 0.93 => CopularClause(depth),
            _ => ExistentialClause(depth),
        };
    }

    private Node ActiveClause(Phrase subject, Tense tense, int depth)
    {
        var (verb, frame) = PickVerb(depth);
        var group = new VerbGroup(verb.Lemma, subject.Agreement, tense, AspectOf(verb), contracted: Contracts());
        Complete(group.Main, frame, depth);
        return WithSubject(group.Main, subject.Head, group, frequency: 0.1);
    }

    private Node PassiveClause(int depth)
    {
        var (verb, frame) = _cast.Verb(_random, f => f.Kind == FrameKind.Transitive);
        var subject = frame.Class == NounClass.Person ? Actor(depth) : Of(frame.Class, depth, Role.Subject);
        var group = new VerbGroup(verb.Lemma, subject.Agreement, Tense(), RandomAspect() with { Passive = true, Progressive = false }, contracted: Contracts());
        if (_random.Chance(0.12))
            group.Main.Front(("advmod", Words.Adverb(Lexicon.MannerAdverbs.Draw(_random))));
        if (_random.Chance(0.45))
        {
            var agent = _random.Chance(0.8) ? NounClass.Person : NounClass.Organisation;
            group.Main.Right("obl:agent", Case("by", Of(agent, Math.Max(0, depth - 1), Role.Oblique).Head));
        }
        Adjuncts(group.Main, depth);
        return WithSubject(group.Main, subject.Head, group, frequency: 0.06, relation: "nsubj:pass");
    }

    private Node CopularClause(int depth)
    {
        var choice = _random.Unit();
        if (_salientThing is { } thing && choice < 0.25)
            return Copula(new(Words.Pronoun(thing == Agreement.Singular ? "it" : "they"), thing), ThingPredicate());
        if (choice < 0.31)
            return Copula(new(Words.Pronoun(_random.Chance(0.7) ? "that" : "this"), Agreement.Singular), Quality(Lexicon.AbstractAdjectives));
        if (choice < 0.5)
        {
            var person = Actor(depth);
            if (person.Agreement == Agreement.Plural || _random.Chance(0.6))
                return Copula(person, Quality(Lexicon.PersonAdjectives));
            return Copula(person, Introduction());
        }
        var kind = _random.Chance(0.6) ? NounClass.Thing : _random.Chance(0.6) ? NounClass.Abstract : NounClass.Place;
        var subject = Of(kind, depth, Role.Subject);
        return Copula(subject, kind switch
        {
            NounClass.Thing => ThingPredicate(),
            NounClass.Abstract => Quality(Lexicon.AbstractAdjectives),
            _ => Quality(Lexicon.ThingAdjectives),
        });
    }

    /// <summary>"is old", "is in the house", and with another verb "seems old" (xcomp).</summary>
    private Node Copula(Phrase subject, Node predicate)
    {
        if (predicate.Upos == "ADJ" && _random.Chance(0.15))
        {
            var linking = new VerbGroup(_random.Pick(["seem", "become", "look", "feel"]), subject.Agreement, Tense(), default);
            linking.Main.Right("xcomp", predicate);
            return WithSubject(linking.Main, subject.Head, linking, frequency: 0);
        }
        var aspect = RandomAspect() with { Progressive = false };
        var group = new VerbGroup("be", subject.Agreement, Tense(), aspect, contracted: Contracts(), mainTag: "AUX");
        IEnumerable<(string, Node)> before = [("nsubj", subject.Head), .. group.Auxiliaries, ("cop", Contract(subject.Head, group))];
        if (group.NegationFollowsMain)
            before = before.Append(("advmod", group.Negation!));
        else if (_random.Chance(0.12))
            before = before.Append(("advmod", Words.Adverb(Lexicon.FrequencyAdverbs.Draw(_random))));
        return predicate.Front(before);
    }

    /// <summary>Writes "is" after a pronoun as "'s" now and then: the same letters as the possessive.</summary>
    private Node Contract(Node subject, VerbGroup group) =>
        group is { Main.Form: "is", NegationFollowsMain: false } && subject is { Upos: "PRON", Form: not "this" } && _random.Chance(_speaking ? 0.6 : 0.35)
            ? new Node("'s", "be", "AUX", "VBZ", group.Main.Feats) { GluedToPrevious = true }
            : group.Main;

    private Node ThingPredicate() => _random.Chance(0.3)
        ? Somewhere()
        : Quality(Lexicon.ThingAdjectives);

    private Node Quality(Zipf<string> adjectives)
    {
        var head = Words.Adjective(adjectives.Draw(_random));
        if (_random.Chance(0.25))
            head.Front(("advmod", Words.Adverb(_random.Pick(Lexicon.Degrees))));
        if (_random.Chance(0.12))
            head.Right("conj", Words.Adjective(adjectives.Draw(_random)).Front(("cc", Words.Conjunction(_random.Chance(0.7) ? "and" : "but"))));
        return head;
    }

    private Node ExistentialClause(int depth)
    {
        var kind = _random.Pick([NounClass.Thing, NounClass.Person, NounClass.Abstract]);
        var what = Common(kind, depth > 0 ? 1 : 0);
        var group = new VerbGroup("be", what.Agreement, Tense(), default);
        group.Main.Front(("expl", Words.Pronoun("there"))).Right("nsubj", what.Head);
        if (_random.Chance(0.8))
            group.Main.Right("obl", Somewhere());
        return group.Main;
    }

    private Node WithSubject(Node main, Node subject, VerbGroup group, double frequency, string relation = "nsubj")
    {
        IEnumerable<(string, Node)> before = [(relation, subject), .. group.Auxiliaries];
        if (_random.Chance(frequency))
            before = before.Append(("advmod", Words.Adverb(Lexicon.FrequencyAdverbs.Draw(_random))));
        return main.Front(before);
    }

    /// <summary>Everything that follows a verb: what its frame asks for, then adverbs, places and times.</summary>
    private void Complete(Node main, Frame frame, int depth, bool adjuncts = true)
    {
        var inner = Math.Max(0, depth - 1);
        switch (frame.Kind)
        {
            case FrameKind.Transitive:
                main.Right("obj", Of(frame.Class, depth, Role.Object).Head);
                break;
            case FrameKind.Ditransitive when _random.Chance(0.6):
                main.Right("iobj", Of(NounClass.Person, 0, Role.Object).Head).Right("obj", Common(NounClass.Thing, inner).Head);
                break;
            case FrameKind.Ditransitive:
                main.Right("obj", Of(NounClass.Thing, 0, Role.Object).Head).Right("obl", Case("to", Of(NounClass.Person, inner, Role.Oblique).Head));
                break;
            case FrameKind.Prepositional:
                main.Right("obl", Case(frame.Word, Of(frame.Class, depth, Role.Oblique).Head));
                break;
            case FrameKind.Particle:
                var moved = _random.Chance(0.4);
                var thing = moved ? Of(frame.Class, 0, Role.Object) : Common(frame.Class, inner);
                var particle = (frame.Word is "back" or "away" ? "advmod" : "compound:prt", Words.Particle(frame.Word));
                foreach (var (relation, node) in moved ? [("obj", thing.Head), particle] : new[] { particle, ("obj", thing.Head) })
                    main.Right(relation, node);
                break;
            case FrameKind.TellClause:
                main.Right("iobj", Of(NounClass.Person, 0, Role.Object).Head).Right("ccomp", Clause(inner).Front(("mark", Words.Subordinator("that"))));
                return;
            case FrameKind.ThatClause:
                var content = Clause(inner);
                main.Right("ccomp", _random.Chance(0.65) ? content.Front(("mark", Words.Subordinator("that"))) : content);
                return;
            case FrameKind.Infinitive:
                main.Right("xcomp", Infinitive(inner));
                return;
        }
        if (frame is { Kind: FrameKind.Transitive or FrameKind.Ditransitive, Class: NounClass.Thing } && _random.Chance(0.08))
            main.Right("obl", Case("for", Money()));
        if (adjuncts)
            Adjuncts(main, depth, placed: frame is { Kind: FrameKind.Prepositional, Class: NounClass.Place });
    }

    /// <summary>"to watch the trains".</summary>
    private Node Infinitive(int depth)
    {
        var (verb, frame) = PickVerb(0);
        var main = new Node(verb.Lemma, verb.Lemma, "VERB", "VB");
        Complete(main, frame, depth, adjuncts: false);
        return main.Front(("mark", Words.To()));
    }

    private Node Somewhere()
    {
        var place = Of(NounClass.Place, 0, Role.Oblique).Head;
        return Case(_random.Pick(place.Upos == "PROPN" ? Lexicon.NamedPlacePrepositions : Lexicon.PlacePrepositions), place);
    }

    private void Adjuncts(Node main, int depth, bool placed = false)
    {
        if (_random.Chance(0.1))
            main.Right("advmod", Words.Adverb(Lexicon.MannerAdverbs.Draw(_random)));
        else if (_random.Chance(0.06))
            main.Right("advmod", Words.Adverb(Lexicon.TimeAdverbs.Draw(_random)));
        if (!placed && _random.Chance(0.14))
            main.Right("obl", Somewhere());
        if (_random.Chance(0.18))
            main.Right("obl", TimePhrase());
        if (depth > 0 && _random.Chance(0.05))
            main.Right("advcl", Infinitive(0));
    }

    /// <summary>"in April", "on May 4", "in June 1994", "after the meeting", "in the morning".</summary>
    private Node TimePhrase()
    {
        var choice = _random.Unit();
        if (choice < 0.42)
        {
            var month = Words.Proper(_random.Chance(0.6) ? _cast.Month : Lexicon.Months.Draw(_random));
            var kind = _random.Below(5);
            if (kind <= 1)
                month.Right("nummod", Words.Number(kind == 0 ? Digits(1, 30) : Digits(1960, 2020)));
            var preposition = kind == 0 ? "on" : _random.Pick(["in", "in", "since", "until", "before", "after"]);
            return Case(preposition, month.Name("DATE"));
        }
        if (choice < 0.55)
            return Case(_random.Chance(0.8) ? "on" : "until", Words.Proper(_random.Pick(Lexicon.Weekdays)).Name("DATE"));
        if (choice < 0.62)
            return Case("in", Words.Number(Digits(1960, 2020)).Name("DATE"));
        if (choice < 0.8)
            return Case(_random.Pick(["after", "before", "during"]), Common(NounClass.Abstract, 0).Head);
        var period = Words.Noun(Lexicon.Periods.Draw(_random), plural: false);
        return Case(_random.Pick(["in", "during", "before"]), period.Front(("det", Words.Determiner(_random.Pick(["the", "the", "that", "this"])))));
    }

    /// <summary>
    /// "who knows Anna" (subject gap), "that the teachers keep" (object gap, often without a pronoun), "where she lives".
    /// The noun before it keeps its own number over everything in here.
    /// </summary>
    private Node RelativeClause(NounClass kind, Agreement head, int depth)
    {
        var choice = _random.Unit();
        if (kind == NounClass.Place && choice < 0.35)
            return ActiveClause(Actor(0), Tense(), 0).Front(("advmod", Words.Relative("where")));
        if (kind is NounClass.Person or NounClass.Organisation && choice < 0.55)
        {
            var (verb, frame) = PickVerb(depth);
            var group = new VerbGroup(verb.Lemma, head, Tense(), AspectOf(verb));
            Complete(group.Main, frame, depth, adjuncts: false);
            return WithSubject(group.Main, Words.Relative(kind == NounClass.Person && _random.Chance(0.7) ? "who" : "that"), group, frequency: 0.1);
        }
        if (kind is not NounClass.Person && choice < 0.5)
        {
            var (verb, _) = _cast.Verb(_random, f => f.Kind == FrameKind.Transitive && f.Class == kind);
            var group = new VerbGroup(verb.Lemma, head, Tense(), new(Passive: true));
            if (_random.Chance(0.5))
                group.Main.Right("obl:agent", Case("by", Of(NounClass.Person, 0, Role.Oblique).Head));
            return WithSubject(group.Main, Words.Relative(_random.Chance(0.6) ? "that" : "which"), group, frequency: 0, relation: "nsubj:pass");
        }
        var (gapped, _) = _cast.Verb(_random, f => f.Kind == FrameKind.Transitive && f.Class == kind);
        var subject = Actor(0);
        var finite = new VerbGroup(gapped.Lemma, subject.Agreement, Tense(), AspectOf(gapped) with { Negated = false });
        WithSubject(finite.Main, subject.Head, finite, frequency: 0.08);
        return _random.Chance(0.65)
            ? finite.Main.Front(("obj", Words.Relative(kind == NounClass.Person || _random.Chance(0.7) ? "that" : "which")))
            : finite.Main;
    }

    /// <summary>"written by Anna", "found in the garden".</summary>
    private Node Participle(NounClass kind, int depth)
    {
        var (verb, _) = _cast.Verb(_random, f => f.Kind == FrameKind.Transitive && f.Class == kind);
        var main = new Node(Morphology.Participle(verb.Lemma), verb.Lemma, "VERB", "VBN");
        return _random.Chance(0.6)
            ? main.Right("obl:agent", Case("by", Of(NounClass.Person, depth, Role.Oblique).Head))
            : main.Right("obl", Somewhere());
    }

    private (Verb Verb, Frame Frame) PickVerb(int depth) =>
        _cast.Verb(_random, f => depth > 0 || f.Kind is not (FrameKind.ThatClause or FrameKind.TellClause or FrameKind.Infinitive));

    private Tense Tense() => _random.Chance(0.85) ? _cast.Tense : _cast.Tense == Grammar.Tense.Past ? Grammar.Tense.Present : Grammar.Tense.Past;

    private bool Contracts() => _random.Chance(_speaking ? 0.8 : 0.35);

    private Aspect AspectOf(Verb verb) => Stative.Contains(verb.Lemma) ? RandomAspect() with { Progressive = false } : RandomAspect();

    private Aspect RandomAspect()
    {
        var negated = _random.Chance(0.08);
        var choice = _random.Unit();
        return choice switch
        {
            < 0.12 => new(Modal: _random.Pick(Modals), Negated: negated),
            < 0.19 => new(Perfect: true, Negated: negated),
            < 0.28 => new(Progressive: true, Negated: negated),
            _ => new(Negated: negated),
        };
    }

    private static readonly HashSet<string> Stative =
        ["know", "want", "like", "need", "love", "hope", "see", "believe", "own", "depend", "agree", "fear", "hear", "trust", "prefer", "doubt", "notice"];

    private static readonly string[] Modals = ["will", "will", "will", "may", "may", "may", "can", "can", "must", "should", "would", "could", "might"];
}
