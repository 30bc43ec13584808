using SaeService.Interpretation.Information;
using SaeService.Interpretation.Statistics;

namespace SaeService.Interpretation.Truth;

/// <param name="Documents">Of every five, three are train, one is dev and one is test.</param>
/// <param name="WordsEach">Words of a document; a sentence has twelve.</param>
public sealed record PlantedSettings(int Documents, int WordsEach, int Seed)
{
    public const int SentenceWords = 12;
}

/// <summary>
/// A corpus and the vectors of five layers, of which the truth is known (method 8). Every word has three labels, drawn independently of each other and of other
/// words: <c>pos</c>, which its form gives away but for an ambiguous share, <c>dep</c> and <c>ner</c>, which the form says nothing of. A layer's vector is
/// h = Σ α_task(layer) μ_label + σ ε, each task in coordinates of its own: a mixture of Gaussians whose posterior is exact, and log-linear in h, so that a linear
/// probe can say all there is. Vectors are functions of (seed, layer, word) and are computed when asked for: memory does not grow with the dimension.
/// </summary>
public sealed class PlantedLanguage
{
    private const double Sigma = 1.3;

    /// <summary>Share of words whose form is one of those that every part of speech has.</summary>
    private const double Ambiguous = 0.15;
    private const int AmbiguousForms = 40;

    private readonly PlantedTask[] _planted;
    private readonly int _seed;

    public PlantedLanguage(PlantedSettings settings)
    {
        Settings = settings;
        _seed = settings.Seed;
        var count = checked(settings.Documents * settings.WordsEach);
        int[] document = new int[count], sentence = new int[count], type = new int[count];
        _planted = PlantedTask.All(_seed);
        var labels = Array.ConvertAll(_planted, _ => new int[count]);
        var sentencesEach = (settings.WordsEach + PlantedSettings.SentenceWords - 1) / PlantedSettings.SentenceWords;
        for (var word = 0; word < count; word++)
        {
            document[word] = word / settings.WordsEach;
            sentence[word] = document[word] * sentencesEach + word % settings.WordsEach / PlantedSettings.SentenceWords;
            var random = new CounterRandom(_seed, word);
            for (var t = 0; t < _planted.Length; t++)
                labels[t][word] = _planted[t].Draw(random.NextDouble());
            type[word] = Form(ref random, labels[0][word]);
        }
        var parts = Enumerable.Range(0, settings.Documents).Select(d => (d % 5) switch { 3 => Part.Dev, 4 => Part.Test, _ => Part.Train }).ToArray();
        Words = new LabelledWords(document, sentence, type, parts, [.. _planted.Select((t, i) => new TaskLabels(t.Name, t.Labels, labels[i], t.Excluded))]);
    }

    public PlantedSettings Settings { get; }
    public LabelledWords Words { get; }
    public static int Layers => PlantedTask.Layers;
    public static int Dimension => PlantedTask.Dimension;

    public TaskLabels Task(string name) => Words.Tasks.Single(t => t.Task == name);

    /// <summary>Vectors of a layer, [words, Dimension].</summary>
    public GatherVectors Vectors(int layer) => (words, into) =>
    {
        for (var i = 0; i < words.Length; i++)
            Write(words[i], layer, into.Slice(i * Dimension, Dimension));
    };

    /// <summary>
    /// I(Y; h) of a layer in bits a word, by Monte Carlo: the mean of log2 p(y | h) / p(y) over <paramref name="words"/> with the exact posterior.
    /// </summary>
    public double TrueInformation(int layer, string task, ReadOnlySpan<int> words)
    {
        var at = Array.FindIndex(_planted, t => t.Name == task);
        var planted = _planted[at];
        var labels = Words.Tasks[at].Of;
        var h = new float[Dimension];
        var sum = 0.0;
        foreach (var word in words)
        {
            Write(word, layer, h);
            sum += planted.LogPosteriorOverPrior(labels[word], h, layer, Sigma);
        }
        return sum / words.Length / Math.Log(2);
    }

    private void Write(int word, int layer, Span<float> h)
    {
        var random = new CounterRandom(_seed + 7919L * (layer + 1), word);
        for (var t = 0; t < _planted.Length; t++)
            _planted[t].AddMean(Words.Tasks[t].Of[word], layer, h);
        for (var j = 0; j < h.Length; j++)
            h[j] += (float)(Sigma * random.NextNormal());
    }

    /// <summary>Zipf over the forms of the part of speech, or over the ambiguous ones. Closed classes, the rarer ones, have few forms.</summary>
    private int Form(ref CounterRandom random, int pos)
    {
        if (random.NextDouble() < Ambiguous)
            return Zipf(ref random, AmbiguousForms);
        var forms = PlantedTask.FormsOf(pos);
        return AmbiguousForms + pos * PlantedTask.MostForms + Zipf(ref random, forms);
    }

    /// <summary>Rank r with a probability that falls as 1 / (r + 1), nearly: log-uniform.</summary>
    private static int Zipf(ref CounterRandom random, int ranks) => Math.Min(ranks - 1, (int)Math.Pow(ranks + 1, random.NextDouble()) - 1);
}
