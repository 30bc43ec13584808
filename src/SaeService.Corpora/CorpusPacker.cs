using System.Text;

namespace SaeService.Corpora;

/// <summary>Text to token ids and their spans in UTF-16 units, without special tokens.</summary>
public delegate (int[] Ids, (int Start, int End)[] Offsets) Tokenize(string text);

public sealed record PackingSettings
{
    /// <summary>Tokens in a context, special tokens included.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Stands first in every context; null: the tokenizer has none.</summary>
    public int? BosId { get; init; }

    /// <summary>Tokens that stand for no text; never part of a word.</summary>
    public IReadOnlySet<int> SpecialIds { get; init; } = new HashSet<int>();

    /// <summary>The tasks that must be there; null: all that the sentences carry.</summary>
    public IReadOnlyList<string>? Tasks { get; init; }

    /// <summary>Stops after the sentence that reaches it; counts all words read.</summary>
    public int MaxWords { get; init; } = int.MaxValue;

    /// <summary>Of the split.</summary>
    public int Seed { get; init; }

    /// <summary>
    /// Positions at the start of a context that are left out, for they are attention sinks: null is 1 with a BOS (the BOS itself), else 5
    /// (Gurnee et al. 2023).
    /// </summary>
    public int? ExcludedPositions { get; init; }
    public int MaxPieces { get; init; } = 16;
    public double MinAlignedShare { get; init; } = 0.95;

    internal int Excluded => ExcludedPositions ?? (BosId is null ? 5 : 1);
}

/// <summary>
/// Packs sentences for a model (method 1a): the sentences of a document joined by one space are tokenised together and cut into contexts at
/// sentence borders; words find their tokens by character offsets. A sentence longer than a context is cut where a word starts.
/// </summary>
public static class CorpusPacker
{
    /// <summary>Longer documents are tokenised in groups of sentences, so that no tokenizer's cost or memory grows with the document.</summary>
    public const int MaxTextLength = 200_000;

    /// <exception cref="CorpusException">
    /// No sentence, a task without labels or with too many, or fewer words aligned than <see cref="PackingSettings.MinAlignedShare"/>.
    /// </exception>
    public static PackedCorpus Pack(IEnumerable<Sentence> sentences, Tokenize tokenize, PackingSettings settings, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.ContextLength, settings.Excluded + 1);
        var packing = new Packing(settings, tokenize);
        var group = new List<Sentence>();
        var (length, words) = (0, 0);
        foreach (var sentence in sentences)
        {
            if (group.Count > 0 && (group[0].Document != sentence.Document || length + sentence.Text.Length > MaxTextLength))
            {
                cancellation.ThrowIfCancellationRequested();
                packing.Add(group);
                group.Clear();
                length = 0;
            }
            group.Add(sentence);
            length += sentence.Text.Length + 1;
            words += sentence.Words.Length;
            if (words >= settings.MaxWords)
                break;
        }
        if (group.Count > 0)
            packing.Add(group);
        return packing.Finish(stopped: words >= settings.MaxWords);
    }

    /// <summary>The corpus as it grows; one group of sentences is looked at whole, the rest is only appended to.</summary>
    private sealed class Packing(PackingSettings settings, Tokenize tokenize)
    {
        private readonly List<int> tokenIds = [], contextStart = [0], firstToken = [], lastToken = [];
        private readonly List<bool> excluded = [];
        private readonly List<int> wordSentence = [], wordPosition = [], wordStart = [], wordEnd = [], wordForm = [], wordType = [];
        private readonly List<(string Document, string Sentence, int Words)> sentences = [];
        private readonly List<string> texts = [];
        private readonly HashSet<string> documents = new(StringComparer.Ordinal);
        private readonly Names forms = new(), types = new();
        private readonly TaskLabels labels = new(settings.Tasks);
        private readonly int[] outcomes = new int[4];
        private int words, truncated, tooManyPieces, firstPosition, reconstructed;

        /// <summary>Tokenises, aligns and cuts sentences of one document.</summary>
        public void Add(List<Sentence> group)
        {
            var (text, spans, shared, sentenceStart) = Join(group);
            var (ids, offsets) = tokenize(text);
            if (ids.Length != offsets.Length)
                throw new CorpusException($"the tokenizer gave {ids.Length} tokens and {offsets.Length} spans");
            var special = Array.ConvertAll(ids, settings.SpecialIds.Contains);
            var (first, last, outcome) = (new int[spans.Length], new int[spans.Length], new Alignment[spans.Length]);
            WordAligner.Align(text, spans, shared, offsets, special, first, last, outcome);

            var cuts = ContextCuts.Choose(text, offsets, sentenceStart, first, settings.ContextLength - (settings.BosId is null ? 0 : 1));
            var place = Append(ids, special, cuts); // [tokens] index into tokenIds

            var word = 0;
            foreach (var sentence in group)
            {
                sentences.Add((sentence.Document, sentence.Id, sentence.Words.Length));
                texts.Add(sentence.Text);
                documents.Add(sentence.Document);
                words += sentence.Words.Length;
                reconstructed += sentence.TextReconstructed ? 1 : 0;
                var columns = labels.ColumnsOf(sentence);
                for (var position = 0; position < sentence.Words.Length; position++, word++)
                {
                    outcomes[(int)outcome[word]]++;
                    if (outcome[word] == Alignment.Aligned && Passes(place[first[word]], place[last[word]]))
                        Keep(sentence.Words[position], position, place[first[word]], place[last[word]], columns);
                }
            }
        }

        public PackedCorpus Finish(bool stopped)
        {
            if (sentences.Count == 0)
                throw new CorpusException("no sentence to pack");
            var split = DocumentSplit.Create(settings.Seed, sentences);
            var report = new PackingReport
            {
                Documents = documents.Count,
                Sentences = sentences.Count,
                Words = words,
                Contexts = contextStart.Count - 1,
                Tokens = tokenIds.Count,
                Aligned = outcomes[(int)Alignment.Aligned],
                AmbiguousDropped = outcomes[(int)Alignment.Ambiguous],
                UnalignedDropped = outcomes[(int)Alignment.Unaligned],
                MultiwordDropped = outcomes[(int)Alignment.Multiword],
                TruncatedDropped = truncated,
                TooManyPiecesDropped = tooManyPieces,
                FirstPositionDropped = firstPosition,
                Kept = firstToken.Count,
                ReconstructedSentences = reconstructed,
                StoppedAtMaxWords = stopped,
                SplitBySentence = split.BySentence,
                Split = split.Description,
                SplitSha256 = split.Sha256(),
            };
            if (report.AlignedShare < settings.MinAlignedShare)
                throw new CorpusException(FormattableString.Invariant(
                    $"only {report.AlignedShare:P1} of {words} words have a token of their own ")
                    + FormattableString.Invariant($"({report.AmbiguousDropped} share theirs, {report.UnalignedDropped} have none); ")
                    + FormattableString.Invariant($"at least {settings.MinAlignedShare:P0} are needed: tokenizer and data set do not fit"));
            return new PackedCorpus
            {
                Report = report,
                TokenIds = [.. tokenIds],
                ContextStart = [.. contextStart],
                SpecialOrExcluded = [.. excluded],
                FirstToken = [.. firstToken],
                LastToken = [.. lastToken],
                WordSentence = [.. wordSentence],
                WordPosition = [.. wordPosition],
                WordStart = [.. wordStart],
                WordEnd = [.. wordEnd],
                WordForm = [.. wordForm],
                WordType = [.. wordType],
                Forms = forms.ToArray(),
                Types = types.ToArray(),
                SentenceIds = [.. sentences.Select(s => s.Sentence)],
                SentenceTexts = [.. texts],
                SentenceDocument = [.. split.UnitOfSentence],
                SentenceWords = [.. sentences.Select(s => s.Words)],
                DocumentIds = [.. split.Ids],
                DocumentPart = [.. split.Parts],
                Tasks = labels.Finish(),
            };
        }

        private static (string Text, (int Start, int End)[] Words, bool[] Shared, int[] SentenceStart) Join(List<Sentence> group)
        {
            var text = new StringBuilder();
            var (spans, shared, sentenceStart) = (new List<(int, int)>(), new List<bool>(), new int[group.Count]);
            for (var s = 0; s < group.Count; s++)
            {
                if (s > 0)
                    text.Append(' ');
                sentenceStart[s] = text.Length;
                foreach (var word in group[s].Words)
                {
                    spans.Add((text.Length + word.Start, text.Length + word.End));
                    shared.Add(word.SharesSurface);
                }
                text.Append(group[s].Text);
            }
            return (text.ToString(), [.. spans], [.. shared], sentenceStart);
        }

        private int[] Append(int[] ids, bool[] special, List<int> cuts)
        {
            var place = new int[ids.Length];
            for (var c = 0; c + 1 < cuts.Count; c++)
            {
                var start = tokenIds.Count;
                if (settings.BosId is { } bos)
                {
                    tokenIds.Add(bos);
                    excluded.Add(true);
                }
                for (var t = cuts[c]; t < cuts[c + 1]; t++)
                {
                    place[t] = tokenIds.Count;
                    excluded.Add(special[t] || tokenIds.Count - start < settings.Excluded);
                    tokenIds.Add(ids[t]);
                }
                contextStart.Add(tokenIds.Count);
            }
            return place;
        }

        /// <summary>The filters after alignment; each dropped word counts for the first that drops it.</summary>
        private bool Passes(int first, int last)
        {
            var context = contextStart.BinarySearch(first) is >= 0 and var exact ? exact : ~contextStart.BinarySearch(first) - 1;
            if (last >= contextStart[context + 1])
                truncated++;
            else if (last - first >= settings.MaxPieces)
                tooManyPieces++;
            else if (first - contextStart[context] < settings.Excluded)
                firstPosition++;
            else
                return true;
            return false;
        }

        private void Keep(Word word, int position, int first, int last, string?[]?[] columns)
        {
            firstToken.Add(first);
            lastToken.Add(last);
            wordSentence.Add(sentences.Count - 1);
            wordPosition.Add(position);
            wordStart.Add(word.Start);
            wordEnd.Add(word.End);
            wordForm.Add(forms.IdOf(word.Form));
            wordType.Add(types.IdOf(word.Form.ToLowerInvariant()));
            labels.Add(columns, position);
        }
    }
}
