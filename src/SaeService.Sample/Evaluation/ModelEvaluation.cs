using SaeService.Checkpoints;
using SaeService.Sample.Grammar;
using SaeService.Sample.Training;
using SaeService.Transformers;
using static TorchSharp.torch;

namespace SaeService.Sample.Evaluation;

/// <summary>Mean next-token losses in nats on unseen documents: the model, and what counting single tokens or pairs of the training text gives.</summary>
public sealed record LossReport(int Documents, long Tokens, double Model, double Bigram, double Unigram);

/// <summary>Share of minimal pairs in which the model finds the right form more probable.</summary>
public sealed record AgreementReport(Intervening Between, int Pairs, double Accuracy, double MeanDistance);

/// <summary>What the model has learnt of the grammar. Everything is measured on documents of a seed that it was not trained on.</summary>
public sealed record EvaluationReport(LossReport HeldOut, IReadOnlyList<AgreementReport> Agreement, IReadOnlyList<ReadingReport> Readings);

public static class ModelEvaluation
{
    private const int CountedRows = 1000, MaxPairs = 200;

    public static EvaluationReport Run(LanguageModel model, Tokenizer tokenizer, ulong trainingSeed, ulong heldOutSeed, int documents)
    {
        using var frozen = no_grad();
        var held = SampleCorpus.Documents(heldOutSeed, documents).ToArray();
        return new(Loss(model, tokenizer, trainingSeed, held), Agreement(model, tokenizer, held), Readings.Measure(model, tokenizer, held));
    }

    private static LossReport Loss(LanguageModel model, Tokenizer tokenizer, ulong trainingSeed, SampleDocument[] held)
    {
        var counts = new TokenCounts(tokenizer.VocabularySize);
        var rows = new TrainingRows(text => tokenizer.Encode(text, false).Ids, tokenizer.BosId!.Value, trainingSeed, length: 257);
        for (var i = 0; i < CountedRows; i++)
            counts.Add(rows.Next(1));

        double loss = 0, bigram = 0, unigram = 0;
        long tokens = 0;
        foreach (var document in held)
        {
            using var scope = NewDisposeScope();
            var ids = Array.ConvertAll(new EncodedDocument(document, tokenizer, model.Description.ContextLength).Ids, id => (long)id);
            var logProbabilities = LogProbabilities(model, ids); // [T, V]
            var next = tensor(ids[1..]).unsqueeze(1); // [T-1, 1]
            loss -= logProbabilities[..^1].gather(1, next).sum().item<float>();
            for (var i = 1; i < ids.Length; i++)
            {
                unigram -= Math.Log(counts.Unigram(ids[i]));
                bigram -= Math.Log(counts.Bigram(ids[i - 1], ids[i]));
            }
            tokens += ids.Length - 1;
        }
        return new(held.Length, tokens, loss / tokens, bigram / tokens, unigram / tokens);
    }

    private static List<AgreementReport> Agreement(LanguageModel model, Tokenizer tokenizer, SampleDocument[] held)
    {
        var startsWord = tensor(Enumerable.Range(0, tokenizer.VocabularySize)
            .Select(id => tokenizer.TokenText(id) is [var first, ..] && !char.IsLetter(first)).ToArray()); // [V]
        return [.. held.SelectMany(AgreementPairs.In).GroupBy(p => p.Between).OrderBy(g => g.Key).Select(group =>
        {
            var pairs = group.Take(MaxPairs).ToArray();
            var accuracy = pairs.Average(p => Preference(model, tokenizer, startsWord, p) > 0 ? 1.0 : 0);
            return new AgreementReport(group.Key, pairs.Length, accuracy, pairs.Average(p => p.Distance));
        })];
    }

    /// <summary>
    /// log P(right form) - log P(wrong form) after the same text. A form is its pieces and the end of the word: without the end, "walk" would
    /// win over "walks" wherever the second begins with the piece of the first.
    /// </summary>
    private static double Preference(LanguageModel model, Tokenizer tokenizer, Tensor startsWord, AgreementPair pair)
    {
        var sentence = pair.Document.Sentences[pair.Sentence];
        var before = string.Concat(sentence.Words.Take(pair.Verb).Select(w => w.Form + (w.SpaceAfter ? " " : "")));
        var earlier = string.Concat(pair.Document.Sentences.Take(pair.Sentence).Select(s => s.Text + " "));
        return Score(earlier, sentence.Words[pair.Verb].Form) - Score(earlier, pair.Wrong);

        double Score(string context, string form)
        {
            using var scope = NewDisposeScope();
            var start = (context + before).Length;
            var encoding = tokenizer.Encode(context + before + form, addSpecialTokens: false);
            if (encoding.Ids.Length >= model.Description.ContextLength)
                return Score("", form);
            long[] ids = [tokenizer.BosId!.Value, .. encoding.Ids.Select(id => (long)id)];
            var logProbabilities = LogProbabilities(model, ids); // [T, V]
            var total = logProbabilities[^1].masked_select(startsWord).logsumexp(0).item<float>();
            for (var i = 0; i < encoding.Ids.Length; i++)
                if (encoding.Offsets[i].End > start)
                    total += logProbabilities[i, encoding.Ids[i]].item<float>();
            return total;
        }
    }

    private static Tensor LogProbabilities(LanguageModel model, long[] ids) =>
        model.Forward(tensor(ids).unsqueeze(0), mask: null, hook: null, logits: true)![0].log_softmax(1);
}

/// <summary>Maximum-likelihood counts of tokens and pairs, smoothed: the pair backs off to the token, the token to one count.</summary>
internal sealed class TokenCounts(int vocabulary)
{
    private readonly long[] _single = new long[vocabulary];
    private readonly Dictionary<(long, long), long> _pairs = [];
    private long _total;

    public void Add(ReadOnlySpan<long> ids)
    {
        for (var i = 0; i < ids.Length; i++)
        {
            _single[ids[i]]++;
            _total++;
            if (i > 0)
                _pairs[(ids[i - 1], ids[i])] = _pairs.GetValueOrDefault((ids[i - 1], ids[i])) + 1;
        }
    }

    public double Unigram(long id) => (_single[id] + 1.0) / (_total + vocabulary);

    public double Bigram(long previous, long id) =>
        (_pairs.GetValueOrDefault((previous, id)) + 10 * Unigram(id)) / (_single[previous] + 10);
}
