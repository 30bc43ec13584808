namespace SaeService.Sample.Grammar;

internal sealed class Person(string given, string surname, bool female)
{
    public string Given => given;
    public string Surname => surname;
    public bool Female => female;
    public bool Introduced { get; set; }
}

/// <summary>
/// What one document is about: the people, places and organisations that come back in it, and the nouns and verbs it favours.
/// Whether Jordan is a man, a surname or a country is settled here, once a document, so that the reading of a name can be learnt from what came before.
/// </summary>
internal sealed class Cast
{
    private readonly Dictionary<NounClass, Noun[]> _nouns = [];

    public Cast(SplitMix64 random)
    {
        People = new Person[2 + random.Below(3)];
        var taken = new HashSet<string>();
        for (var i = 0; i < People.Length; i++)
        {
            var female = random.Chance(0.5);
            var ambiguous = female ? Lexicon.AmbiguousFemale : Lexicon.AmbiguousMale;
            var given = Fresh(taken, () => random.Chance(0.5) ? random.Pick(ambiguous) : (female ? Lexicon.Female : Lexicon.Male).Draw(random));
            People[i] = new(given, Fresh(taken, () => Lexicon.Surnames.Draw(random)), female);
        }
        Places = [.. Enumerable.Range(0, 2 + random.Below(2))
            .Select(_ => Fresh(taken, () => random.Chance(0.55) ? random.Pick(Lexicon.AmbiguousPlaces) : Lexicon.Places.Draw(random)))];
        Organisations = [.. Enumerable.Range(0, 1 + random.Below(2)).Select(_ => Lexicon.Organisations.Draw(random))];
        Month = random.Chance(0.6) ? random.Pick(Lexicon.AmbiguousMonths) : Lexicon.Months.Draw(random);
        Tense = random.Chance(0.5) ? Tense.Past : Tense.Present;
        var favoured = random.Pick(Lexicon.NounVerbs);
        Verbs = [Lexicon.Verbs.First(v => v.Lemma == favoured), .. Enumerable.Range(0, 12).Select(_ => VerbsByRank.Draw(random))];
        foreach (var kind in Enum.GetValues<NounClass>())
            _nouns[kind] = [.. Enumerable.Range(0, kind == NounClass.Organisation ? 2 : 6).Select(_ => Lexicon.NounsOf[kind].Draw(random))];
        foreach (ref var noun in _nouns[NounClass.Abstract].AsSpan(0, 3))
        {
            favoured = random.Pick(Lexicon.NounVerbs);
            noun = Lexicon.NounsOf[NounClass.Abstract].Items.First(n => n.Lemma == favoured);
        }
    }

    public Person[] People { get; }
    public string[] Places { get; }
    public string[] Organisations { get; }
    public string Month { get; }
    public Tense Tense { get; }
    public Verb[] Verbs { get; }

    public Noun Noun(NounClass kind, SplitMix64 random) => random.Chance(0.6) ? random.Pick(_nouns[kind]) : Lexicon.NounsOf[kind].Draw(random);

    public Verb Verb(SplitMix64 random) => random.Chance(0.55) ? random.Pick(Verbs) : VerbsByRank.Draw(random);

    /// <summary>A verb that has one of these frames, and the frame.</summary>
    public (Verb Verb, Frame Frame) Verb(SplitMix64 random, Func<Frame, bool> fits)
    {
        for (; ; )
        {
            var verb = Verb(random);
            var frames = verb.Frames.Where(fits).ToArray();
            if (frames.Length > 0)
                return (verb, random.Pick(frames));
        }
    }

    private static Zipf<Verb> VerbsByRank { get; } = new(Lexicon.Verbs, 3.5);

    private static string Fresh(HashSet<string> taken, Func<string> draw)
    {
        for (; ; )
        {
            var name = draw();
            if (taken.Add(name))
                return name;
        }
    }
}
