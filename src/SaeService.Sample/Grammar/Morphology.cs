namespace SaeService.Sample.Grammar;

/// <summary>English inflection: every form in the corpus is derived here from a lemma, so agreement cannot go wrong in a word list.</summary>
public static class Morphology
{
    private static readonly Dictionary<string, string> Plurals = Pairs("""
        child children, man men, woman women, fish fish, sheep sheep, knife knives, person people, life lives
        """);

    // lemma, past, past participle
    private static readonly Dictionary<string, (string Past, string Participle)> Irregular = Triples("""
        say said said, know knew known, see saw seen, take took taken, think thought thought, find found found, give gave given,
        show showed shown, tell told told, write wrote written, read read read, buy bought bought, sell sold sold, send sent sent,
        bring brought brought, keep kept kept, leave left left, meet met met, lead led led, run ran run, build built built,
        break broke broken, lose lost lost, hide hid hidden, hold held held, make made made, cut cut cut, begin began begun,
        forget forgot forgotten, win won won, teach taught taught, hear heard heard, sleep slept slept, sit sat sat, stand stood stood,
        drive drove driven, ride rode ridden, swim swam swum, fall fell fallen, rise rose risen, grow grew grown, sing sang sung,
        pay paid paid, deal dealt dealt, become became become, feel felt felt, set set set, put put put, throw threw thrown, shut shut shut,
        light lit lit, have had had, do did done, come came come, go went gone, eat ate eaten, drink drank drunk, wear wore worn,
        steal stole stolen, draw drew drawn, fly flew flown, choose chose chosen, speak spoke spoken, catch caught caught, fight fought fought
        """);

    // Stressed final syllables that double their consonant before -ed and -ing.
    private static readonly HashSet<string> Doubling =
        ["plan", "stop", "run", "swim", "cut", "sit", "win", "begin", "forget", "set", "put", "shut", "admit", "drop", "step", "rob", "hug"];

    public static string Plural(string noun) => Plurals.TryGetValue(noun, out var plural) ? plural : AddS(noun);

    /// <summary>Present tense: <c>walks</c> for a third person singular subject, <c>walk</c> for all others (<c>be</c>: am, is, are).</summary>
    public static string Present(string verb, Agreement subject) => verb switch
    {
        "be" => subject == Agreement.I ? "am" : subject == Agreement.Singular ? "is" : "are",
        _ when subject != Agreement.Singular => verb,
        "have" => "has",
        _ => AddS(verb),
    };

    public static string Past(string verb, Agreement subject) => verb switch
    {
        "be" => subject is Agreement.I or Agreement.Singular ? "was" : "were",
        _ => Irregular.TryGetValue(verb, out var forms) ? forms.Past : AddEd(verb),
    };

    public static string Participle(string verb) => verb == "be" ? "been" : Irregular.TryGetValue(verb, out var forms) ? forms.Participle : AddEd(verb);

    public static string Gerund(string verb) => verb switch
    {
        "be" or "see" or "agree" => verb + "ing",
        "die" or "lie" => verb[..^2] + "ying",
        _ when verb.EndsWith('e') => verb[..^1] + "ing",
        _ => Doubled(verb) + "ing",
    };

    /// <summary>The manner adverb of an adjective: quick, quickly; happy, happily; gentle, gently.</summary>
    public static string Adverb(string adjective) => adjective switch
    {
        _ when adjective.EndsWith('y') => adjective[..^1] + "ily",
        _ when adjective.EndsWith("le", StringComparison.Ordinal) => adjective[..^1] + "y",
        _ => adjective + "ly",
    };

    /// <summary>Whether <c>a</c> becomes <c>an</c> before this word: by sound, so <c>an hour</c> but <c>a university</c>.</summary>
    public static bool TakesAn(string next) =>
        "aeiou".Contains(char.ToLowerInvariant(next[0])) &&
        !next.StartsWith("uni", StringComparison.OrdinalIgnoreCase) && !next.StartsWith("use", StringComparison.OrdinalIgnoreCase) &&
        !next.StartsWith("one", StringComparison.OrdinalIgnoreCase) || next.StartsWith("hour", StringComparison.Ordinal) ||
        next.StartsWith("honest", StringComparison.Ordinal) || next is "8" or "11" or "18" or "80";

    private static string AddS(string word) => word switch
    {
        _ when word.EndsWith('y') && !EndsVowelY(word) => word[..^1] + "ies",
        _ when word is "do" or "go" => word + "es",
        _ when word[^1] is 's' or 'x' or 'z' || word.EndsWith("ch", StringComparison.Ordinal) || word.EndsWith("sh", StringComparison.Ordinal) => word + "es",
        _ => word + "s",
    };

    private static string AddEd(string verb) => verb switch
    {
        _ when verb.EndsWith('e') => verb + "d",
        _ when verb.EndsWith('y') && !EndsVowelY(verb) => verb[..^1] + "ied",
        _ => Doubled(verb) + "ed",
    };

    private static string Doubled(string verb) => Doubling.Contains(verb) ? verb + verb[^1] : verb;

    private static bool EndsVowelY(string word) => word.Length > 1 && "aeiou".Contains(word[^2]);

    private static Dictionary<string, string> Pairs(string table) =>
        Rows(table).ToDictionary(r => r[0], r => r[1]);

    private static Dictionary<string, (string, string)> Triples(string table) =>
        Rows(table).ToDictionary(r => r[0], r => (r[1], r[2]));

    private static IEnumerable<string[]> Rows(string table) =>
        table.Split(',', StringSplitOptions.TrimEntries).Select(row => row.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}

/// <summary>What a finite verb must know of its subject. <see cref="Plural"/> serves you, we, they and all plural nouns.</summary>
public enum Agreement
{
    I,
    Singular,
    Plural,
}
