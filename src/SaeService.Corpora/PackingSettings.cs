namespace SaeService.Corpora;

/// <summary>Text to token ids and their spans in UTF-16 units, without special tokens.</summary>
public delegate (int[] Ids, (int Start, int End)[] Offsets) Tokenize(string text);

public sealed record PackingSettings
{
    /// <summary>Tokens in a context, special tokens included.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Stand first in every context: a decoder's BOS, an encoder's [CLS]; empty where the tokenizer has none.</summary>
    public IReadOnlyList<int> PrefixIds { get; init; } = [];

    /// <summary>Stand last in every context: an encoder's [SEP].</summary>
    public IReadOnlyList<int> SuffixIds { get; init; } = [];

    /// <summary>Tokens that stand for no text; never part of a word.</summary>
    public IReadOnlySet<int> SpecialIds { get; init; } = new HashSet<int>();

    /// <summary>The tasks that must be there; null: all that the sentences carry; empty: labels are not looked at.</summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary>Stops after the sentence that reaches it; counts all words read.</summary>
    public int MaxWords { get; init; } = int.MaxValue;

    /// <summary>Most tokens of text without labels, special ones included; only whole contexts are taken.</summary>
    public int MaxTextTokens { get; init; } = int.MaxValue;

    /// <summary>Of the split.</summary>
    public int Seed { get; init; }

    /// <summary>
    /// Positions at the start of a context that are left out, for they are attention sinks: null is the prefix alone where there is one, else 5
    /// (Gurnee et al. 2023).
    /// </summary>
    public int? ExcludedPositions { get; init; }
    public int MaxPieces { get; init; } = 16;
    public double MinAlignedShare { get; init; } = 0.95;

    /// <summary>What <see cref="ExcludedPositions"/> comes to.</summary>
    public int ExcludedCount => ExcludedPositions ?? (PrefixIds.Count > 0 ? PrefixIds.Count : 5);

    /// <summary>Tokens of text in a context.</summary>
    internal int Capacity => ContextLength - PrefixIds.Count - SuffixIds.Count;
}

/// <summary>A word that was not kept.</summary>
/// <param name="Word">Its place in the sentence, from 0.</param>
/// <param name="Reason">One of <see cref="Reasons"/>.</param>
public readonly record struct DroppedWord(string Sentence, int Word, string Form, string Reason)
{
    /// <summary>
    /// <c>shared-token</c>: all its tokens reach into another word. <c>no-token</c>: none touches it. <c>special-token</c>: it spells a special
    /// token. <c>multiword-surface</c>: a part of a multi-word token that its parts do not spell. <c>truncated</c>: cut by the end of a context.
    /// <c>too-many-pieces</c>, <c>first-position</c>: by the filters of <see cref="PackingSettings"/>.
    /// </summary>
    public static IReadOnlyList<string> Reasons { get; } =
        ["shared-token", "no-token", "special-token", "multiword-surface", "truncated", "too-many-pieces", "first-position"];
}
