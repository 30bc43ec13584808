using System.Globalization;
using SaeService.Contracts;
using SaeService.Interpretation.Information;

namespace SaeService.Interpretation.Conclusions;

/// <summary>What the document must say against itself, and what its words mean.</summary>
internal static class Reservations
{
    public static IReadOnlyDictionary<string, string> Glossary { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["alive"] = "a feature that fires on at least one word",
        ["centre of gravity"] = "mean layer, weighted by score; it means nothing for a flat profile, which is marked as not localised",
        ["consistency"] = "share of the held-out words on which a feature fires that carry its label (precision)",
        ["consistent feature"] = "a feature that passes every gate: support, sentences, false discovery rate, lower consistency, kappa, drop from train",
        ["context gain"] = "how much more often a feature's words carry the label than their forms do on train documents; near 0: it knows forms, not uses",
        ["detection"] = "accuracy of 'a word of the window carries the label' as a prediction of where a feature fires, on as many windows where it does as where not",
        ["distinguishes"] = "excess here minus the mean over the layers measured: the residual stream carries all forward, so encoding sets none apart",
        ["encodes"] = "the layer has separate features for the label: words on which any consistent feature fires, against words with the label, by F1",
        ["established"] = "a consistent feature; union F1 above random directions, word-form detectors and, where it was run, the untrained model; "
            + "information above word forms and a control task",
        ["excess"] = "union F1 minus that of the best baseline",
        ["expected layer"] = "mean layer at which information is gained, from the embedding up",
        ["feature"] = "a latent of the layer's sparse autoencoder",
        ["functionality"] = "an established label that distinguishes the layer from the others; other established labels are encoded here as elsewhere",
        ["information"] = "bits by which a linear probe on the layer's vectors shortens the code of the held-out labels (V-information)",
        ["kappa"] = "(consistency - base rate) / (1 - base rate): consistency after the label's frequency is taken out",
        ["location quotient"] = "log2 of the share of alive features for the label here over its mean over layers",
        ["online code"] = "bits to send all labels when each block is coded by a probe fitted on the blocks before: short where labels are easy to learn",
        ["onset"] = "first layer with at least 0.9 of the best layer's excess",
        ["peak set"] = "layers whose excess is not significantly below that of the best layer",
        ["selectivity"] = "information about the task minus information about random labels given to word forms",
        ["sparse probe"] = "logistic regression on the few features whose mean activation on words with the label differs most from that on others",
        ["split consistency"] = "share of the features to which two disjoint halves of the documents give the same label",
        ["suggestive"] = "a significant feature with kappa of at least 0.3 that fails a gate; the gates that failed are named",
        ["union F1"] = "F1 of 'any consistent feature of the label fires', on held-out words",
    };

    public static IReadOnlyList<string> Caveats(Evidence evidence, IReadOnlyList<string> leftOut)
    {
        var caveats = new List<string>
        {
            "Correlational evidence: that a feature goes with a label does not show that the model uses it. No intervention was made.",
            "Measured for this model, these data and this hook point; it is no statement about other models.",
            evidence.Layers.All(l => l.SeedStability is { Count: > 0 })
                ? "The features are one decomposition: how many of them another seed of the autoencoder finds again is in seed_stability."
                : "The features are one decomposition; stability over seeds of the autoencoder was not measured. Rest claims on labels by layer, not on features.",
            "The word-form baseline keeps the rules of features, so only frequent forms enter it; the whole table of forms is met in the information gate.",
            $"Words of a document depend on each other: intervals resample {evidence.TokenTypes.HeldOutDocuments.Length} held-out documents, but the p values "
                + "behind q take words as independent and are optimistic.",
        };
        if (evidence.Layers.Any(l => l.Shuffled is null))
            caveats.Add($"Mode {evidence.Mode}: the features were not labelled again under shuffled labels.");
        if (evidence.Layers.Any(l => l.Random.Count < 2))
            caveats.Add($"Mode {evidence.Mode}: one set of random directions only; another seed may do a little better or worse.");
        if (evidence.Layers.All(l => l.Untrained.Count == 0))
            caveats.Add("The untrained model is not among the baselines of this mode: what architecture and tokenizer give for nothing is not taken out.");
        else if (evidence.Layers.All(l => l.Untrained.Count < 2))
            caveats.Add($"Mode {evidence.Mode}: of untrained models only the one with fresh weights was run; "
                + "trained embeddings under permuted blocks may do better.");
        if (evidence.Layers.Any(l => l.Dictionaries.Count == 0))
            caveats.Add($"Mode {evidence.Mode}: neurons, PCA, ICA and untrained autoencoders were not run beside the autoencoder.");
        foreach (var layer in evidence.Layers)
            if (layer.Dictionaries.FirstOrDefault(d => d.Of.Converged == false)?.Of is { } unfinished)
                caveats.Add(string.Create(CultureInfo.InvariantCulture,
                    $"Layer {layer.Layer}: {unfinished.Name} had not converged after {unfinished.Iterations} iterations (last change {unfinished.Change:0.0e0})."));
        if (evidence.Mode == "quick")
            caveats.Add("Mode quick: the model's loss with the autoencoders in place was not measured.");
        if (!JobModes.SlowEstimators(evidence.Mode))
            caveats.Add($"Mode {evidence.Mode}: information by linear probes only; online codes, the bound of a hidden layer and clusters were not measured.");
        caveats.AddRange(LeftOutVariants(evidence));
        if (evidence.SentencesAsDocuments)
            caveats.Add("The data set marks no documents: each sentence was taken for one, so words of one text may stand on both sides of the split.");
        if (evidence.Layers.Count == 1)
            caveats.Add("Only one layer was measured: 'distinguishes', profiles and centres of gravity compare layers and say nothing here.");
        else if (evidence.Layers.Count <= evidence.Provenance.Model.Layers)
            caveats.Add("Not every layer was measured: differences are from the mean of those that were, and centres of gravity are pulled towards them.");
        if (evidence.TokenTypes.HeldOutDocuments.Length < 20)
            caveats.Add("Few held-out documents: intervals are rough, and confidence is never above low.");
        foreach (var sae in evidence.Provenance.Sae.Where(s => s.Gate != "pass"))
            caveats.Add(string.Create(CultureInfo.InvariantCulture,
                $"Layer {sae.Layer}: unfaithful autoencoder (FVU {sae.Fvu:0.00}{Recovered(sae.Splice)}); its features describe the layer badly."));
        foreach (var task in leftOut)
            caveats.Add($"Task {task} is left out: its information could not be measured at every layer.");
        var deceived = evidence.Layers.Where(l => l.Shuffled is not null && ConsistentOf(l.Shuffled) > 0).Select(l => l.Layer).ToArray();
        if (deceived.Length > 0)
            caveats.Add($"With shuffled labels, features still pass as consistent at layer {string.Join(", ", deceived)}: these data need higher gates.");
        caveats.AddRange(evidence.Caveats);
        return caveats;
    }

    /// <summary>What was to be measured of a task beside its labels, and could not be: the words depend on the data alone, so any layer tells.</summary>
    private static IEnumerable<string> LeftOutVariants(Evidence evidence)
    {
        var bothTargets = evidence.Provenance.Settings.Information?.Target == "both";
        foreach (var task in evidence.Words.Tasks)
        {
            if (evidence.Layers[0].Information.FirstOrDefault(i => i.Task == task.Task) is not { } measured)
                continue;
            if (TaskVariants.WithoutO(task) is not null && measured.WithoutO is null)
                yield return $"Task {task.Task}: too few words carry a label other than O for their information to be measured alone.";
            if (bothTargets && measured.NextWord is null)
                yield return $"Task {task.Task}: too few words have a next word for its label to be measured.";
        }
    }

    private static string Recovered(SplicedLoss? splice) =>
        splice?.CeLossRecovered is { } share ? string.Create(CultureInfo.InvariantCulture, $", {share:0.00} of the loss recovered") : "";

    public static ConsistencyControls Controls(LayerEvidence layer, Labels.LayerLabelling tokenTypes) => new(ConsistentOf(layer.Autoencoder),
        [.. layer.Random.Select(ConsistentOf)], ConsistentOf(tokenTypes), layer.Shuffled is null ? null : ConsistentOf(layer.Shuffled));

    private static int ConsistentOf(Labels.LayerLabelling labelling) => labelling.Tasks.Sum(t => t.Consistent.Count);
}
