using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Interpretation.Conclusions;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;

namespace SaeService.Interpretation.Truth;

/// <summary>A layer to be studied: features by word, and vectors by word.</summary>
/// <param name="Codes">Rows in the order of the words.</param>
public sealed record StudyLayer(int Layer, SparseCodes Codes, GatherVectors Vectors);

/// <param name="Threads">Of labelling and probes; what is found must not depend on it.</param>
public sealed record StudyRules(LabelRules Labels, InformationRules Information, int Threads = -1)
{
    /// <summary>The product's own gates. Fewer resamples than a job has: intervals of known things need not be smooth.</summary>
    public static StudyRules Default { get; } = new(new LabelRules { BootstrapSamples = 400 }, new InformationRules { BootstrapSamples = 400 });

    public StudyRules With(int threads) =>
        this with { Threads = threads, Information = Information with { Threads = threads > 0 ? threads : Environment.ProcessorCount } };
}

/// <summary>
/// A whole analysis in memory, by the steps of a job in mode quick and no others: labels, random directions, token-type detectors, information with its controls,
/// conclusion. What is checked against the truth is what the service publishes.
/// </summary>
public sealed class Study
{
    private const int Block = 4096;

    private Study(IReadOnlyList<FeatureLabelling> labellings, IReadOnlyList<LayerEvidence> layers, LayerFunctionalityDocument document) =>
        (Labellings, Layers, Document) = (labellings, layers, document);

    /// <summary>Of the layers' features.</summary>
    public IReadOnlyList<FeatureLabelling> Labellings { get; }
    public IReadOnlyList<LayerEvidence> Layers { get; }
    public LayerFunctionalityDocument Document { get; }

    /// <param name="dimension">Of the vectors.</param>
    /// <param name="cancel">Stops between two steps.</param>
    /// <param name="scratch">Where what grows with the words lies; default: in memory.</param>
    /// <param name="begins">Told the name of each step: <c>inform</c>, <c>label</c>, <c>control</c> or <c>conclude</c>.</param>
    public static Study Run(LabelledWords words, IReadOnlyList<StudyLayer> layers, int dimension, StudyRules rules, CancellationToken cancel = default,
        Action<string>? begins = null, ScratchSpace? scratch = null)
    {
        scratch ??= ScratchSpace.Heap;
        rules = rules with { Information = rules.Information with { Scratch = scratch } };
        begins?.Invoke("inform");
        var chosen = words.Tasks.ToDictionary(t => t.Task, t => ProbeWords.Choose(words, t, rules.Information.MaxTrainWords, rules.Information.Seed, scratch));
        var reference = layers[layers.Count / 2];
        var lambdas = words.Tasks.ToDictionary(t => t.Task, t =>
            VInformation.ChooseLambda(words, t, chosen[t.Task], dimension, reference.Vectors, rules.Information, cancel).Lambda);
        begins?.Invoke("label");
        var labellings = layers.Select(l => FeatureLabeller.Run(l.Codes, words, rules.Labels, rules.Threads, scratch)).ToArray();
        var evidence = layers.Select((layer, n) =>
        {
            cancel.ThrowIfCancellationRequested();
            begins?.Invoke("control");
            using var inner = scratch.Inner();
            var directions = RandomDirections.Codes(Centred(layer.Vectors, words.Count, dimension), dimension, layer.Codes, rules.Labels.Seed, rules.Threads, scratch: inner);
            begins?.Invoke("label");
            var random = FeatureLabeller.Run(directions, words, rules.Labels, rules.Threads, inner).Layer;
            begins?.Invoke("inform");
            return new LayerEvidence
            {
                Layer = layer.Layer,
                HookPoint = layer.Layer == 0 ? "embed" : $"blocks.{layer.Layer - 1}.resid_post",
                Autoencoder = labellings[n].Layer,
                Random = [random],
                Information = [.. words.Tasks.Select(t => VInformation.Measure(words, t, chosen[t.Task], layer.Layer, dimension, layer.Vectors, lambdas[t.Task],
                    rules.Information, cancel: cancel))],
            };
        }).ToArray();
        begins?.Invoke("label");
        var tokenTypes = FeatureLabeller.Run(TokenTypeDetectors.Codes(words, scratch), words, rules.Labels, rules.Threads, scratch).Layer;
        begins?.Invoke("conclude");
        var document = Conclusion.Build(new Evidence
        {
            Id = Guid.Empty,
            CreatedUtc = DateTimeOffset.UnixEpoch,
            Provenance = Provenance(layers, dimension),
            Counts = CountsOf(words),
            Words = words,
            Rules = rules.Labels,
            Layers = evidence,
            TokenTypes = tokenTypes,
            Mode = "quick",
        });
        return new Study(labellings, evidence, document);
    }

    /// <summary>Blocks of vectors less their mean over all words, as the random directions want them.</summary>
    private static ReadRows Centred(GatherVectors vectors, int rows, int d)
    {
        var sums = new double[d];
        var block = new float[Math.Min(Block, rows) * d];
        for (var from = 0; from < rows; from += Block)
        {
            var some = block.AsSpan(0, Math.Min(Block, rows - from) * d);
            vectors(Rows(from, some.Length / d), some);
            for (var i = 0; i < some.Length; i++)
                sums[i % d] += some[i];
        }
        var mean = Array.ConvertAll(sums, sum => (float)(sum / rows));
        return (from, into) =>
        {
            vectors(Rows(from, into.Length / d), into);
            for (var i = 0; i < into.Length; i++)
                into[i] -= mean[i % d];
        };

        static int[] Rows(int from, int count) => [.. Enumerable.Range(from, count)];
    }

    private static Provenance Provenance(IReadOnlyList<StudyLayer> layers, int dimension) => new()
    {
        Model = new ModelProvenance("planted", null, "planted", "causal", layers[^1].Layer, dimension, "resid_post", []),
        Data = new DataProvenance("planted", [], "by document 60/20/20", "", "original"),
        Sae = [.. layers.Select(l => new SaeProvenance(l.Layer, "planted", 0, l.Codes.Width, 0, 0, 0, (double)l.Codes.NonZeros / l.Codes.Rows, 0, "pass", ""))],
        Settings = new JobRequest { Model = new ModelReference("planted"), Dataset = new DatasetReference("planted") },
        Software = "truth",
        Device = "cpu",
    };

    private static Counts CountsOf(LabelledWords words) => new()
    {
        Documents = words.PartOfDocument.Length,
        Sentences = words.Count == 0 ? 0 : words.Sentence[^1] + 1,
        Words = words.Count,
        Tokens = words.Count,
        Aligned = words.Count,
        AmbiguousDropped = 0,
        UnalignedDropped = 0,
        MultiwordDropped = 0,
        TruncatedDropped = 0,
        TooManyPiecesDropped = 0,
        FirstPositionDropped = 0,
        NormFiltered = new Dictionary<string, int>(),
        Split = new Dictionary<string, int>(),
        PerLabel = new Dictionary<string, IReadOnlyDictionary<string, int>>(),
    };
}
