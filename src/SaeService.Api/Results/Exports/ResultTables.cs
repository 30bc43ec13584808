using System.Text.Json;
using SaeService.Contracts;
using Cell = SaeService.Api.Results.Exports.ExportColumn<SaeService.Api.Results.Exports.CellExport>;
using Feature = SaeService.Api.Results.Exports.ExportColumn<SaeService.Api.Results.Exports.FeatureExport>;
using Probe = SaeService.Api.Results.Exports.ExportColumn<SaeService.Api.Results.Exports.ProbeExport>;

namespace SaeService.Api.Results.Exports;

/// <summary>A feature against a task.</summary>
public sealed record FeatureExport(int Layer, FeatureSummary Of);

/// <param name="Found">Null where the cell is not established nor suggestive.</param>
public sealed record CellExport(LayerFindings Layer, LabelCell Cell, Functionality? Found);

/// <param name="Label">Null: of the task as a whole.</param>
public sealed record ProbeExport(TaskFindings Task, LayerInformation Of, LabelInformation? Label);

/// <summary>The three tables that are exported. The meanings of their columns are documented from here (<c>docs/exports.md</c>).</summary>
public static class ResultTables
{
    public static ExportTable<FeatureExport> Features { get; } = new(
        Feature.Of("layer", "layer of the autoencoder; 0 is the embedding", r => r.Layer),
        Feature.Of("index", "the feature: latent of that autoencoder", r => r.Of.Index),
        Feature.Of("task", "task it is labelled for", r => r.Of.Task),
        Feature.Of("dominant_label", "its label: the one of highest F1 on train documents", r => r.Of.DominantLabel),
        Feature.Of("consistent", "whether it passes every gate of \"highly consistent\"", r => r.Of.Consistent),
        Feature.Of("consistency", "share of the held-out words it fires on that carry the label (precision)", r => r.Of.Consistency),
        Feature.Of("consistency_lower", "Wilson's 95 % lower bound of that", r => r.Of.ConsistencyLower),
        Feature.Of("weighted_consistency", "the same weighted by activation", r => r.Of.WeightedConsistency),
        Feature.Of("train_consistency", "the same on train documents", r => r.Of.TrainConsistency),
        Feature.Of("kappa", "(consistency - base rate) / (1 - base rate)", r => r.Of.Kappa),
        Feature.Of("recall", "share of the held-out words with the label on which it fires", r => r.Of.Recall),
        Feature.Of("f1", "harmonic mean of consistency and recall", r => r.Of.F1),
        Feature.Of("mcc", "Matthews' correlation of firing and label", r => r.Of.Mcc),
        Feature.Of("auroc", "chance that a held-out word with the label has a higher activation than one without", r => r.Of.Auroc),
        Feature.Of("support", "held-out words it fires on", r => r.Of.Support),
        Feature.Of("sentences", "held-out sentences these are of", r => r.Of.Sentences),
        Feature.Of("threshold", "it fires where its activation is above this", r => r.Of.Threshold),
        Feature.Of("positive_support", "held-out words with any positive activation", r => r.Of.PositiveSupport),
        Feature.Of("positive_consistency", "share of these that carry the label", r => r.Of.PositiveConsistency),
        Feature.Of("base_rate", "share of the held-out words with the label", r => r.Of.BaseRate),
        Feature.Of("lift", "consistency / base rate", r => r.Of.Lift),
        Feature.Of("log10_p", "log10 of the hypergeometric tail P(X >= hits)", r => r.Of.Log10P),
        Feature.Of("q", "Benjamini-Hochberg by layer and task; 0 where it underflows", r => r.Of.Q),
        Feature.Of("mi_bits", "I(fires; labels), bits", r => r.Of.MiBits),
        Feature.Of("expected_mi_bits", "the same expected under permutation of the labels", r => r.Of.ExpectedMiBits),
        Feature.Of("excess_mi_bits", "mi_bits less what is expected", r => r.Of.ExcessMiBits),
        Feature.Of("normalised_mi", "mi_bits over the entropy of the labels", r => r.Of.NormalisedMi),
        Feature.Of("mi_log10_p", "log10 of the p value of the G test of independence", r => r.Of.MiLog10P),
        Feature.Of("mi_magnitude_bits", "I(activation; labels) with the strength of what is above 0, bits; empty with too few active words", r => r.Of.MiMagnitudeBits),
        Feature.Of("entropy", "H(labels given that it fires) / log K", r => r.Of.Entropy),
        Feature.Of("lexical_diversity", "2^H(word form given that it fires); 1: a detector of one form", r => r.Of.LexicalDiversity),
        Feature.Of("context_gain", "mean of 1[label] - P(label given the word form) where it fires", r => r.Of.ContextGain),
        Feature.Of("context_gain_low", "lower end of its 95 % document-bootstrap interval, where it decides the kind", r => r.Of.ContextGainCi95?[0]),
        Feature.Of("context_gain_high", "upper end", r => r.Of.ContextGainCi95?[1]),
        Feature.Of("kind", "lexical, contextual or mixed", r => r.Of.Kind.ToString().ToLowerInvariant()),
        Feature.Of("modal_label", "most common label of the train words it fires on", r => r.Of.ModalLabel),
        Feature.Of("top_decile_consistency", "consistency over the tenth with the highest activations", r => r.Of.TopDecileConsistency),
        Feature.Of("split_agrees", "whether two halves of the documents give it the same label", r => r.Of.SplitAgrees),
        Feature.Of("detection", "accuracy of \"a word of the window has the label\" for \"it fires in the window\", balanced", r => r.Of.Detection?.Accuracy),
        Feature.Of("detection_control", "the same expected with labels shuffled inside sentences", r => r.Of.Detection?.Control),
        Feature.Of("fuzzing", "accuracy of \"the word has the label\" for \"it fires on the word\", in windows where it fires, balanced", r => r.Of.Detection?.Fuzzing),
        Feature.Of("fuzzing_control", "the same expected with labels shuffled inside sentences", r => r.Of.Detection?.FuzzingControl),
        Feature.Of("label_distribution", "JSON object: held-out words it fires on, by label", r => JsonSerializer.Serialize(r.Of.LabelDistribution, Wire.Json)));

    public static ExportTable<CellExport> Cells { get; } = new(
        Cell.Of("layer", "layer; 0 is the embedding", r => r.Layer.Layer),
        Cell.Of("hook_point", "where in the model", r => r.Layer.HookPoint),
        Cell.Of("relative_depth", "layer / blocks of the model", r => r.Layer.RelativeDepth),
        Cell.Of("task", "task", r => r.Cell.Task),
        Cell.Of("label", "label", r => r.Cell.Label),
        Cell.Of("aliases", "labels of other tasks on nearly the same words, joined by ';'", r => r.Found is null ? null : string.Join(';', r.Found.Aliases)),
        Cell.Of("status", "established, suggestive or not_established", r => JsonNamingPolicy.SnakeCaseLower.ConvertName(r.Cell.Status.ToString())),
        Cell.Of("rank", "place among the layer's established and suggestive cells", r => r.Found?.Rank),
        Cell.Of("failed_gates", "gates that failed, joined by ';'", r => r.Found is null ? null : string.Join(';', r.Found.FailedGates)),
        Cell.Of("union_f1", "held-out F1 of \"any consistent feature of the label fires\"", r => r.Cell.UnionF1),
        Cell.Of("union_f1_low", "lower end of its 95 % document-bootstrap interval", r => r.Found?.Encodes.Ci95[0]),
        Cell.Of("union_f1_high", "upper end", r => r.Found?.Encodes.Ci95[1]),
        Cell.Of("coverage", "recall of the same", r => r.Found?.Encodes.Coverage),
        Cell.Of("union_precision", "precision of the same", r => r.Found?.Encodes.UnionPrecision),
        Cell.Of("baseline_random", "union F1 of the best seed of random directions", r => r.Found?.Encodes.Baseline.Random),
        Cell.Of("baseline_token_type", "union F1 of detectors of word forms", r => r.Found?.Encodes.Baseline.TokenType),
        Cell.Of("baseline_untrained_model", "union F1 in an untrained model", r => r.Found?.Encodes.Baseline.UntrainedModel),
        Cell.Of("excess", "union F1 minus that of the best baseline", r => r.Cell.Excess),
        Cell.Of("excess_low", "lower end of its 95 % interval", r => r.Found?.Encodes.Excess.Ci95?[0]),
        Cell.Of("excess_high", "upper end", r => r.Found?.Encodes.Excess.Ci95?[1]),
        Cell.Of("delta_from_mean", "score (excess, or 0) minus its mean over layers", r => r.Found?.Distinguishes.DeltaFromMean),
        Cell.Of("delta_low", "lower end of its 95 % interval", r => r.Found?.Distinguishes.Ci95[0]),
        Cell.Of("delta_high", "upper end", r => r.Found?.Distinguishes.Ci95[1]),
        Cell.Of("change_from_previous", "score minus that of the layer before", r => r.Found?.Distinguishes.ChangeFromPrevious),
        Cell.Of("location_quotient", "log2 of the share of alive features for the label over its mean over layers", r => r.Found?.Distinguishes.LocationQuotient),
        Cell.Of("distinguishes", "whether the interval of delta_from_mean lies above 0", r => r.Found?.Distinguishes.Holds),
        Cell.Of("features", "consistent features of the label", r => r.Cell.FeatureCount),
        Cell.Of("lexical", "of these, lexical ones", r => r.Found?.Features.Lexical),
        Cell.Of("contextual", "contextual ones", r => r.Found?.Features.Contextual),
        Cell.Of("mixed", "mixed ones", r => r.Found?.Features.Mixed),
        Cell.Of("share_of_alive", "consistent features over features that fire at all", r => r.Found?.Features.ShareOfAlive),
        Cell.Of("iv_bits", "held-out information about the label, bits", r => r.Cell.IvBits),
        Cell.Of("normalised", "the same as a share of the label's entropy", r => r.Cell.Normalised),
        Cell.Of("given_pos_bits", "information beyond the part of speech, bits", r => r.Found?.Information.GivenPosBits),
        Cell.Of("support", "held-out words with the label", r => r.Cell.Support),
        Cell.Of("best_feature", "the one feature of highest F1 on train documents", r => r.Cell.Best?.Index),
        Cell.Of("best_f1", "its held-out F1", r => r.Cell.Best?.F1),
        Cell.Of("best_auroc", "its held-out AUROC", r => r.Cell.Best?.Auroc),
        Cell.Of("probe5_f1", "held-out F1 of a logistic regression on five features", r => ProbeOf(r, 5)?.F1),
        Cell.Of("probe5_auroc", "its AUROC", r => ProbeOf(r, 5)?.Auroc),
        Cell.Of("probe20_f1", "the same on twenty", r => ProbeOf(r, 20)?.F1),
        Cell.Of("probe20_auroc", "its AUROC", r => ProbeOf(r, 20)?.Auroc));

    public static ExportTable<ProbeExport> Probes { get; } = new(
        Probe.Of("layer", "layer; 0 is the embedding", r => r.Of.Layer),
        Probe.Of("task", "task", r => r.Task.Task),
        Probe.Of("label", "label; null: the task as a whole", r => r.Label?.Label),
        Probe.Of("iv_bits", "held-out V-information between the layer's vectors and the labels (or 1[label]), bits", r => r.Label?.IvBits ?? r.Of.IvBits.Value),
        Probe.Of("iv_bits_low", "lower end of its 95 % document-bootstrap interval", r => (r.Label?.Ci95 ?? r.Of.IvBits.Ci95)[0]),
        Probe.Of("iv_bits_high", "upper end", r => (r.Label?.Ci95 ?? r.Of.IvBits.Ci95)[1]),
        Probe.Of("normalised", "the same as a share of the entropy", r => r.Label?.Normalised ?? r.Of.Normalised),
        Probe.Of("support", "words scored, with the label where one is named", r => r.Label?.Support ?? r.Of.IvBits.NTest),
        Probe.Of("n_train", "words the probe was trained on", r => r.Of.IvBits.NTrain),
        Probe.Of("estimator", "how it was estimated", r => r.Of.IvBits.Estimator),
        Probe.Of("entropy_bits", "entropy of the task's labels, bits", r => OfTask(r, r.Task.EntropyBits)),
        Probe.Of("context_gain_bits", "information minus that of a word-form table", r => OfTask(r, r.Of.ContextGainBits.Value)),
        Probe.Of("context_gain_low", "lower end of its 95 % interval", r => r.Label is null ? r.Of.ContextGainBits.Ci95?[0] : null),
        Probe.Of("context_gain_high", "upper end", r => r.Label is null ? r.Of.ContextGainBits.Ci95?[1] : null),
        Probe.Of("control_bits", "information about random labels of word forms", r => OfTask(r, r.Of.ControlBits)),
        Probe.Of("selectivity_bits", "information minus that", r => OfTask(r, r.Of.SelectivityBits)),
        Probe.Of("shuffled_bits", "information about shuffled labels: near or below 0", r => OfTask(r, r.Of.ShuffledBits)),
        Probe.Of("given_pos_bits", "information beyond the part of speech (dep)", r => r.Label is null ? r.Of.GivenPosBits : null),
        Probe.Of("accuracy", "of the probe on held-out words", r => OfTask(r, r.Of.Accuracy)),
        Probe.Of("macro_f1", "mean F1 over labels", r => OfTask(r, r.Of.MacroF1)),
        Probe.Of("lambda", "L2 strength of the probe", r => OfTask(r, r.Task.Lambda)));

    public static IEnumerable<CellExport> CellsOf(LayerFunctionalityDocument document) =>
        from layer in document.Layers
        from cell in layer.Cells
        select new CellExport(layer, cell, layer.Functionalities.FirstOrDefault(f => f.Task == cell.Task && f.Label == cell.Label));

    public static IEnumerable<ProbeExport> ProbesOf(LayerFunctionalityDocument document) =>
        from task in document.Tasks
        from layer in task.Layers
        from label in layer.PerLabel.Prepend(null)
        select new ProbeExport(task, layer, label);

    private static SparseProbe? ProbeOf(CellExport row, int k) => row.Cell.SparseProbes?.FirstOrDefault(p => p.K == k);

    // What belongs to the task as a whole stands in its own row alone.
    private static double? OfTask(ProbeExport row, double value) => row.Label is null ? value : null;
}
