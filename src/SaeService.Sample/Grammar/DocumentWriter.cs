namespace SaeService.Sample.Grammar;

/// <summary>Writes one document: a cast, then 5 to 15 sentences about it. The random stream decides everything.</summary>
internal sealed partial class DocumentWriter(SplitMix64 random)
{
    private readonly SplitMix64 _random = random;
    private readonly Cast _cast = new(random);

    private static readonly string[] Openings = ["then", "finally", "perhaps", "however", "suddenly"];

    // Inside quotation marks people say I, you and we, contract, and give orders.
    private bool _speaking;

    public SampleDocument Write(string id)
    {
        var sentences = new SampleSentence[5 + _random.Below(11)];
        for (var i = 0; i < sentences.Length; i++)
            sentences[i] = Linearization.Read(Sentence(), $"{id}-{i + 1}");
        return new(id, sentences);
    }

    private Node Sentence()
    {
        const int depth = 2;
        var choice = _random.Unit();
        return choice switch
        {
            < 0.50 => Ended(Opened(Clause(depth)), "."),
            < 0.60 => Ended(WithAdverbialClause(Clause(1)), "."),
            < 0.67 => Ended(CoordinatedClauses(), "."),
            < 0.76 => Ended(CoordinatedVerbs(), "."),
            < 0.84 => Ended(Question(), "?"),
            _ => Quotation(),
        };
    }

    private static Node Ended(Node root, string mark) => root.Right("punct", Words.Punctuation(mark));

    /// <summary>"In April, ...", "Finally, ...", or nothing.</summary>
    private Node Opened(Node root)
    {
        var choice = _random.Unit();
        return choice switch
        {
            < 0.12 => root.Front(("obl", TimePhrase()), ("punct", Words.Punctuation(","))),
            < 0.16 => root.Front(("obl", Somewhere()), ("punct", Words.Punctuation(","))),
            < 0.21 => root.Front(("advmod", Words.Adverb(_random.Pick(Openings))), ("punct", Words.Punctuation(","))),
            _ => root,
        };
    }

    private Node WithAdverbialClause(Node main)
    {
        var mark = _random.Pick(["because", "when", "when", "if", "although", "before", "after", "while", "until"]);
        var clause = Clause(1).Front(("mark", Words.Subordinator(mark)));
        return _random.Chance(0.45)
            ? main.Front(("advcl", clause), ("punct", Words.Punctuation(",")))
            : main.Right("advcl", clause);
    }

    private Node CoordinatedClauses()
    {
        var first = Clause(1);
        var second = Clause(1).Front(("punct", Words.Punctuation(",")), ("cc", Words.Conjunction(_random.Pick(["and", "and", "but", "but", "so", "or"]))));
        return first.Right("conj", second);
    }

    /// <summary>"The teachers whom Anna knows walk home and read": the second verb agrees with a subject far behind it.</summary>
    private Node CoordinatedVerbs()
    {
        var subject = Actor(2);
        var tense = Tense();
        var (verb, frame) = PickVerb(0);
        var (other, otherFrame) = PickVerb(0);
        var first = new VerbGroup(verb.Lemma, subject.Agreement, tense, default);
        var second = new VerbGroup(other.Lemma, subject.Agreement, tense, default);
        Complete(first.Main, frame, 1);
        Complete(second.Main, otherFrame, 1);
        first.Main.Right("conj", second.Main.Front(("cc", Words.Conjunction(_random.Pick(["and", "and", "and", "but"])))));
        return WithSubject(first.Main, subject.Head, first, frequency: 0.05);
    }

    private Node Question()
    {
        var choice = _random.Unit();
        if (choice < 0.12)
        {
            var (verb, frame) = PickVerb(0);
            var group = new VerbGroup(verb.Lemma, Agreement.Singular, Tense(), default);
            Complete(group.Main, frame, 1);
            return group.Main.Front(("nsubj", Words.Pronoun("who")));
        }
        var subject = Actor(1);
        var aspect = RandomAspect() with { Negated = false };
        if (_random.Chance(0.25))
            aspect = new(Modal: "will");
        var gap = choice < 0.35;
        var (asked, askedFrame) = gap ? _cast.Verb(_random, f => f.Kind == FrameKind.Transitive && f.Class != NounClass.Person) : PickVerb(1);
        var asking = new VerbGroup(asked.Lemma, subject.Agreement, Tense(), aspect, question: true);
        if (!gap)
            Complete(asking.Main, askedFrame, 1, adjuncts: choice > 0.5);
        IEnumerable<(string, Node)> before = [asking.Auxiliaries[0], ("nsubj", subject.Head), .. asking.Auxiliaries[1..]];
        if (gap)
            before = before.Prepend(("obj", Words.Pronoun("what")));
        else if (choice < 0.5)
            before = before.Prepend(("advmod", Words.Relative(_random.Chance(0.5) ? "where" : "when")));
        return asking.Main.Front(before);
    }

    /// <summary>“Well, I know that,” Anna said. Or: Anna said, “Well, I know that.”</summary>
    private Node Quotation()
    {
        var speaker = Individual(_random.Pick(_cast.People), Role.Subject, plain: false);
        var saying = new VerbGroup(_random.Pick(["say", "say", "say", "answer", "ask", "explain"]), speaker.Agreement, _cast.Tense, default);
        _speaking = true;
        var content = _random.Chance(0.25) ? Command() : Clause(1);
        if (_random.Chance(0.3))
            content.Front(("discourse", Words.Interjection(_random.Pick(["well", "well", "yes", "no", "oh"]))), ("punct", Words.Punctuation(",")));
        _speaking = false;
        var first = _random.Chance(0.5);
        content.Front(("punct", Words.Punctuation("“"))).Right("punct", Words.Punctuation(first ? "," : ".")).Right("punct", Words.Punctuation("”"));
        return first
            ? Ended(saying.Main.Front(("ccomp", content), ("nsubj", speaker.Head)), ".")
            : saying.Main.Front(("nsubj", speaker.Head)).Right("punct", Words.Punctuation(",")).Right("ccomp", content);
    }

    /// <summary>"Watch the door.": the base form where a sentence begins, which is as often a noun's place.</summary>
    private Node Command()
    {
        var (verb, frame) = PickVerb(0);
        var main = new Node(verb.Lemma, verb.Lemma, "VERB", "VB");
        Complete(main, frame, 1);
        if (_random.Chance(0.2))
            main.Front(("advmod", Words.Adverb("never")));
        else if (_random.Chance(0.25))
            main.Front(("vocative", Individual(_random.Pick(_cast.People), Role.Oblique, plain: true).Head), ("punct", Words.Punctuation(",")));
        return main;
    }
}
