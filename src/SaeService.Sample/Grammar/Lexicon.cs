namespace SaeService.Sample.Grammar;

/// <summary>What a noun phrase can be about. Verbs choose their arguments by it, which gives the text something to be predicted by.</summary>
internal enum NounClass
{
    Person,
    Thing,
    Abstract,
    Place,
    Organisation,
}

internal sealed record Noun(string Lemma, NounClass Class, bool Mass);

/// <summary>
/// What a verb takes: an object, a second object, a prepositional phrase, a particle, or a clause.
/// </summary>
internal sealed record Frame(FrameKind Kind, NounClass Class = default, string Word = "");

internal enum FrameKind
{
    Intransitive,
    Transitive,
    Ditransitive,
    Prepositional,
    Particle,
    ThatClause,
    Infinitive,
    TellClause,
}

internal sealed record Verb(string Lemma, Frame[] Frames)
{
    public IEnumerable<Frame> Of(FrameKind kind) => Frames.Where(f => f.Kind == kind);
}

/// <summary>
/// The open-class vocabulary, commonest first: words are drawn with Zipf weights over these orders. Many lemmas are both nouns and verbs
/// (walk, record, plan), adjectives and adverbs (fast, right) or nouns and adjectives (light), on purpose.
/// </summary>
internal static class Lexicon
{
    // Frames: i intransitive, /C object of class C, P/C preposition with class, +P/C particle with object, d two objects,
    // s that-clause, ps person and that-clause, x to-infinitive. Classes: p person, t thing, a abstract, l place, o organisation.
    public static readonly Verb[] Verbs = [.. ParseVerbs("""
        say s | watch /t /p /l | walk i to/l through/l | record /a /t | plan x /a | work i for/o with/p on/a | report s /a to/p
        call /p +back/p | play i with/p in/l | answer /a /p i | visit /l /p /o | know s /p /a | see /p /t /l | want x /t | think s about/a
        help /p x | give d | talk to/p about/a with/p | like /t /p /l x | take /t +back/t | find /t /p | tell ps | study /a i in/l
        open /t | paint /t /l | write /t to/p +down/a | close /t | judge /a /p | show d /t | read /t | need x /t /p | love /p /l | hope s x for/a
        ask /p for/t | clean /t /l | order /t | guard /l /t | send d +back/t | light /t | offer d x | promise d s x | travel i to/l
        change /a i | bring d +back/t | guide /p through/l | keep /t | leave /l /p | race i to/l | meet /p | start /a x | trade with/p in/l
        follow /p | turn i +off/t +on/t | buy /t d | test /t /a | live i in/l with/p | wait i for/p for/t | dance i with/p | back /a /p
        sell /t d | carry /t +out/a | join /o /p | enter /l | lead /o | dream i about/a | look at/t at/p for/t | return i to/l | run i to/l /o
        search /l for/t | stay i in/l with/p | build /t | repair /t | lose /t | believe s /p | hold /t | move i to/l /t | hide /t i | use /t
        hear s /p | learn s x | make /t | decide s x | remember s /a /p | forget s /a | rest i in/l | smile i at/p | laugh i at/p | pay /p for/t
        share /t /a | explain s /a | begin x | try x | support /p /o /a | break /t | cut /t | check /t /a | count /t | agree s with/p
        deal with/a with/p | depend on/p on/a | sign /t | cook i | teach /p | describe /l /p /a | stop i /a | thank /p | invite /p | trust /p /o
        discuss /a | notice s /p /t | claim s | accept /a /t | fear /p /a | miss /p /l | announce s /a | win /a | arrive i in/l | drive i to/l
        sit i in/l | stand i in/l | sleep i in/l | listen to/p | pick +up/t | set +up/o | throw +away/t | shut +down/o | hand +over/t
        put +away/t | sail i to/l | swim i in/l | ride i to/l | own /t /l /o | argue s with/p | admit s | steal /t | sing i | drink i
        draw /t /l | wear /t | fix /t | collect /t | protect /l /p | sweep /l | choose /t /p | cross /l | climb i | cry i | rise i | fall i
        fly i to/l | fight i with/p | speak to/p with/p | come i to/l | go i to/l | burn /t | pull /t | push /t | lift /t | wash /t
        catch /t | drop /t | grow i | copy /t /a | doubt s /a | praise /p | blame /p | greet /p | hire /p | warn ps | manage /o x | fail x i
        refuse x | prefer x /t | serve /p /o | attack /l /p | rob /p /o | hug /p | kiss /p | cover /t | fill /t | burn i | step i | mention s /a
        """)];

    // Every document favours some of these both as nouns and as verbs.
    public static readonly string[] NounVerbs = ["plan", "answer", "report", "visit", "walk", "play", "call", "work"];

    private static readonly Noun[] Nouns =
    [
        .. ParseNouns(NounClass.Person, """
            teacher doctor child farmer woman man friend guard judge guide cook worker student driver neighbor captain painter nurse sister brother
            mother father officer sailor writer lawyer singer engineer mayor reporter visitor manager daughter son boy girl soldier clerk miner
            traveler leader guest owner partner expert king queen baker hunter player uncle aunt member dancer builder witness thief tailor
            """),
        .. ParseNouns(NounClass.Thing, """
            letter watch record book light box key door window table boat horse car picture clock ship lamp dog train paper map money* water* chair
            ticket coat bag bottle bread* cup plate knife tool wheel engine rope cat bird ring radio camera piano coin flag hat shoe basket stone cake
            meal drink fish machine computer phone guitar bell mirror candle blanket sheep cow wood* glass hammer ladder wagon bicycle telescope
            newspaper painting chest drum fence sword jar
            """),
        .. ParseNouns(NounClass.Abstract, """
            right plan answer report visit walk play call work* help* test change race trade* promise offer dream study search order hope talk
            story question problem idea dance rest* meeting lesson law game start turn result price job case list rule fact news* error deal
            music* peace* fear support* claim fight cover step decision journey contract secret mistake duty
            agreement discovery argument success vote theory speech debt victory warning
            """),
        .. ParseNouns(NounClass.Place, """
            house well garden school station back market harbor farm office street river bridge village hill forest field town city park hospital
            court library museum church hotel kitchen room beach island lake mountain valley factory mine square tower castle camp yard
            gate hall port road shop tunnel cellar barn stable theater prison mill
            """),
        .. ParseNouns(NounClass.Organisation, "bank company school team union newspaper council club firm band committee family army crew board agency"),
    ];

    public static readonly IReadOnlyDictionary<NounClass, Zipf<Noun>> NounsOf =
        Nouns.GroupBy(n => n.Class).ToDictionary(g => g.Key, g => new Zipf<Noun>(g, g.Key == NounClass.Abstract ? 5 : 2.5));

    private static readonly string[] AnyAdjectives = Split("""
        old new good light right fast small young big long great famous strange quiet early late bad beautiful short poor important whole
        strong hard local left different loud rich green clever busy cold warm dark common rare ready nice
        """);

    public static readonly Zipf<string> PersonAdjectives = new(Interleave(AnyAdjectives, Split("""
        happy tired kind honest careful angry wise brave proud nervous gentle polite rude sad hungry lonely patient careless friendly lazy
        serious sick calm curious cruel foolish eager silent cheerful
        """)));

    public static readonly Zipf<string> ThingAdjectives = new(Interleave(AnyAdjectives, Split("""
        open red heavy clean empty close broken blue white black full secret simple wooden golden cheap ugly useful sharp soft dirty wet dry
        expensive round narrow wide deep safe silver public private dangerous yellow gray tall smooth thick thin fresh
        """)));

    public static readonly Zipf<string> AbstractAdjectives = new(Interleave(AnyAdjectives, Split("""
        simple difficult final clear secret real easy useful serious possible careful public private honest brief wrong true false dangerous
        final recent sudden complete fair
        """)));

    public static readonly Zipf<string> MannerAdverbs = new([
        "well", "fast", "quickly", "slowly", "hard", "carefully", "quietly", "together", "late", "early",
        .. Split("happy loud sad gentle polite proud calm patient angry brave honest nervous secret easy sudden silent cheerful eager serious")
            .Select(Morphology.Adverb)]);

    public static readonly Zipf<string> FrequencyAdverbs = new(Split("often never always also still sometimes usually only already really rarely"), 2);

    public static readonly Zipf<string> TimeAdverbs = new(Split("then now soon later again there here early late together alone away back"), 3);

    public static readonly string[] Degrees = ["very", "quite", "too", "so", "really", "almost"];

    // Names of people that are also months, places or words: which reading holds is decided once a document.
    public static readonly string[] AmbiguousFemale = ["April", "May", "June", "Florence", "Sydney", "Grace", "Hope"];
    public static readonly string[] AmbiguousMale = ["Will", "Jordan", "Lincoln", "Austin", "Mark", "Bill"];

    public static readonly Zipf<string> Female = new(Split("""
        Anna Maria Ruth Clara Emma Nora Alice Lucy Helen Julia Rosa Eva Laura Diana Irene Martha Sara Ingrid Olga Leila Amara Yuki Priya Nadia
        """), 6);

    public static readonly Zipf<string> Male = new(Split("""
        Peter John Thomas Paul David Daniel Samuel Henry Martin Victor Oscar Leo Simon Adam George Karl Omar Ivan Kenji Kofi Ravi Hugo Felix Emil
        """), 6);

    public static readonly Zipf<string> Surnames = new(Split("""
        Baker Reed Miller Carter Stone Lincoln Hunter Young Brown Fisher Jordan Hill Woods Marsh Field Parker Morgan Ellis Novak Harlan Whitby Tarrow
        Okoro Delgado Larsen Petrov Haddad Kimura Mensah Quill Austin Lund Varga Rossi Osei Tanaka
        """), 6);

    public static readonly string[] AmbiguousPlaces = ["Jordan", "Sydney", "Florence", "Lincoln", "Austin"];

    public static readonly Zipf<string> Places = new(Lines("""
        Norwell | New Bram | Eastmere | Tolmar | London | Vessen | Port Adler | Boston | Mount Kesh | Dunmore | Paris | Calverton | Lake Orin | Westbrook
        Kenya | Saint Orla | Brackwater | Chile | Ollerby | New Harrow | Ravensford | Canada | Marrow Bay | Pellham | Norway | Fort Tarn | Kellmoor
        Lisbon | Upper Senn | Havrel | Cairo | Ostwick
        """), 6);

    // "of" and "the" make the phrase; everything else is a compound of proper nouns with its head last.
    public static readonly Zipf<string> Organisations = new(Lines("""
        the Bank of Norwell | Veldor | Nortex | the University of Eastmere | Veldor Motors | the Ministry of Trade | the Royal Museum | Lincoln Mills
        the Port Council | Halcyon | the Bank of Tolmar | Sydney Steel | Brightwater Farms | the Jordan Times | Kestrel | the New Bram Company
        the School of Music | Ombra | the Ministry of Health | the Green Union | Reed Tools | the Museum of Light | Baker House | Orin Books
        the University of Calverton | the Record | Parker Stores | the National Court | the Harbor Office | Florence Hotels | Quill | Stone Bridge Radio
        """), 6);

    public static readonly Zipf<string> Months = new(Split("May April June August March January July October December September February November"), 3);

    public static readonly string[] AmbiguousMonths = ["April", "May", "June"];

    public static readonly string[] Weekdays = ["Monday", "Friday", "Sunday", "Tuesday", "Saturday", "Wednesday", "Thursday"];

    public static readonly Zipf<string> Periods = new(Split("morning evening night day week month year summer winter spring weekend afternoon"), 3);

    public static readonly Zipf<string> Numbers = new(Split("two three four five six seven ten eight nine twelve twenty"), 2);

    public static readonly string[] PlacePrepositions = ["in", "in", "near", "behind", "at"];

    public static readonly string[] NamedPlacePrepositions = ["in", "in", "in", "near"];

    private static string[] Split(string words) => words.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static string[] Lines(string names) => names.Split(['|', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static IEnumerable<string> Interleave(string[] a, string[] b) =>
        Enumerable.Range(0, Math.Max(a.Length, b.Length)).SelectMany(i => a.Skip(i).Take(1).Concat(b.Skip(i).Take(1))).Distinct();

    private static IEnumerable<Noun> ParseNouns(NounClass kind, string words) => Split(words).Select(w => new Noun(w.TrimEnd('*'), kind, w.EndsWith('*')));

    private static IEnumerable<Verb> ParseVerbs(string table) => Lines(table)
        .Select(line => line.Split(' '))
        .Select(parts => (Lemma: parts[0], Frames: parts[1..].Select(ParseFrame)))
        .GroupBy(v => v.Lemma)
        .Select(g => new Verb(g.Key, [.. g.SelectMany(v => v.Frames)]));

    private static Frame ParseFrame(string code)
    {
        var slash = code.IndexOf('/');
        var kind = slash < 0 ? default : code[slash + 1] switch
        {
            'p' => NounClass.Person,
            't' => NounClass.Thing,
            'a' => NounClass.Abstract,
            'l' => NounClass.Place,
            'o' => NounClass.Organisation,
            _ => throw new FormatException($"verb frame '{code}': no such noun class"),
        };
        return code switch
        {
            "i" => new(FrameKind.Intransitive),
            "d" => new(FrameKind.Ditransitive, NounClass.Thing),
            "s" => new(FrameKind.ThatClause),
            "ps" => new(FrameKind.TellClause),
            "x" => new(FrameKind.Infinitive),
            _ when slash == 0 => new(FrameKind.Transitive, kind),
            _ when code[0] == '+' => new(FrameKind.Particle, kind, slash < 0 ? code[1..] : code[1..slash]),
            _ when slash > 0 => new(FrameKind.Prepositional, kind, code[..slash]),
            _ => throw new FormatException($"verb frame '{code}': unknown"),
        };
    }
}
