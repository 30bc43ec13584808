using System.Text.Json;
using SaeService.Contracts;
using SaeService.Interpretation.Conclusions;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Interpretation.Tests;

public sealed class ConclusionTests
{
    private static readonly LabelRules Rules = new() { BootstrapSamples = 200 };
    private static readonly LabelledWords Words = Planted.Words();
    private static readonly LayerLabelling TokenTypes = FeatureLabeller.Run(TokenTypeDetectors.Codes(Words), Words, Rules).Layer;
    private static readonly LayerLabelling Nothing = Label(Planted.Noise(0.05, 1), Planted.Noise(0.1, 2));

    // Layer 0 knows forms only; layer 1 has subjects; layer 2 a weaker copy of them, and punctuation still.
    private static readonly LayerLabelling[] Layers =
    [
        Label(Planted.FormDetector(Words, 0), Planted.FormDetector(Words, Planted.The)),
        Label(Planted.Detector(Words, "dep", "nsubj", share: 0.8), Planted.FormDetector(Words, 0)),
        Label(Planted.Detector(Words, "dep", "nsubj", share: 0.4, seed: 4), Planted.Detector(Words, "dep", "obj", otherwise: 0.2),
            Planted.FormDetector(Words, 0)),
    ];

    [Fact]
    public void A_planted_label_is_established_where_it_was_planted()
    {
        var document = Conclude(Evidence(Layers));
        Assert.True(document.Layers[0].FunctionalitiesNone);
        Assert.Equal("none", document.Layers[0].Summary.Confidence);
        Assert.Equal("Layer 0: none established.", document.Layers[0].Summary.Plain);

        var cell = Assert.Single(document.Layers[1].Functionalities, f => f.Status == CellStatus.Established);
        Assert.False(document.Layers[1].FunctionalitiesNone);
        Assert.Equal(("dep", "nsubj", 1), (cell.Task, cell.Label, cell.Rank));
        Assert.Empty(cell.FailedGates);
        Assert.Equal(0, cell.Encodes.Baseline.TokenType);
        Assert.Equal(cell.Encodes.UnionF1, cell.Encodes.Excess.Value);
        Assert.InRange(cell.Encodes.UnionF1, cell.Encodes.Ci95[0], cell.Encodes.Ci95[1]);
        Assert.True(cell.Distinguishes.Holds);
        Assert.True(cell.Distinguishes.ChangeFromPrevious > 0.8);
        Assert.Equal(1, cell.Features.Contextual);
        Assert.Equal("correlational", cell.Causal.Status);
        Assert.Equal(["dep:nsubj"], document.Layers[1].Summary.Basis);
        Assert.Contains("grammatical subjects (dep:nsubj; 1 feature", document.Layers[1].Summary.Plain, StringComparison.Ordinal);
        Assert.Equal("high", document.Layers[1].Summary.Confidence);
    }

    [Fact]
    public void What_a_word_list_does_as_well_is_only_suggestive_and_says_why()
    {
        var document = Conclude(Evidence(Layers));
        var punctuation = document.Layers[1].Functionalities.Single(f => f.Task == "pos" && f.Label == "P");
        Assert.Equal(CellStatus.Suggestive, punctuation.Status);
        Assert.Contains(CellGates.OverTokenTypes, punctuation.FailedGates);
        Assert.DoesNotContain(CellGates.OverRandom, punctuation.FailedGates);
        Assert.Equal(["dep:punct"], punctuation.Aliases);
        Assert.Equal(1, punctuation.Encodes.Baseline.TokenType);
    }

    [Fact]
    public void A_cell_below_a_feature_gate_names_it()
    {
        var obj = Conclude(Evidence(Layers)).Layers[2].Functionalities.Single(f => f.Label == "obj");
        Assert.Equal(CellStatus.Suggestive, obj.Status);
        Assert.Equal([FeatureGates.ConsistencyLower, FeatureGates.Kappa], obj.FailedGates);
    }

    [Fact]
    public void Information_that_forms_give_too_establishes_nothing()
    {
        var document = Conclude(Evidence(Layers, layerBits: 0.9, typeBits: 0.9));
        Assert.All(document.Layers, layer => Assert.True(layer.FunctionalitiesNone));
        Assert.Contains(CellGates.InformationOverTypes, document.Layers[1].Functionalities.Single(f => f.Label == "nsubj").FailedGates);
    }

    [Fact]
    public void A_control_task_that_is_learnt_as_well_establishes_nothing()
    {
        var document = Conclude(Evidence(Layers, controlLayerBits: 0.1));
        Assert.Equal([CellGates.InformationOverControl], document.Layers[1].Functionalities.Single(f => f.Label == "nsubj").FailedGates);
    }

    [Fact]
    public void Random_directions_that_do_as_well_establish_nothing()
    {
        var document = Conclude(Evidence(Layers, random: Layers[1]));
        Assert.Equal([CellGates.OverRandom], document.Layers[1].Functionalities.Single(f => f.Label == "nsubj").FailedGates);
    }

    [Fact]
    public void An_untrained_model_that_does_as_well_establishes_nothing_and_one_that_does_worse_is_shown()
    {
        static Evidence With(LayerLabelling untrained) => Evidence(Layers) with
        {
            Mode = "full",
            Layers = [.. Evidence(Layers).Layers.Select(l => l with
            {
                Untrained = [new(DictionaryNames.UntrainedModel, untrained, [.. l.Information.Select(i => i with
                {
                    Layer = i.Layer with { IvBits = i.Layer.IvBits with { Value = 0.125 } },
                })], new(0.2))],
            })],
        };
        Functionality Subjects(LayerLabelling untrained) => Conclusion.Build(With(untrained)).Layers[1].Functionalities.Single(f => f.Label == "nsubj");

        var beaten = Subjects(Layers[1]);
        Assert.Equal([CellGates.OverUntrained], beaten.FailedGates);
        Assert.Equal((CellStatus.Suggestive, 0.0), (beaten.Status, beaten.Encodes.Excess.Value));
        Assert.Equal(beaten.Encodes.UnionF1, beaten.Encodes.Baseline.UntrainedModel);

        // Half of the subjects without any training: established by what is above that.
        var beats = Subjects(Layers[2]);
        Assert.Equal(CellStatus.Established, beats.Status);
        Assert.InRange(beats.Encodes.Baseline.UntrainedModel!.Value, 0.4, 0.7);
        Assert.Equal(beats.Encodes.UnionF1 - beats.Encodes.Baseline.UntrainedModel.Value, beats.Encodes.Excess.Value, 12);

        var document = Conclusion.Build(With(Nothing));
        Assert.All(document.Tasks, task => Assert.All(task.Layers, layer => Assert.Equal((0.125, null), (layer.UntrainedBits, layer.PermutedBits))));
        Assert.Equal("untrained_model", document.Layers[0].Dictionaries[^1].Name);
        Assert.DoesNotContain(document.Caveats, c => c.StartsWith("The untrained model is not", StringComparison.Ordinal));
        var without = Conclusion.Build(Evidence(Layers));
        Assert.Null(without.Layers[1].Functionalities[0].Encodes.Baseline.UntrainedModel);
        Assert.Contains(without.Caveats, c => c.StartsWith("The untrained model is not", StringComparison.Ordinal));
    }

    [Fact]
    public void Dictionaries_stand_beside_the_autoencoder_with_what_the_same_rules_find_and_gate_nothing()
    {
        var evidence = Evidence(Layers);
        var better = Label(Planted.Detector(Words, "dep", "nsubj", share: 1, otherwise: 0), Planted.Detector(Words, "dep", "obj", otherwise: 0.2));
        evidence = evidence with
        {
            Layers = [.. evidence.Layers.Select(l => l with
            {
                Dictionaries = [new(new("ica", "l0") { Iterations = 200, Change = 0.0123, Converged = false }, better)],
            })],
        };
        var document = Conclusion.Build(evidence);
        Assert.Equal(CellStatus.Established, document.Layers[1].Functionalities.Single(f => f.Label == "nsubj").Status);
        var layer = document.Layers[1];
        Assert.Equal(["autoencoder", "random_directions", "token_types", "ica"], layer.Dictionaries.Select(d => d.Name));
        var (own, ica) = (layer.Dictionaries[0].Tasks.Single(t => t.Task == "dep"), layer.Dictionaries[3].Tasks.Single(t => t.Task == "dep"));
        Assert.Equal(0.1, layer.Dictionaries[0].Fvu);
        Assert.Equal((1.0, 0.25), (ica.BestUnionF1, ica.MeanUnionF1)); // one label of four, found without fault
        Assert.Equal((1.0, (1 + layer.Cells.Single(c => c.Label == "nsubj").UnionF1) / 4), (own.BestUnionF1, own.MeanUnionF1)); // punctuation, and subjects
        Assert.Equal((2, 1), (ica.Tests, ica.Consistent));
        Assert.Equal(1, ica.ConsistencyHistogram[19]);
        Assert.Equal(2, ica.ConsistencyHistogram.Sum());
        Assert.Contains("Layer 1: ica had not converged after 200 iterations (last change 1.2e-2).", document.Caveats);
    }

    [Fact]
    public void Profiles_lie_where_the_label_was_planted()
    {
        var profile = Conclude(Evidence(Layers)).Tasks.Single(t => t.Task == "dep").Profiles.Single(p => p.Label == "nsubj");
        Assert.Equal(0, profile.Score[0]);
        Assert.Equal((profile.Score[1] + 2 * profile.Score[2]) / profile.Score.Sum(), profile.CentreOfGravity!.Value, 12);
        Assert.True(profile.CentreOfGravity.Localised);
        Assert.InRange(profile.CentreOfGravity.Value, profile.CentreOfGravity.Ci95[0], profile.CentreOfGravity.Ci95[1]);
        Assert.Equal([1], profile.PeakSet);
        Assert.Null(profile.ExpectedLayerPerLayer); // the planted information is the same at every layer: no headroom
        var never = Conclude(Evidence(Layers)).Tasks.Single(t => t.Task == "ner").Profiles.Single(p => p.Label == "PER");
        Assert.Null(never.CentreOfGravity);
        Assert.Empty(never.PeakSet);
    }

    [Fact]
    public void A_flat_profile_sets_no_layer_apart()
    {
        var same = Label(Planted.Detector(Words, "dep", "nsubj"));
        var document = Conclude(Evidence([same, same, same]));
        Assert.All(document.Layers, layer => Assert.False(layer.Functionalities.Single(f => f.Label == "nsubj").Distinguishes.Holds));
        Assert.All(document.Layers, layer => Assert.DoesNotContain("More than", layer.Summary.Plain, StringComparison.Ordinal));
        Assert.Equal([0, 1, 2], document.Tasks.Single(t => t.Task == "dep").Profiles.Single(p => p.Label == "nsubj").PeakSet);
    }

    [Fact]
    public void One_layer_alone_is_concluded_with_a_caveat()
    {
        var document = Conclude(Evidence([Layers[1]]));
        var cell = document.Layers[0].Functionalities[0];
        Assert.Equal(CellStatus.Established, cell.Status);
        Assert.Equal(0, cell.Distinguishes.DeltaFromMean);
        Assert.False(cell.Distinguishes.Holds);
        Assert.Null(cell.Distinguishes.ChangeFromPrevious);
        Assert.Null(cell.Distinguishes.LocationQuotient);
        Assert.Contains(document.Caveats, c => c.StartsWith("Only one layer", StringComparison.Ordinal));
        Assert.Null(document.Tasks[1].Profiles[0].CentreOfGravity);
    }

    [Fact]
    public void Noise_concludes_nothing() =>
        Assert.All(Conclude(Evidence([Nothing, Nothing])).Layers, layer =>
        {
            Assert.True(layer.FunctionalitiesNone);
            Assert.Empty(layer.Functionalities);
            Assert.NotEmpty(layer.Cells);
        });

    [Fact]
    public void The_same_evidence_gives_the_same_bytes_and_they_can_be_read()
    {
        var first = JsonSerializer.Serialize(Conclude(Evidence(Layers)), Wire.Json);
        Assert.Equal(first, JsonSerializer.Serialize(Conclude(Evidence(Layers)), Wire.Json));
        var read = JsonSerializer.Deserialize<LayerFunctionalityDocument>(first, Wire.Json)!;
        Assert.Equal(first, JsonSerializer.Serialize(read, Wire.Json));
        Assert.Equal(Layers.Sum(l => l.Tasks.Sum(t => t.Tests)), read.MultipleTesting.Tests);
    }

    [Fact]
    public void Probes_and_stability_stand_with_their_cells_and_layers()
    {
        var codes = Planted.Codes(Words, Planted.Detector(Words, "dep", "nsubj", share: 0.8), Planted.FormDetector(Words, 0));
        var evidence = Evidence(Layers);
        var stability = new SeedStability(1, 2, 10, 12, 0.4, 0.6, [new LabelStability("dep", 5, 0.4, 0.2, 0.1)]);
        var document = Conclude(evidence with
        {
            Layers = [.. evidence.Layers.Select(l => l with { Autoencoder = l.Autoencoder with { Probes = l.Layer == 1 ? SparseProbes.Run(codes, Words) : [] }, SeedStability = [stability] })],
        });
        Assert.Equal([5, 20], document.Layers[1].Cells.Single(c => c is { Task: "dep", Label: "nsubj" }).SparseProbes!.Select(p => p.K));
        Assert.Null(document.Layers[0].Cells.Single(c => c is { Task: "dep", Label: "nsubj" }).SparseProbes);
        Assert.Equal(["pos", "dep", "ner"], document.Layers[1].SplitConsistency!.Select(s => s.Task));
        Assert.Same(stability, document.Layers[2].SeedStability!.Single());
        Assert.DoesNotContain(document.Caveats, c => c.Contains("was not measured. Rest claims", StringComparison.Ordinal));
        Assert.Contains(Conclude(evidence).Caveats, c => c.Contains("was not measured. Rest claims", StringComparison.Ordinal));
        Assert.Equal(1, document.Tasks.Single(t => t.Task == "dep").Profiles.Single(p => p.Label == "nsubj").Onset);
    }

    [Fact]
    public void An_unfaithful_autoencoder_lowers_confidence_and_is_named()
    {
        var evidence = Evidence(Layers);
        var document = Conclude(evidence with { Provenance = evidence.Provenance with { Sae = [Sae(1, 0.45)] } });
        Assert.Equal("low", document.Layers[1].Summary.Confidence);
        Assert.Contains(document.Caveats, c => c.Contains("unfaithful", StringComparison.Ordinal) && c.Contains("Layer 1", StringComparison.Ordinal));
    }

    [Fact]
    public void A_task_without_information_at_some_layer_is_left_out_by_name()
    {
        var evidence = Evidence(Layers);
        var layers = evidence.Layers.ToArray();
        layers[2] = layers[2] with { Information = [.. layers[2].Information.Where(i => i.Task != "ner")] };
        var document = Conclude(evidence with { Layers = layers });
        Assert.Equal(["pos", "dep"], document.Tasks.Select(t => t.Task));
        Assert.Contains(document.Caveats, c => c.StartsWith("Task ner is left out", StringComparison.Ordinal));
    }

    [Fact]
    public void Evidence_that_does_not_fit_together_is_refused()
    {
        var evidence = Evidence(Layers);
        Assert.Throws<ArgumentException>(() => Conclude(evidence with { Layers = [] }));
        Assert.Throws<ArgumentException>(() => Conclude(evidence with { Layers = [.. evidence.Layers.Reverse()] }));
        Assert.Throws<ArgumentException>(() => Conclude(evidence with { TokenTypes = TokenTypes with { HeldOutDocuments = [0] } }));
    }

    [Fact]
    public void Layers_are_compared_in_the_same_resampled_documents()
    {
        // Documents differ much more than layers do: only in pairs is a gain of a hundredth of a bit seen to be one.
        var evidence = Evidence(Layers);
        double[] bits = [0.60, 0.50, 0.49];
        double[] next = [0.9, 0.8, 0.7];
        evidence = evidence with
        {
            Layers = [.. evidence.Layers.Select((layer, i) => layer with
            {
                Information = [.. layer.Information.Select(task => At(task, bits[i]) with { NextWord = At(task, next[i]) })],
            })],
        };
        var document = Conclusion.Build(evidence);
        var pos = document.Tasks.Single(t => t.Task == "pos");
        Assert.Null(pos.Layers[0].ChangeFromPrevious);
        var change = pos.Layers[2].ChangeFromPrevious!;
        Assert.Equal(0.01, change.Value, 1e-9);
        Assert.InRange(change.Ci95![0], 0.005, 0.01);
        Assert.InRange(change.Ci95[1], 0.01, 0.02);
        Assert.Equal([2], pos.InformationPeakSet);
        Assert.Equal([0.1, 0.1], pos.NextWord!.Layers.Skip(1).Select(l => Math.Round(l.ChangeFromPrevious!.Value, 9)));

        var profile = pos.Profiles[0];
        Assert.Equal([2], profile.InformationPeakSet);
        // Gains of 0.1 and 0.01 at layers 1 and 2, the same in every resample.
        var expected = profile.ExpectedLayerPerLayer!;
        Assert.Equal((0.1 + 2 * 0.01) / 0.11, expected.Signed!.Value, 1e-9);
        Assert.Equal(expected.Signed.Value, expected.SignedCi95![0], 1e-9);
        Assert.Equal(expected.RunningMax, expected.RunningMaxCi95![1], 1e-9);
        Assert.True(expected.GainConcentrationBits > 0.5);
        Assert.Equal(1, document.Tasks.Single(t => t.Task == "dep").Profiles.Single(p => p.Label == "nsubj").Onset);
    }

    [Fact]
    public void What_was_asked_for_and_could_not_be_measured_is_named()
    {
        var evidence = Evidence(Layers);
        var both = evidence.Provenance.Settings with { Information = new InformationSettings { Target = "both" } };
        string[] Named(Evidence of) => [.. Conclusion.Build(of).Caveats.Where(c => c.Contains("too few words", StringComparison.Ordinal)).Select(c => c.Split(':')[0])];
        Assert.Equal(["Task ner"], Named(evidence)); // without O
        Assert.Equal(["Task pos", "Task dep", "Task ner", "Task ner"], Named(evidence with { Provenance = evidence.Provenance with { Settings = both } }));
        var complete = evidence with
        {
            Layers = [.. evidence.Layers.Select(l => l with { Information = [.. l.Information.Select(i => i with { WithoutO = i, NextWord = i })] })],
        };
        Assert.Empty(Named(complete with { Provenance = evidence.Provenance with { Settings = both } }));
        Assert.Contains(Conclusion.Build(evidence).Caveats, c => c.Contains("linear probes only", StringComparison.Ordinal));
        Assert.DoesNotContain(Conclusion.Build(evidence with { Mode = "thorough" }).Caveats, c => c.Contains("linear probes only", StringComparison.Ordinal));
    }

    /// <summary>Documents of very different difficulty; the same share of it is left at a layer whatever the document.</summary>
    private static TaskInformation At(TaskInformation task, double left)
    {
        double[] marginal = [.. task.Documents.Select((_, d) => 144 * (0.2 + d % 5 * 0.4))];
        double total = marginal.Sum(), scale = 144.0 * task.Documents.Length / total;
        marginal = Array.ConvertAll(marginal, bits => bits * scale);
        var layer = Array.ConvertAll(marginal, bits => bits * left);
        return task with
        {
            MarginalBits = marginal,
            LayerBits = layer,
            PerLabel = [.. task.PerLabel.Select(l => l with { MarginalBits = marginal, LayerBits = layer })],
            Layer = task.Layer with
            {
                IvBits = task.Layer.IvBits with { Value = 1 - left },
                PerLabel = [.. task.Layer.PerLabel.Select(l => l with { Normalised = 1 - left })],
            },
        };
    }

    private static LayerLabelling Label(params IReadOnlyList<Func<int, float>> features) =>
        FeatureLabeller.Run(Planted.Codes(Words, features), Words, Rules).Layer;

    /// <summary>Whatever is concluded here is held against the published schema.</summary>
    private static LayerFunctionalityDocument Conclude(Evidence evidence)
    {
        var document = Conclusion.Build(evidence);
        PublishedSchema.AssertValid(JsonSerializer.Serialize(document, Wire.Json));
        return document;
    }

    private static Evidence Evidence(LayerLabelling[] layers, LayerLabelling? random = null, double layerBits = 0.5, double typeBits = 0.9,
        double controlLayerBits = 0.9) => new()
        {
            Id = new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
            CreatedUtc = new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero),
            Provenance = new Provenance
            {
                Model = new ModelProvenance("tiny", null, "llama", "causal", 2, 16, "resid_post", []),
                Data = new DataProvenance("planted", [], "by document", "00", "raw"),
                Sae = [Sae(1, 0.1)],
                Settings = new JobRequest { Model = new ModelReference("tiny"), Dataset = new DatasetReference("planted") },
                Software = "0",
                Device = "cpu",
            },
            Counts = new Counts
            {
                Documents = 60,
                Sentences = 720,
                Words = Words.Count,
                Tokens = Words.Count,
                Aligned = Words.Count,
                AmbiguousDropped = 0,
                UnalignedDropped = 0,
                MultiwordDropped = 0,
                TruncatedDropped = 0,
                TooManyPiecesDropped = 0,
                FirstPositionDropped = 0,
                NormFiltered = new Dictionary<string, int>(),
                Split = new Dictionary<string, int>(),
                PerLabel = new Dictionary<string, IReadOnlyDictionary<string, int>>(),
            },
            Words = Words,
            Rules = Rules,
            TokenTypes = TokenTypes,
            Mode = "standard",
            Layers =
        [
            .. layers.Select((labelling, layer) => new LayerEvidence
            {
                Layer = layer,
                HookPoint = layer == 0 ? "embed" : $"blocks.{layer - 1}.resid_post",
                Autoencoder = labelling,
                Random = [random ?? Nothing],
                Information = [.. Words.Tasks.Select(t => Information(t, layer, layerBits, typeBits, controlLayerBits))],
            }),
        ],
        };

    private static SaeProvenance Sae(int layer, double fvu) => new(layer, "topk", 32, 128, 1, 1000, fvu, 32, 0, fvu > 0.3 ? "unfaithful" : "pass", "00");

    /// <summary>Code lengths a word: 1 bit under the marginal, and as given, wobbling a little by document, under the rest.</summary>
    private static TaskInformation Information(TaskLabels task, int layer, double layerBits, double typeBits, double controlLayerBits)
    {
        int[] documents = [.. Enumerable.Range(0, Words.PartOfDocument.Length).Where(d => Words.PartOfDocument[d] == Part.Test)];
        var words = Array.ConvertAll(documents, _ => 144);
        double[] Bits(double aWord) => [.. documents.Select(d => 144 * aWord * (1 + 0.001 * (d % 7)))];
        return new TaskInformation
        {
            Task = task.Task,
            Lambda = 0.01,
            EntropyBits = 1,
            Majority = 0.5,
            TypeInformationBits = 1 - typeBits,
            TypeAccuracy = 0.6,
            ControlAccuracy = 0.5,
            WordsOfUnseenLabels = 0,
            SmallLabels = [],
            Documents = documents,
            Words = words,
            MarginalBits = Bits(1),
            LayerBits = Bits(layerBits),
            TypeBits = Bits(typeBits),
            ControlMarginalBits = Bits(1),
            ControlLayerBits = Bits(controlLayerBits),
            PerLabel = [.. task.Names.Select(name => new LabelCodeLengths(name, words, Bits(1), Bits(layerBits), Bits(typeBits)))],
            Layer = new LayerInformation
            {
                Layer = layer,
                IvBits = new InformationEstimate(1 - layerBits, [0.4, 0.6], "v-information/linear/held-out", 1000, 1000),
                Normalised = 0.5,
                ContextGainBits = new Estimate(0.1),
                ControlBits = 0.1,
                SelectivityBits = 0.4,
                ShuffledBits = 0,
                Accuracy = 0.8,
                MacroF1 = 0.7,
                PerLabel = [.. task.Names.Select(name => new LabelInformation(name, 0.3, [0.2, 0.4], 0.5, 100))],
            },
        };
    }
}
