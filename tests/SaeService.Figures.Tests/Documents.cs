using SaeService.Contracts;

namespace SaeService.Figures.Tests;

/// <summary>Documents of any size, with numbers that follow from where they stand.</summary>
internal static class Documents
{
    /// <param name="labels">Of each of the two tasks.</param>
    /// <param name="name">Label i of a task.</param>
    public static LayerFunctionalityDocument Of(int layers = 4, int labels = 6, Func<string, int, string>? name = null, bool established = true, string model = "tiny")
    {
        name ??= (task, i) => $"{task.ToUpperInvariant()}{i}";
        string[] tasks = ["pos", "dep"];
        int[] depth = [.. Enumerable.Range(0, layers)];
        return new LayerFunctionalityDocument
        {
            Id = Guid.Empty,
            CreatedUtc = DateTimeOffset.UnixEpoch,
            Provenance = new Provenance
            {
                Model = new ModelProvenance(model, null, "llama", "causal", layers - 1, 16, "resid_post", []),
                Data = new DataProvenance("mini", [], "60/20/20", "00", "raw"),
                Sae = [.. depth.Select(Sae)],
                Settings = new JobRequest { Model = new("tiny"), Dataset = new("mini") },
                Software = "test",
                Device = "cpu",
            },
            Counts = new Counts
            {
                Documents = 9,
                Sentences = 90,
                Words = 12345,
                Tokens = 20000,
                Aligned = 12000,
                AmbiguousDropped = 0,
                UnalignedDropped = 0,
                MultiwordDropped = 0,
                TruncatedDropped = 0,
                TooManyPiecesDropped = 0,
                FirstPositionDropped = 0,
                NormFiltered = new Dictionary<string, int>(),
                Split = new Dictionary<string, int>(),
                PerLabel = tasks.ToDictionary(t => t, t => (IReadOnlyDictionary<string, int>)Enumerable.Range(0, labels).GroupBy(i => name(t, i)).ToDictionary(g => g.Key, g => 1000 - g.First())),
            },
            Tasks = [.. tasks.Select(task => new TaskFindings
            {
                Task = task, Labels = labels, EntropyBits = 3, Majority = 0.2, TypeBaselineAccuracy = 0.8, TypeInformationBits = 1.5, Target = "current", Lambda = 1e-3,
                Layers = [.. depth.Select(Information)],
                Profiles = [.. Enumerable.Range(0, labels).Select(i => Profile(task, i))],
            })],
            Layers = [.. depth.Select(layer => new LayerFindings
            {
                Layer = layer, HookPoint = "hook", RelativeDepth = 0, Alive = 10, Functionalities = [], FunctionalitiesNone = !established, Features = [], Summary = new LayerSummary("Nothing.", "none", []),
                Cells = [.. from task in tasks from i in Enumerable.Range(0, labels) select new LabelCell(task, name(task, i), Status(layer, i), 0.5, Excess(layer, i), established ? i : 0, 0.1, Share(layer, i), 50 + i, null)],
                Dictionaries = [.. new[] { ("autoencoder", null), ("random_directions", "density"), ("pca", "l0") }.Select((d, j) => new DictionaryFindings(d.Item1, d.Item2, 100, 90, 12,
                    [.. tasks.Select(t => new DictionaryTask(t, 90, 20 - j, 0.5, 0.4, [.. Enumerable.Range(0, 20).Select(b => (b * (3 - j)) % 17)]))]))],
            })],
            MultipleTesting = new MultipleTesting("bh", "layer x task", 1),
            Caveats = [],
            Glossary = new Dictionary<string, string>(),
        };

        double Excess(int layer, int label) => established ? Math.Round(0.5 * Math.Sin(0.7 * layer + label), 3) : 0;

        double Share(int layer, int label) => Math.Round(Math.Abs(Math.Cos(0.3 * layer + label)), 3);

        CellStatus Status(int layer, int label) => !established ? CellStatus.NotEstablished : ((layer + label) % 3) switch { 0 => CellStatus.Established, 1 => CellStatus.Suggestive, _ => CellStatus.NotEstablished };

        LabelProfile Profile(string task, int i) => new()
        {
            Label = name(task, i),
            Aliases = i < 2 ? [$"{tasks.Single(t => t != task)}:{name(tasks.Single(t => t != task), i)}"] : [],
            Score = [.. depth.Select(l => Math.Max(Excess(l, i), 0))],
            Information = [.. depth.Select(l => Share(l, i))],
            CentreOfGravity = established && layers > 1 ? new CentreOfGravity((i * 0.61) % (layers - 1), 0, [0, Math.Min(layers - 1, i % layers + 0.5)], 0.2, i % 2 == 0) : null,
            ExpectedLayerPerLayer = established && layers > 1 ? new ExpectedLayer(null, i * 0.37 % (layers - 1), 0.1, null, [0.1, 0.9]) : null,
            PeakSet = [],
        };

        LayerInformation Information(int layer) => new()
        {
            Layer = layer,
            IvBits = new InformationEstimate(1.8 + 0.1 * Math.Sin(layer), [1.7 + 0.1 * Math.Sin(layer), 1.9 + 0.1 * Math.Sin(layer)], "v", 2000, 700),
            Normalised = (1.8 + 0.1 * Math.Sin(layer)) / 3,
            ContextGainBits = new Estimate(0.3),
            ControlBits = 0.9,
            SelectivityBits = 0.9,
            ShuffledBits = -0.05,
            UntrainedBits = 1.2,
            Accuracy = 0.8,
            MacroF1 = 0.7,
            PerLabel = [],
        };
    }

    public static SaeProvenance Sae(int layer) => new(layer, "topk", 32, 128, 0, 2_000_000, 0.1, 32, 0.05, "pass", "00");

    public static SaeTraining Training { get; } = new(1, 1000, [.. Enumerable.Range(1, 40).Select(i => new TrainingPoint(i * 50_000, 1.0 / i, 0.1, 32, 0.5 / i, 1e-3))], [.. Enumerable.Range(0, 48).Select(i => i * i % 29)]);

    public static FeatureDetail Feature { get; } = new()
    {
        JobId = Guid.Empty,
        Layer = 1,
        Index = 17,
        Alive = true,
        Density = 0.0123,
        MaxActivation = 8,
        MeanActivation = 2,
        Tasks = [],
        Histogram = new ActivationHistogram([0, 2, 4, 6, 8], [50, 20, 7, 1]),
        TopContexts = [],
        Promoted = [],
        Suppressed = [],
    };

    public static IReadOnlyList<Data.FeaturePoint> Points(int count) => [.. Enumerable.Range(0, count).Select(i => new Data.FeaturePoint(i, $"L{i % 5}", 1 + i * 7 % 900, Math.Abs(Math.Sin(i)), 0.5 * Math.Cos(i), i % 4 == 0))];

    /// <summary>Every kind of figure there is.</summary>
    public static IReadOnlyList<Figure> Figures(LayerFunctionalityDocument document) =>
    [
        .. Data.Catalogue.Of(document), Data.TrainingPlots.Curve(1, Training, Sae(1), "tiny.")!, Data.TrainingPlots.Density(1, Training, Sae(1), "tiny.")!, Data.FeatureCard.Of(Feature, "tiny.")!,
        Data.SupportScatter.Of("tiny.", "pos", 1, Points(400), 400, new LabelSettings { ConsistencyLower = 0.8 })!,
    ];
}
