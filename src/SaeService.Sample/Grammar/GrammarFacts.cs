namespace SaeService.Sample.Grammar;

/// <summary>
/// What the grammar lets a word's form say of its labels, from many of its documents: which labels the form decides, which need context. Layer 0 of the sample
/// model sees a written word and whether a space stands before it, and nothing else, so that these are bounds on everything that is found there. Tasks and labels are
/// named as the service reads them: <c>pos</c>, <c>dep</c> (basic relations) and <c>ner</c> (types, with O).
/// </summary>
public sealed class GrammarFacts
{
    private readonly Dictionary<string, Dictionary<string, Counts>> _written = []; // task, form with case and the space before it
    private readonly Dictionary<string, Dictionary<string, Counts>> _folded = [];  // task, form in lower case
    private readonly Dictionary<(string, string), long> _of = [];
    private readonly Dictionary<(string, string), long> _both = [];
    private long _words;

    private GrammarFacts()
    {
    }

    /// <summary>Tasks that the grammar labels.</summary>
    public static IReadOnlyList<string> Tasks { get; } = ["pos", "dep", "ner"];

    /// <param name="seed">One that no document of the bundle has.</param>
    public static GrammarFacts Of(ulong seed, int documents)
    {
        var facts = new GrammarFacts();
        foreach (var document in SampleCorpus.Documents(seed, documents))
        {
            var spaced = false;
            foreach (var word in document.Sentences.SelectMany(s => s.Words))
            {
                facts.Add(word, spaced);
                spaced = word.SpaceAfter;
            }
        }
        return facts;
    }

    /// <summary>I(label; written form), bits a word: what no function of the form can exceed.</summary>
    public double FormBits(string task) =>
        Entropy(_of.Where(o => o.Key.Item1 == task).Select(o => o.Value)) - _written[task].Values.Sum(c => c.Words * Entropy(c.OfLabel.Values)) / _words;

    /// <summary>I(1[label]; written form), bits a word.</summary>
    public double FormBits(string task, string label) => Binary(_written, task, label);

    /// <summary>The same with all letters in lower case, as the service tells word types apart.</summary>
    public double FoldedFormBits(string task, string label) => Binary(_folded, task, label);

    /// <summary>H(1[label]), bits a word.</summary>
    public double EntropyBits(string task, string label) => Entropy([_of.GetValueOrDefault((task, label)), _words - _of.GetValueOrDefault((task, label))]);

    /// <summary>Highest F1 of "the word is one of these forms" for the label, over all sets of written forms.</summary>
    public double BestF1(string task, string label)
    {
        double hits = 0, fired = 0, best = 0;
        var labelled = _of.GetValueOrDefault((task, label));
        // The best set takes every form whose share of the label is above some bound.
        foreach (var form in _written[task].Values.Where(c => c.Of(label) > 0).OrderByDescending(c => (double)c.Of(label) / c.Words))
        {
            hits += form.Of(label);
            fired += form.Words;
            best = Math.Max(best, 2 * hits / (fired + labelled));
        }
        return best;
    }

    /// <summary>How many forms, in lower case, ever carry the label.</summary>
    public int FormsOf(string task, string label) => _folded[task].Values.Count(c => c.Of(label) > 0);

    /// <summary>Jaccard index of the words of two labels.</summary>
    public double Jaccard((string Task, string Label) a, (string Task, string Label) b)
    {
        var both = _both.GetValueOrDefault(($"{a.Task}:{a.Label}", $"{b.Task}:{b.Label}"));
        var either = _of.GetValueOrDefault(a) + _of.GetValueOrDefault(b) - both;
        return either == 0 ? 0 : (double)both / either;
    }

    private void Add(SampleWord word, bool spaced)
    {
        string[] labels = [word.Upos, word.Relation.Split(':')[0], word.Entity == "O" ? "O" : word.Entity[2..]];
        _words++;
        for (var t = 0; t < Tasks.Count; t++)
        {
            Increment(_of, (Tasks[t], labels[t]));
            Count(_written, Tasks[t], spaced ? " " + word.Form : word.Form, labels[t]);
            Count(_folded, Tasks[t], word.Form.ToLowerInvariant(), labels[t]);
            for (var other = 0; other < Tasks.Count; other++)
                if (other != t)
                    Increment(_both, ($"{Tasks[t]}:{labels[t]}", $"{Tasks[other]}:{labels[other]}"));
        }
    }

    private static void Count(Dictionary<string, Dictionary<string, Counts>> of, string task, string form, string label)
    {
        if (!of.TryGetValue(task, out var forms))
            of[task] = forms = [];
        if (!forms.TryGetValue(form, out var counts))
            forms[form] = counts = new Counts();
        counts.Words++;
        counts.OfLabel[label] = counts.Of(label) + 1;
    }

    private static void Increment<TKey>(Dictionary<TKey, long> counts, TKey key) where TKey : notnull => counts[key] = counts.GetValueOrDefault(key) + 1;

    private double Binary(Dictionary<string, Dictionary<string, Counts>> of, string task, string label) => EntropyBits(task, label)
        - of[task].Values.Sum(c => c.Words * Entropy([c.Of(label), c.Words - c.Of(label)])) / _words;

    private static double Entropy(IEnumerable<long> counts)
    {
        var all = counts.ToArray();
        double total = all.Sum();
        return total == 0 ? 0 : -all.Where(n => n > 0).Sum(n => n / total * Math.Log2(n / total));
    }

    private sealed class Counts
    {
        public Dictionary<string, long> OfLabel { get; } = [];
        public long Words { get; set; }
        public long Of(string label) => OfLabel.GetValueOrDefault(label);
    }
}
