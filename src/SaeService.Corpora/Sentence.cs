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

    /// <summary>Other columns that may be tasks, in the same form; only with <see cref="ReadSettings.Further"/>.</summary>
    public IReadOnlyDictionary<string, string?[]> Further { get; init; } = new Dictionary<string, string?[]>();
}

/// <summary>Which labels are read.</summary>
public sealed record ReadSettings
{
    /// <summary>
    /// Null: all that the format carries by default. <c>pos</c>, <c>dep</c> and <c>ner</c> everywhere, and any column of token labels by its
    /// name: <c>xpos</c>, <c>lemma</c>, <c>feats:Key</c> and <c>misc:Key</c> in CoNLL-U; <c>chunk</c> in column files; the column's own name in
    /// JSON and Parquet; <c>column:4</c>, counted from 1, in both kinds of CoNLL file. <c>dep:full</c> keeps subtypes of relations;
    /// <c>ner:bio</c> (IOB2 with its prefixes) and <c>ner:boundary</c> (B, I or O) are there wherever <c>ner</c> is. <c>position</c>,
    /// <c>frequency</c>, <c>word-length</c>, <c>capital</c> and <c>sentence-final</c> are made of the words.
    /// </summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary>Gives in <see cref="Sentence.Further"/> the columns that are neither asked for nor there by default.</summary>
    public bool Further { get; init; }

    /// <summary>Takes numbers in JSON and Parquet as labels even where nothing says what they mean.</summary>
    public bool AllowNumericLabels { get; init; }

    /// <summary>How many times its size a compressed file may become, beyond the first 64 MiB. Treebanks reach 10 to 20.</summary>
    public int MaxExpansion { get; init; } = 100;
}
