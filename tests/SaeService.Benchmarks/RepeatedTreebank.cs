using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Corpora;
using SaeService.Interpretation;
using SaeService.Interpretation.Information;
using SaeService.TestSupport;
using CounterRandom = SaeService.Interpretation.Statistics.CounterRandom;
using Part = SaeService.Interpretation.Part;

namespace SaeService.Benchmarks;

/// <summary>
/// A treebank's words, document after document, again from the start where they end, until there are as many as asked. Vectors and codes need no model: both
/// are functions of a word's form and of the form before it, so that they repeat as the words do.
/// </summary>
internal sealed class RepeatedTreebank
{
    public const int Dimension = 64;

    /// <summary>Latents on a word.</summary>
    public const int L0 = 8;

    private readonly Column<int> _type; // [words]
    private readonly ScratchSpace _scratch;

    /// <param name="scratch">Where words and codes lie.</param>
    public RepeatedTreebank(int words, ScratchSpace scratch)
    {
        _scratch = scratch;
        var treebank = Path.Combine(SharedData.Root ?? "", "data", "gold", "ewt-uner");
        var source = DatasetFolder.Open(Directory.Exists(treebank) ? treebank : Path.Combine(SharedData.RepositoryRoot, "src", "SaeService.Sample", "bundle", "corpus"));
        Name = Path.GetFileName(source.Path);
        var sentences = source.Read().ToList();
        var (document, sentence) = (scratch.New<int>(words), scratch.New<int>(words));
        _type = scratch.New<int>(words);
        string[] tasks = ["pos", "dep", "ner"];
        var labels = Array.ConvertAll(tasks, _ => scratch.New<int>(words));
        var names = Array.ConvertAll(tasks, _ => new Dictionary<string, int>());
        var types = new Dictionary<string, int>();
        var documents = 0;
        for (int word = 0, s = 0; word < words; s++)
        {
            var (at, before) = (sentences[s % sentences.Count], s % sentences.Count == 0 ? null : sentences[(s - 1) % sentences.Count]);
            documents += at.Document == before?.Document ? 0 : 1;
            for (var w = 0; w < at.Words.Length && word < words; w++, word++)
            {
                (document[word], sentence[word]) = (documents - 1, s);
                _type[word] = Id(types, at.Words[w].Form.ToLowerInvariant());
                for (var t = 0; t < tasks.Length; t++)
                    labels[t][word] = at.Labels.TryGetValue(tasks[t], out var of) && of[w] is { } label ? Id(names[t], label) : -1;
            }
        }
        var parts = Enumerable.Range(0, documents).Select(d => (d % 5) switch { 3 => Part.Dev, 4 => Part.Test, _ => Part.Train }).ToArray();
        Words = new LabelledWords(document, sentence, _type, parts,
            [.. tasks.Select((name, t) => new TaskLabels(name, [.. names[t].Keys], labels[t], names[t].TryGetValue("O", out var none) ? new HashSet<int> { none } : new HashSet<int>()))]);
    }

    public string Name { get; }
    public LabelledWords Words { get; }

    public GatherVectors Vectors(int layer) => (words, into) =>
    {
        for (var i = 0; i < words.Length; i++)
        {
            var (here, before) = Chance(layer, words[i]);
            for (var j = 0; j < Dimension; j++)
                into[i * Dimension + j] = (float)(here.NextDouble() + layer * 0.5 * before.NextDouble());
        }
    };

    /// <summary>Latents by the form, and from layer 1 on half of them by the form before it.</summary>
    public SparseCodes Codes(int layer, int features)
    {
        var start = _scratch.New<long>(Words.Count + 1);
        var index = _scratch.New<int>(Words.Count * L0);
        var value = _scratch.New<float>(index.Length);
        Span<int> latents = stackalloc int[L0];
        var at = 0;
        for (var word = 0; word < Words.Count; word++)
        {
            var (here, before) = Chance(layer, word);
            for (var n = 0; n < L0; n++)
                latents[n] = layer > 0 && n % 2 == 1 ? before.Next(features) : here.Next(features);
            latents.Sort();
            for (var n = 0; n < L0; n++)
                if (n == 0 || latents[n] != latents[n - 1])
                    (index[at], value[at++]) = (latents[n], (float)(0.1 + here.NextDouble()));
            start[word + 1] = at;
        }
        return new SparseCodes(features, start, index.First(at), value.First(at));
    }

    private (CounterRandom Here, CounterRandom Before) Chance(int layer, int word) =>
        (new CounterRandom(layer, _type[word]), new CounterRandom(layer + 1000, word == 0 ? -1 : _type[word - 1]));

    private static int Id(Dictionary<string, int> ids, string name)
    {
        if (!ids.TryGetValue(name, out var id))
            ids[name] = id = ids.Count;
        return id;
    }
}
