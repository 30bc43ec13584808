using SaeService.Contracts;

namespace SaeService.Explorer.Tests;

/// <summary>The layer-functionality document of an <see cref="ExampleJob"/>, with everything in it that a job of mode full has.</summary>
internal static class ExampleDocument
{
    public static LayerFunctionalityDocument Of(ExampleJob job, LayerFunctionalityDocument basis) => basis with
    {
        Provenance = basis.Provenance with
        {
            Model = basis.Provenance.Model with { Name = job.Model, Layers = job.Layers - 1 },
            Data = basis.Provenance.Data with { Name = job.Dataset },
            Sae = [.. job.LayerNumbers.Select(layer => Sae(job, layer))],
        },
        Counts = basis.Counts with { Documents = 60, Sentences = 900, Words = 9000, Tokens = 11_000, Aligned = 9000 },
        Tasks = [.. job.Tasks.Select((task, t) => Task(job, task, t))],
        Layers = [.. job.LayerNumbers.Select(layer => Layer(job, layer))],
        MultipleTesting = new MultipleTesting("Benjamini-Hochberg", "layer x task", job.Layers * job.Features * job.Tasks.Length),
        Caveats = ["Evidence is correlational.", $"Words such as {string.Join(", ", job.Words.Take(3))} are in the data."],
        Glossary = new Dictionary<string, string> { ["union F1"] = "F1 of “any of the label's consistent features fires”.", ["V-information"] = "Bits that a linear probe can use." },
    };

    public static SaeProvenance Sae(ExampleJob job, int layer) => new(layer, "topk", 32, Math.Max(128, job.Features), 0, 2_000_000, 0.05 + 0.02 * layer, 31.5, 0.04, layer == job.Layers - 1 ? "unfaithful" : "pass", new string('a', 64))
    {
        ExplainedVariance = 0.95 - 0.02 * layer,
        ExplainedVarianceLegacy = 0.94 - 0.02 * layer,
        Cosine = 0.97,
        NormRatio = 0.96,
        RelativeReconstructionBias = 0.98,
        DecoderCosineMean = 0.21,
        DecoderCosineMax = 0.83,
        Splice = new SplicedLoss { Tokens = 8192, CeClean = 3.1, CeSae = 3.3, CeZero = 8.2, CeMean = 7.1, DeltaCe = 0.2, Kl = 0.15, KlZero = 5, KlMean = 4, CeLossRecovered = 0.96, CeLossRecoveredMean = 0.95 },
    };

    private static TaskFindings Task(ExampleJob job, ExampleTask task, int t) => new()
    {
        Task = task.Name,
        Labels = task.Labels.Length,
        EntropyBits = 2.6,
        Majority = 0.24,
        TypeBaselineAccuracy = 0.81,
        TypeBaselineMacroF1 = 0.7,
        TypeInformationBits = 1.7,
        Target = "current",
        Lambda = 1e-3,
        InformationPeakSet = [job.Layers / 2],
        Layers = [.. job.LayerNumbers.Select(layer => Information(job, task, t, layer))],
        Profiles = [.. task.Labels.Select((label, l) => new LabelProfile
        {
            Label = label,
            Aliases = [],
            Score = [.. job.LayerNumbers.Select(layer => job.Score(layer, t, l) - 0.2)],
            Information = [.. job.LayerNumbers.Select(layer => job.Score(layer, t, l))],
            CentreOfGravity = new CentreOfGravity(l % job.Layers + 0.4, (l % job.Layers + 0.4) / job.Layers, [l % job.Layers, l % job.Layers + 0.8], 0.4, l != 1),
            ExpectedLayerPerLayer = new ExpectedLayer(1.2, 1.4, 0.2, [1, 1.5], [1.1, 1.6], 0.3),
            PeakSet = [(l * 2 + t) % job.Layers],
            InformationPeakSet = [(l * 2 + t) % job.Layers],
            Onset = 0,
        })],
    };

    private static LayerInformation Information(ExampleJob job, ExampleTask task, int t, int layer)
    {
        var bits = 1.8 + 0.4 * Math.Sin(Math.PI * layer / job.Layers);
        return new()
        {
            Layer = layer,
            IvBits = new InformationEstimate(bits, [bits - 0.1, bits + 0.1], "linear V-information", 5000, 1800),
            Normalised = bits / 2.6,
            ContextGainBits = new Estimate(bits - 1.7, [bits - 1.8, bits - 1.6]),
            ControlBits = 0.6,
            SelectivityBits = bits - 0.6,
            ShuffledBits = 0.01,
            UntrainedBits = 1.1,
            Accuracy = 0.86,
            MacroF1 = 0.78,
            ControlAccuracy = 0.4,
            SelectivityAccuracy = 0.46,
            ChangeFromPrevious = layer == 0 ? null : new Estimate(0.05, [-0.01, 0.1]),
            GivenPosBits = task.Name == "dep" ? 0.5 : null,
            GivenPosCi95 = task.Name == "dep" ? [0.4, 0.6] : null,
            Dimensions = new DimensionInformation("ross2014", 3, 5000, 0.02, [new DimensionBits(3, 0.31), new DimensionBits(0, 0.22)]),
            PerLabel = [.. task.Labels.Select((label, l) => new LabelInformation(label, job.Score(layer, t, l) * 0.8, [0.1, 0.9], job.Score(layer, t, l), 60) { ProbeF1 = 0.9, TypeF1 = 0.6 })],
        };
    }

    private static LayerFindings Layer(ExampleJob job, int layer)
    {
        var labels = job.Tasks.SelectMany((task, t) => task.Labels.Select((label, l) => (Task: task.Name, Label: label, Score: job.Score(layer, t, l), Best: t + l * job.Tasks.Length))).ToArray();
        var found = labels.Where(x => Status(x.Score) != CellStatus.NotEstablished).OrderBy(x => Status(x.Score)).ThenByDescending(x => x.Score).ToArray();
        var established = found.Where(x => Status(x.Score) == CellStatus.Established).ToArray();
        return new()
        {
            Layer = layer,
            HookPoint = layer == 0 ? "embed" : $"blocks.{layer - 1}.resid_post",
            RelativeDepth = layer / (double)Math.Max(1, job.Layers - 1),
            Alive = job.Features,
            Functionalities = [.. found.Select((x, rank) => new Functionality
            {
                Task = x.Task,
                Label = x.Label,
                Aliases = [],
                Status = Status(x.Score),
                Rank = rank + 1,
                FailedGates = Status(x.Score) == CellStatus.Established ? [] : ["excess_over_untrained_model"],
                Encodes = new Encodes(x.Score, [x.Score - 0.05, x.Score + 0.04], 0.8, 0.9, new GatingBaselines(0.12, 0.2, 0.3), new Estimate(x.Score - 0.3, [x.Score - 0.36, x.Score - 0.24])),
                Distinguishes = new Distinguishes(0.1, [0.02, 0.18], layer == 0 ? null : 0.05, 0.6, Holds: x.Score > 0.8),
                Information = new CellInformation(x.Score * 0.8, x.Score, x.Task == "dep" ? 0.3 : null),
                Features = new CellFeatures(Count(x.Score), 1, Count(x.Score) - 1, 0, 0.1),
            })],
            FunctionalitiesNone = established.Length == 0,
            Cells = [.. labels.Select(x => new LabelCell(x.Task, x.Label, Status(x.Score), x.Score, x.Score - 0.3, Count(x.Score), x.Score * 0.8, x.Score, 60, x.Best < job.Features ? job.Summary(layer, x.Best) : null)
            {
                SparseProbes = [new SparseProbe(5, 0.6, 0.8, [0, 1, 2, 3, 4]), new SparseProbe(20, 0.7, 0.85, [.. Enumerable.Range(0, 20)])],
                ProbeF1 = 0.9,
                TypeF1 = 0.6,
            })],
            Features = [.. Enumerable.Range(0, Math.Min(job.Features, 10)).Select(index => job.Summary(layer, index))],
            Summary = established.Length == 0
                ? new LayerSummary("No function is established.", "none", [])
                : new LayerSummary($"Has separate features for {string.Join(", ", established.Take(3).Select(x => x.Label))}.", "medium", [.. established.Take(3).Select(x => $"{x.Task}:{x.Label}")]),
            Controls = new ConsistencyControls(Count(0.9), [1, 0, 1], 2, 0),
            SplitConsistency = [.. job.Tasks.Select(task => new SplitConsistency(task.Name, 18, 0.9, 0.87, 0.8))],
            Dictionaries = [Dictionary(job, "autoencoder", null, 8), Dictionary(job, "random_directions", "density", 2), Dictionary(job, "token_types", null, 3), Dictionary(job, "untrained_model", "l0", 3),
                Dictionary(job, "identity", "l0", 1), Dictionary(job, "pca", "density", 2), Dictionary(job, "ica", "l0", 2)],
        };
    }

    private static DictionaryFindings Dictionary(ExampleJob job, string name, string? matched, int consistent) =>
        new(name, matched, 128, job.Features, 31.5, [.. job.Tasks.Select(task => new DictionaryTask(task.Name, job.Features, consistent, 0.1 * consistent, 0.05 * consistent,
            [.. Enumerable.Range(0, 20).Select(bin => bin == 19 ? consistent : (bin * 7 + consistent) % 5)]))]);

    private static int Count(double score) => 1 + (int)(score * 5);

    private static CellStatus Status(double score) => score > 0.6 ? CellStatus.Established : score > 0.4 ? CellStatus.Suggestive : CellStatus.NotEstablished;
}
