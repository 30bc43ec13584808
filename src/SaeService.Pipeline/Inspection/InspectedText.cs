using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;

namespace SaeService.Pipeline.Inspection;

/// <summary>A text in tokens and words, packed for a job's model.</summary>
/// <param name="Corpus">Of one context; its words are those that are measured.</param>
/// <param name="FirstRow">Row of the context in which the text's first token stands, behind the special ones.</param>
internal sealed record InspectedText(PackedCorpus Corpus, int FirstRow, InspectedToken[] Tokens, InspectedWord[] Words)
{
    public static InspectedText Of(WarmJob job, string text)
    {
        var words = TextWords.Of(text);
        var encoding = Encode(job, text);
        if (encoding.Ids.Length == 0)
            throw Wrong("has no token for this model: its tokenizer drops all of it");
        var around = job.Packing.PrefixIds.Count + job.Packing.SuffixIds.Count;
        if (encoding.Ids.Length + around > job.Packing.ContextLength)
            throw Wrong($"is {encoding.Ids.Length} tokens; a context of this job holds {job.Packing.ContextLength - around}");

        var sentence = new Sentence
        {
            Id = "text",
            Document = "text",
            Text = text,
            TextReconstructed = false,
            Words = words,
            Labels = new Dictionary<string, string?[]>(),
        };
        var reasons = new string?[words.Length];
        var corpus = CorpusPacker.Pack([sentence], _ => (encoding.Ids, encoding.Offsets), job.Packing, dropped: word => reasons[word.Word] = word.Reason);

        // The same alignment again, for the words that are left out: their tokens are shown too.
        var (first, last) = (new int[words.Length], new int[words.Length]);
        WordAligner.Align(text, Array.ConvertAll(words, w => (w.Start, w.End)), new bool[words.Length], encoding.Offsets,
            Array.ConvertAll(encoding.Ids, job.Packing.SpecialIds.Contains), first, last, new Alignment[words.Length]);
        var owner = new int?[encoding.Ids.Length];
        for (var w = 0; w < words.Length; w++)
            for (var t = first[w]; t >= 0 && t <= last[w]; t++)
                owner[t] = w;
        return new(corpus, job.Packing.PrefixIds.Count,
            [.. encoding.Ids.Select((id, t) => new InspectedToken(job.Tokenizer.TokenText(id), encoding.Offsets[t].Start, encoding.Offsets[t].End, owner[t]))],
            [.. words.Select((word, w) => new InspectedWord(word.Form, word.Start, word.End, first[w] < 0 ? null : first[w], first[w] < 0 ? null : last[w], reasons[w]))]);
    }

    /// <summary>The words, those that are attention sinks as not measured.</summary>
    /// <param name="isSink">Of a word of the corpus.</param>
    public IReadOnlyList<InspectedWord> WithSinks(Func<int, bool> isSink)
    {
        var words = Words.ToArray();
        for (var w = 0; w < Corpus.Words; w++)
            if (isSink(w))
                words[Corpus.WordPosition[w]] = words[Corpus.WordPosition[w]] with { NotMeasured = InspectedWord.AttentionSink };
        return words;
    }

    private static TokenEncoding Encode(WarmJob job, string text)
    {
        try
        {
            return job.Tokenizer.Encode(text, addSpecialTokens: false);
        }
        catch (CheckpointException e)
        {
            // The tokenizer was loaded: what it can not do is this text.
            throw Wrong($"can not be tokenised for this model: {e.Message}");
        }
    }

    private static ProblemException Wrong(string why) => new(ProblemCodes.InvalidRequest, why, "$.text");
}
