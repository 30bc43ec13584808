using System.Text.Json.Serialization;
using SaeService.Columns;

namespace SaeService.Corpora;

/// <summary>What packing kept and dropped, in words unless named otherwise.</summary>
public sealed record PackingReport
{
    /// <summary>Documents as the corpus has them; the units of the split are <see cref="PackedCorpus.DocumentIds"/>.</summary>
    public required int Documents { get; init; }
    public required int Sentences { get; init; }
    public required int Words { get; init; }
    public required int Contexts { get; init; }

    /// <summary>Special tokens included.</summary>
    public required int Tokens { get; init; }

    /// <summary>Words with at least one token of their own, before the filters below.</summary>
    public required int Aligned { get; init; }
    public required int AmbiguousDropped { get; init; }
    public required int UnalignedDropped { get; init; }
    public required int MultiwordDropped { get; init; }

    /// <summary>Words cut by the end of a context (only words longer than one are).</summary>
    public required int TruncatedDropped { get; init; }
    public required int TooManyPiecesDropped { get; init; }
    public required int FirstPositionDropped { get; init; }

    /// <summary>Words that passed every filter.</summary>
    public required int Kept { get; init; }

    /// <summary>Tokens that reach over the border of two words. Of no word's own; each goes to the one that it covers more of.</summary>
    public int SharedTokens { get; init; }

    /// <summary>Tokens of text without labels, special ones included; the last contexts.</summary>
    public int TextTokens { get; init; }

    /// <summary>Sentences whose text was joined from words.</summary>
    public required int ReconstructedSentences { get; init; }

    /// <summary>True where the read stopped at <see cref="PackingSettings.MaxWords"/>.</summary>
    public required bool StoppedAtMaxWords { get; init; }
    public required bool SplitBySentence { get; init; }
    public required string Split { get; init; }

    /// <summary>Of the lines "document TAB part", see <see cref="PackedCorpus.SplitListing"/>.</summary>
    public required string SplitSha256 { get; init; }

    /// <summary>Share of words with a token of their own; parts of multi-word tokens that were dropped by rule do not count against it.</summary>
    [JsonIgnore]
    public double AlignedShare => Words == MultiwordDropped ? 1 : (double)Aligned / (Words - MultiwordDropped);
}

/// <summary>The labels of one task over the kept words.</summary>
/// <param name="Labels">Names, in ordinal order.</param>
/// <param name="LabelOfWord">[words] index into <paramref name="Labels"/>; -1: not labelled.</param>
public sealed record PackedTask(string Name, string[] Labels, Column<int> LabelOfWord);

/// <summary>
/// A corpus ready for a model: contexts of tokens, and the words that stand on them with their labels. Sizes: T tokens, C contexts, N kept words,
/// S sentences, D documents (sentences, where the split is by sentence).
/// </summary>
public sealed class PackedCorpus
{
    public required PackingReport Report { get; init; }

    /// <summary>[T] contexts one after another, special tokens included.</summary>
    public required Column<int> TokenIds { get; init; }

    /// <summary>[C + 1] where each context begins in <see cref="TokenIds"/>; the last is T.</summary>
    public required Column<int> ContextStart { get; init; }

    /// <summary>[T] special tokens and first positions: no statistics are made of them.</summary>
    public required Column<bool> SpecialOrExcluded { get; init; }

    /// <summary>[N] index into <see cref="TokenIds"/> of the word's first token; rising.</summary>
    public required Column<int> FirstToken { get; init; }

    /// <summary>[N] last token, included; in the context of the first.</summary>
    public required Column<int> LastToken { get; init; }

    /// <summary>[N] index into <see cref="SentenceIds"/>.</summary>
    public required Column<int> WordSentence { get; init; }

    /// <summary>[N] place in the sentence, from 0, dropped words counted.</summary>
    public required Column<int> WordPosition { get; init; }

    /// <summary>[N] span in the sentence's text, UTF-16 units.</summary>
    public required Column<int> WordStart { get; init; }
    public required Column<int> WordEnd { get; init; }

    /// <summary>[N] index into <see cref="Forms"/>.</summary>
    public required Column<int> WordForm { get; init; }

    /// <summary>[N] index into <see cref="Types"/>: the lower-cased form.</summary>
    public required Column<int> WordType { get; init; }
    public required string[] Forms { get; init; }
    public required string[] Types { get; init; }

    /// <summary>[S]</summary>
    public required StringColumn SentenceIds { get; init; }
    public required StringColumn SentenceTexts { get; init; }

    /// <summary>[S] index into <see cref="DocumentIds"/>.</summary>
    public required Column<int> SentenceDocument { get; init; }

    /// <summary>[S] words of the sentence, dropped ones counted.</summary>
    public required Column<int> SentenceWords { get; init; }

    /// <summary>[D]</summary>
    public required string[] DocumentIds { get; init; }

    /// <summary>[D] a <see cref="Part"/>.</summary>
    public required byte[] DocumentPart { get; init; }
    public required IReadOnlyList<PackedTask> Tasks { get; init; }

    public int Words => FirstToken.Length;
    public int Contexts => ContextStart.Length - 1;
    public int ContextLength(int context) => ContextStart[context + 1] - ContextStart[context];
    public int[] TokensOf(int context) => TokenIds.Span[ContextStart[context]..ContextStart[context + 1]].ToArray();
    public int DocumentOf(int word) => SentenceDocument[WordSentence[word]];
    public Part PartOf(int word) => (Part)DocumentPart[DocumentOf(word)];
    public PackedTask Task(string name) => Tasks.FirstOrDefault(t => t.Name == name) ?? throw new KeyNotFoundException($"no task '{name}' was packed");

    /// <summary>Lines "document TAB part", in corpus order.</summary>
    public string SplitListing() => DocumentSplit.Listing(DocumentIds, DocumentPart);

    /// <summary>Kept words by part of the split.</summary>
    public IReadOnlyDictionary<string, int> CountByPart()
    {
        var counts = new int[3];
        for (var w = 0; w < Words; w++)
            counts[(int)PartOf(w)]++;
        return Enum.GetValues<Part>().ToDictionary(p => DocumentSplit.NameOf((byte)p), p => counts[(int)p]);
    }

    /// <summary>Kept words by task and label.</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, int>> CountByLabel() => Tasks.ToDictionary(t => t.Name, t =>
    {
        var counts = new int[t.Labels.Length];
        foreach (var label in t.LabelOfWord)
            if (label >= 0)
                counts[label]++;
        return (IReadOnlyDictionary<string, int>)t.Labels.Select((name, i) => (name, counts[i])).ToDictionary(p => p.name, p => p.Item2);
    });

    /// <summary>Writes one file: the same corpus gives the same bytes.</summary>
    public void Save(Stream stream) => PackedCorpusFile.Write(this, stream);

    /// <exception cref="CorpusException">Not such a file, of another version, cut short or damaged.</exception>
    /// <param name="scratch">Where its columns lie; default: in memory.</param>
    public static PackedCorpus Load(Stream stream, ScratchSpace? scratch = null) => PackedCorpusFile.Read(stream, scratch ?? ScratchSpace.Heap);

    public void Save(string path)
    {
        using var stream = File.Create(path);
        Save(stream);
    }

    public static PackedCorpus Load(string path, ScratchSpace? scratch = null)
    {
        using var stream = File.OpenRead(path);
        return Load(stream, scratch);
    }
}
