namespace SaeService.Corpora;

/// <summary>A word of a sentence: its form and where it stands in <see cref="Sentence.Text"/>, in UTF-16 units, [Start, End).</summary>
/// <param name="SharesSurface">
/// True for the parts of a multi-word token whose forms do not spell its surface (French "du" = "de" + "le"): all parts carry the span of the
/// whole surface, so no token belongs to one of them alone. Alignment drops them.
/// </param>
public readonly record struct Word(string Form, int Start, int End, bool SharesSurface = false);

/// <summary>A sentence of a labelled corpus, with the text that a model would read.</summary>
public sealed record Sentence
{
    public required string Id { get; init; }

    /// <summary>The document it belongs to; the file's name where the file does not say. Sentences of one document may come from several places.</summary>
    public required string Document { get; init; }
    public required string Text { get; init; }

    /// <summary>True where the corpus has no raw text (or one that its words do not spell), and words were joined instead.</summary>
    public required bool TextReconstructed { get; init; }
    public required Word[] Words { get; init; }

    /// <summary>By task, one label a word; null where the word has none.</summary>
    public required IReadOnlyDictionary<string, string?[]> Labels { get; init; }
}

/// <summary>Which labels are read.</summary>
public sealed record ReadSettings
{
    /// <summary>
    /// Null: all that the format carries by default. <c>pos</c>, <c>dep</c> and <c>ner</c> everywhere; <c>xpos</c>, <c>dep_full</c>,
    /// <c>feats:Key</c> and <c>misc:Key</c> in CoNLL-U; <c>chunk</c> in column files; any name in JSONL; <c>ner_bio</c> (IOB2 with its
    /// prefixes) and <c>ner_boundary</c> (B, I or O) wherever there is <c>ner</c>.
    /// </summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary>Takes numbers in JSONL as labels even where no <c>label_names</c> says what they mean.</summary>
    public bool AllowNumericLabels { get; init; }
}
