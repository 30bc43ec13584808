using System.Runtime.InteropServices;
using System.Text;
using SaeService.Columns;

namespace SaeService.Corpora;

/// <summary>
/// Packs sentences for a model (method 1a): the sentences of a document joined by one space are tokenised together and cut into contexts at
/// sentence borders; words find their tokens by character offsets. A sentence longer than a context is cut where a word starts. Text without
/// labels follows in contexts of its own, on which no word stands: an autoencoder is trained on them too, as on train documents.
/// </summary>
public static class CorpusPacker
{
    /// <summary>Longer documents are tokenised in groups of sentences, so that no tokenizer's cost or memory grows with the document.</summary>
    public const int MaxTextLength = 200_000;

    /// <param name="text">Sentences without labels, of which only the text is taken.</param>
    /// <param name="dropped">Told of every word that is not kept, in the order of the corpus.</param>
    /// <param name="scratch">Where the columns of the corpus lie; default: in memory.</param>
    /// <exception cref="CorpusException">
    /// No sentence, a task without labels or with too many, or fewer words aligned than <see cref="PackingSettings.MinAlignedShare"/>.
    /// </exception>
    public static PackedCorpus Pack(IEnumerable<Sentence> sentences, Tokenize tokenize, PackingSettings settings, CancellationToken cancellation = default,
        IEnumerable<Sentence>? text = null, Action<DroppedWord>? dropped = null, ScratchSpace? scratch = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.ContextLength, settings.ExcludedCount + settings.SuffixIds.Count + 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(settings.Capacity, 1);
        var packing = new Packing(settings, tokenize, dropped, scratch ?? ScratchSpace.Heap);
        var words = 0;
        foreach (var group in Groups(Limited()))
        {
            cancellation.ThrowIfCancellationRequested();
            packing.Add(group);
        }
        foreach (var group in Groups(text ?? []))
        {
            cancellation.ThrowIfCancellationRequested();
            if (!packing.AddText(group))
                break;
        }
        return packing.Finish(stopped: words >= settings.MaxWords);

        IEnumerable<Sentence> Limited()
        {
            foreach (var sentence in sentences)
            {
                words += sentence.Words.Length;
                yield return sentence;
                if (words >= settings.MaxWords)
                    break;
            }
        }
    }

    /// <summary>Neighbouring sentences of one document, of bounded length together.</summary>
    private static IEnumerable<List<Sentence>> Groups(IEnumerable<Sentence> sentences)
    {
        var group = new List<Sentence>();
        var length = 0;
        foreach (var sentence in sentences)
        {
            if (group.Count > 0 && (group[0].Document != sentence.Document || length + sentence.Text.Length > MaxTextLength))
            {
                yield return group;
                group.Clear();
                length = 0;
            }
            group.Add(sentence);
            length += sentence.Text.Length + 1;
        }
        if (group.Count > 0)
            yield return group;
    }

    /// <summary>The corpus as it grows; one group of sentences is looked at whole, the rest is only appended to.</summary>
    private sealed class Packing(PackingSettings settings, Tokenize tokenize, Action<DroppedWord>? dropped, ScratchSpace scratch)
    {
        private readonly ColumnList<int> tokenIds = new(scratch), contextStart = new(scratch) { 0 }, firstToken = new(scratch), lastToken = new(scratch);
        private readonly ColumnList<bool> excluded = new(scratch);
        private readonly ColumnList<int> wordSentence = new(scratch), wordPosition = new(scratch), wordStart = new(scratch), wordEnd = new(scratch), wordForm = new(scratch),
            wordType = new(scratch);
        private readonly List<(string Document, string Sentence, int Words)> sentences = [];
        private readonly StringColumnList sentenceIds = new(scratch), texts = new(scratch);
        private readonly HashSet<string> documents = new(StringComparer.Ordinal);
        private readonly Names forms = new(), types = new();
        private readonly TaskLabels labels = new(settings.Tasks, scratch);
        private readonly Dictionary<string, int>? frequencies = settings.Tasks?.Contains(BuiltInTasks.Frequency) == true ? new(StringComparer.Ordinal) : null;
        private readonly int[] outcomes = new int[Enum.GetValues<Alignment>().Length];
        private int words, truncated, tooManyPieces, firstPosition, reconstructed, sharing, textTokens;

        /// <summary>Tokenises, aligns and cuts sentences of one document.</summary>
        public void Add(List<Sentence> group)
        {
            var (text, spans, shared, sentenceStart) = Join(group);
            var (ids, offsets, special) = TokensOf(text);
            var (first, last, outcome) = (new int[spans.Length], new int[spans.Length], new Alignment[spans.Length]);
            sharing += WordAligner.Align(text, spans, shared, offsets, special, first, last, outcome);

            var cuts = ContextCuts.Choose(text, offsets, sentenceStart, first, settings.Capacity);
            var place = Append(ids, special, cuts); // [tokens] index into tokenIds

            var word = 0;
            foreach (var sentence in group)
            {
                sentences.Add((sentence.Document, sentence.Id, sentence.Words.Length));
                sentenceIds.Add(sentence.Id);
                texts.Add(sentence.Text);
                documents.Add(sentence.Document);
                words += sentence.Words.Length;
                reconstructed += sentence.TextReconstructed ? 1 : 0;
                var columns = labels.ColumnsOf(sentence);
                for (var position = 0; position < sentence.Words.Length; position++, word++)
                {
                    var form = sentence.Words[position].Form;
                    if (frequencies is not null)
                        CollectionsMarshal.GetValueRefOrAddDefault(frequencies, form.ToLowerInvariant(), out _)++;
                    outcomes[(int)outcome[word]]++;
                    var reason = outcome[word] == Alignment.Aligned ? ProblemOf(place[first[word]], place[last[word]]) : ReasonOf(outcome[word]);
                    if (reason is null)
                        Keep(sentence.Words[position], position, place[first[word]], place[last[word]], columns);
                    else
                        dropped?.Invoke(new(sentence.Id, position, form, reason));
                }
            }
        }

        /// <summary>Appends text of one document that no word stands on.</summary>
        /// <returns>False where it did not fit whole: there is no room for more.</returns>
        public bool AddText(List<Sentence> group)
        {
            var (text, _, _, sentenceStart) = Join(group);
            var (ids, offsets, special) = TokensOf(text);
            var cuts = ContextCuts.Choose(text, offsets, sentenceStart, [], settings.Capacity);
            var room = (long)settings.MaxTextTokens - textTokens;
            var fitting = cuts.TakeWhile((cut, c) => cut + (c * (long)(settings.ContextLength - settings.Capacity)) <= room).ToList();
            var before = tokenIds.Count;
            Append(ids, special, fitting);
            textTokens += tokenIds.Count - before;
            return fitting.Count == cuts.Count;
        }

        private (int[] Ids, (int Start, int End)[] Offsets, bool[] Special) TokensOf(string text)
        {
            var (ids, offsets) = tokenize(text);
            return ids.Length == offsets.Length
                ? (ids, offsets, Array.ConvertAll(ids, settings.SpecialIds.Contains))
                : throw new CorpusException($"the tokenizer gave {ids.Length} tokens and {offsets.Length} spans");
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
                UnalignedDropped = outcomes[(int)Alignment.Unaligned] + outcomes[(int)Alignment.Special],
                MultiwordDropped = outcomes[(int)Alignment.Multiword],
                TruncatedDropped = truncated,
                TooManyPiecesDropped = tooManyPieces,
                FirstPositionDropped = firstPosition,
                Kept = firstToken.Count,
                SharedTokens = sharing,
                TextTokens = textTokens,
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
                TokenIds = tokenIds.Complete(),
                ContextStart = contextStart.Complete(),
                SpecialOrExcluded = excluded.Complete(),
                FirstToken = firstToken.Complete(),
                LastToken = lastToken.Complete(),
                WordSentence = wordSentence.Complete(),
                WordPosition = wordPosition.Complete(),
                WordStart = wordStart.Complete(),
                WordEnd = wordEnd.Complete(),
                WordForm = wordForm.Complete(),
                WordType = wordType.Complete(),
                Forms = forms.ToArray(),
                Types = types.ToArray(),
                SentenceIds = sentenceIds.Complete(),
                SentenceTexts = texts.Complete(),
                SentenceDocument = [.. split.UnitOfSentence],
                SentenceWords = [.. sentences.Select(s => s.Words)],
                DocumentIds = [.. split.Ids],
                DocumentPart = [.. split.Parts],
                Tasks = labels.Finish(frequencies is null ? null : (BuiltInTasks.Frequency, w => BuiltInTasks.LogBin(frequencies[types.NameOf(wordType[w])]))),
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
                AddAround(settings.PrefixIds);
                for (var t = cuts[c]; t < cuts[c + 1]; t++)
                {
                    place[t] = tokenIds.Count;
                    excluded.Add(special[t] || tokenIds.Count - start < settings.ExcludedCount);
                    tokenIds.Add(ids[t]);
                }
                AddAround(settings.SuffixIds);
                contextStart.Add(tokenIds.Count);
            }
            return place;
        }

        private void AddAround(IReadOnlyList<int> ids)
        {
            foreach (var id in ids)
            {
                tokenIds.Add(id);
                excluded.Add(true);
            }
        }

        private static string ReasonOf(Alignment outcome) => outcome switch
        {
            Alignment.Ambiguous => "shared-token",
            Alignment.Special => "special-token",
            Alignment.Multiword => "multiword-surface",
            _ => "no-token",
        };

        /// <summary>The filters after alignment; each dropped word counts for the first that drops it.</summary>
        private string? ProblemOf(int first, int last)
        {
            var context = contextStart.Span.BinarySearch(first) is >= 0 and var exact ? exact : ~contextStart.Span.BinarySearch(first) - 1;
            if (last >= contextStart[context + 1])
            {
                truncated++;
                return "truncated";
            }
            if (last - first >= settings.MaxPieces)
            {
                tooManyPieces++;
                return "too-many-pieces";
            }
            if (first - contextStart[context] < settings.ExcludedCount)
            {
                firstPosition++;
                return "first-position";
            }
            return null;
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
