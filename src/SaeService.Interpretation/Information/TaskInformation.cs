using SaeService.Contracts;

namespace SaeService.Interpretation.Information;

/// <summary>
/// Held-out linear V-information of one task at one layer, with the code lengths it was computed from, summed by document, so that another stage can
/// resample documents and compare layers in pairs. Every array of sums runs over <see cref="Documents"/>; every sum is in bits over the words of a
/// document that were scored. A difference of two sums divided by the words of the same documents is an information in bits a word.
/// </summary>
public sealed record TaskInformation
{
    public required string Task { get; init; }

    /// <summary>Strength of the L2 penalty of every probe here.</summary>
    public required double Lambda { get; init; }

    /// <summary>Shannon entropy of the labels of the scored words, bits.</summary>
    public required double EntropyBits { get; init; }

    /// <summary>Share of scored words that carry the label most common on train words.</summary>
    public required double Majority { get; init; }

    /// <summary>Held-out information of the word-type table, bits.</summary>
    public required double TypeInformationBits { get; init; }

    /// <summary>Accuracy of the word-type table on the scored words.</summary>
    public required double TypeAccuracy { get; init; }

    /// <summary>Its mean F1 over the labels of the scored words.</summary>
    public double TypeMacroF1 { get; init; }

    /// <summary>Control-task accuracy, for selectivity in accuracy.</summary>
    public required double ControlAccuracy { get; init; }

    /// <summary>The published part.</summary>
    public required LayerInformation Layer { get; init; }

    /// <summary>Test words left out because their label has no train word.</summary>
    public required int WordsOfUnseenLabels { get; init; }

    /// <summary>Labels with fewer words than <see cref="InformationRules.SmallLabel"/> on train or on test: in the softmax, but weak alone.</summary>
    public required IReadOnlyList<string> SmallLabels { get; init; }

    /// <summary>Every document of the test part, ascending, whether or not it has a scored word: the same list for all tasks and layers.</summary>
    public required int[] Documents { get; init; }

    /// <summary>Scored words by document.</summary>
    public required int[] Words { get; init; }

    /// <summary>Code length under the train marginal.</summary>
    public required double[] MarginalBits { get; init; }

    /// <summary>Code length under the probe on the layer's vectors.</summary>
    public required double[] LayerBits { get; init; }

    /// <summary>Code length under the word-type table.</summary>
    public required double[] TypeBits { get; init; }

    /// <summary>
    /// Of the control task (random label by word type), over the same words: its own marginal and its own probe. A few frequent words make its entropy
    /// another than the task's, most of all where one label rules (NER): compare shares of the marginal, 1 - layer/marginal, rather than bits.
    /// </summary>
    public required double[] ControlMarginalBits { get; init; }
    public required double[] ControlLayerBits { get; init; }

    /// <summary>Where the task was measured beyond another: code length given that task's label alone, and given vector and label. Else null.</summary>
    public double[]? GivenOtherBits { get; init; }
    public double[]? GivenOtherAndLayerBits { get; init; }

    /// <summary>The same without the label <c>O</c>, over the words that carry another; null where the task has none, or too few such words.</summary>
    public TaskInformation? WithoutO { get; init; }

    /// <summary>The same with the next word's label as target; null where it was not asked for.</summary>
    public TaskInformation? NextWord { get; init; }

    /// <summary>One entry a label that has scored words, in the order of <see cref="LayerInformation.PerLabel"/>.</summary>
    public required IReadOnlyList<LabelCodeLengths> PerLabel { get; init; }
}

/// <summary>Binary code lengths of 1[label], from the same distributions: by document over <see cref="TaskInformation.Documents"/>, bits.</summary>
/// <param name="Positives">Scored words that carry the label, by document.</param>
public sealed record LabelCodeLengths(string Label, int[] Positives, double[] MarginalBits, double[] LayerBits, double[] TypeBits);
