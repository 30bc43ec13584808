namespace SaeService.Contracts;

/// <summary>A text to be run through a finished job's model and autoencoders.</summary>
public sealed record InspectionRequest
{
    /// <summary>Most UTF-16 units of <see cref="Text"/>.</summary>
    public const int MaxText = 2000;

    /// <summary>Most tokens of <see cref="Top"/>, and its default.</summary>
    public const int MaxTop = 20, DefaultTop = 5;

    /// <summary>Most of <see cref="Positions"/>.</summary>
    public const int MaxPositions = 512;

    /// <summary>At most 2,000 UTF-16 units, and with its special tokens no more tokens than a context of the job holds.</summary>
    public required string Text { get; init; }

    /// <summary>Of the job's layers. Absent: all of them.</summary>
    public LayerSelection? Layers { get; init; }

    /// <summary>Only labels of this task. Absent: of all the job's tasks.</summary>
    public string? Task { get; init; }

    /// <summary>Tokens that the lens names, 1 to 20. Default 5.</summary>
    public int? Top { get; init; }

    /// <summary>Tokens of the text, counted from 0, at which the lens is read. Absent: all, or the last alone where that would take long, which a caveat says.</summary>
    public IReadOnlyList<int>? Positions { get; init; }

    /// <summary>Besides the labelled features, the strongest others of every word. Default false.</summary>
    public bool? AllFeatures { get; init; }
}

/// <summary>Which features the words of a text light up at each layer, and what the model would say from there.</summary>
public sealed record InspectionAnswer
{
    public required Guid JobId { get; init; }
    public required string Text { get; init; }

    /// <summary>Those of the text. The special tokens around it were run with it and are not listed.</summary>
    public required IReadOnlyList<InspectedToken> Tokens { get; init; }
    public required IReadOnlyList<InspectedWord> Words { get; init; }

    /// <summary>What the lens names: <c>next</c>, the token after the position, or <c>same</c>, the one at it (models that fill in masks). Null: the model has no head.</summary>
    public required string? LensPredicts { get; init; }

    /// <summary>Those asked for, ascending.</summary>
    public required IReadOnlyList<InspectedLayer> Layers { get; init; }
    public required IReadOnlyList<string> Caveats { get; init; }
}

/// <param name="Token">As a reader would write it, its leading space kept.</param>
/// <param name="Start">Span in the text, UTF-16 units, [start, end), as the tokenizer gives it.</param>
/// <param name="Word">Index of the word whose token it is; null: no word's.</param>
public sealed record InspectedToken(string Token, int Start, int End, int? Word);

/// <param name="Start">Span in the text, UTF-16 units, [start, end).</param>
/// <param name="FirstToken">Index of its first token; null where it has none of its own.</param>
/// <param name="LastToken">Index of its last token, included.</param>
/// <param name="NotMeasured">
/// Why it has no features, by the rules by which the job left words out: one of those of <c>alignment.csv</c>, or <c>attention-sink</c>, the vector of its last token being more
/// than ten times as long as the median of a layer (jobs of older versions do not know that median). Null: it is measured.
/// </param>
public sealed record InspectedWord(string Text, int Start, int End, int? FirstToken, int? LastToken, string? NotMeasured = null)
{
    /// <summary>The reason that only the vectors tell.</summary>
    public const string AttentionSink = "attention-sink";
}

/// <param name="Features">By word, the strongest first, each in shares of the highest activation that the job saw of it.</param>
/// <param name="Lens">By token. Null: the model has no head.</param>
public sealed record InspectedLayer(int Layer, string HookPoint, IReadOnlyList<InspectedFeature> Features, IReadOnlyList<LensPosition>? Lens);

/// <summary>A feature on a word: one entry for each task in which it is consistent. Task, label, kind and consistency are null of features that have no label here.</summary>
/// <param name="Word">Index into the words.</param>
/// <param name="Token">Index of the word's token on which it is strongest.</param>
/// <param name="Activation">Of the word, its tokens pooled as the job pools them; of a labelled feature, above the threshold from which it is said to fire.</param>
/// <param name="MaxActivation">The highest on any word of the job.</param>
public sealed record InspectedFeature(int Index, string? Task, string? Label, FeatureKind? Kind, double? Consistency, int Word, int Token, double Activation,
    double MaxActivation);

/// <param name="Token">Index of the token after which, or at which, the model is asked.</param>
public sealed record LensPosition(int Token, IReadOnlyList<LensToken> Top);

public sealed record LensToken(string Token, double Probability);
