using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Transformers;

namespace SaeService.Pipeline;

/// <summary>What a layer's control stage hands to the conclusion: the loss, or why there is none.</summary>
internal sealed record SpliceOutcome(SplicedLoss? Loss, string? NotMeasured);

/// <summary>
/// How much worse the model predicts when a layer's vectors are replaced by the autoencoder's reconstructions (method 5; SAEBench's ce_loss_score). The
/// model runs from the layer on only, on the vectors that were captured, so that the clean loss is the model's own. Replaced are the vectors that the other
/// measures of the autoencoder are made on: of test documents, no special token and no attention sink; these keep theirs. Predictions made from replaced
/// vectors count, of tokens that are not special.
/// </summary>
internal static class SplicedQuality
{
    // Rows of the mean that stands for ablation: evenly spaced over those that the autoencoder was trained on.
    private const int MeanRows = 65_536;

    /// <summary>Writes x̂ [rows, d] of x [rows, d].</summary>
    public delegate void Reconstruct(ReadOnlySpan<float> x, int rows, Span<float> reconstruction);

    private enum Variant { Clean, Sae, Zero, Mean }

    /// <param name="model">For <see cref="SplicedPass.Predicts"/>.</param>
    /// <param name="place">Where the vectors were captured.</param>
    /// <param name="activations">All tokens' vectors there.</param>
    /// <param name="trainRows">For the mean.</param>
    /// <param name="testRows">What may be replaced, ascending.</param>
    /// <param name="batchTokens">Tokens of a forward pass, of all variants together.</param>
    /// <param name="passes">Passes that may run at once.</param>
    /// <param name="progress">Told the share that is done.</param>
    /// <param name="scratch">Where a flag a token lies; default: in memory.</param>
    /// <returns>Null where test documents have no two tokens in a row that count.</returns>
    public static SplicedLoss? Measure(LanguageModel model, (HookPoint Point, int Block) place, PackedCorpus corpus, ActivationFile activations,
        Column<int> trainRows, Column<int> testRows, Reconstruct reconstruct, int batchTokens, int passes, Action<double>? progress = null, ScratchSpace? scratch = null)
    {
        var d = activations.Dim;
        var replaced = (scratch ?? ScratchSpace.Heap).New<bool>(corpus.TokenIds.Length);
        foreach (var row in testRows)
            replaced[row] = true;
        var mean = Mean(activations, trainRows);
        var contexts = Choose(corpus, replaced);
        int[] lengths = [.. contexts.Select(corpus.ContextLength)];
        var variants = Enum.GetValues<Variant>();
        var batches = ActivationCapture.Batches(lengths, ActivationCapture.Order(lengths), batchTokens / variants.Length);
        var pass = new SplicedPass(model, place, variants.Length);
        var losses = new SplicedLosses[batches.Count];
        Passes.Run(model, batches.Count, passes, number =>
        {
            var batch = Array.ConvertAll(batches[number], i => contexts[i]);
            var clean = batch.Select(c => Rows(activations, corpus.ContextStart[c], corpus.ContextLength(c))).ToArray();
            losses[number] = pass.Run(
                [.. batch.Select(c => new ReadOnlyMemory<int>(corpus.TokensOf(c)))],
                [.. variants.Select(v => batch.Select((c, i) =>
                    Spliced(v, clean[i], replaced.Span.Slice(corpus.ContextStart[c], corpus.ContextLength(c)), mean, reconstruct)).ToArray())],
                [.. batch.Select(c => TokensOf(corpus, c).Select(t => Counts(corpus, replaced, c, t)).ToArray())]);
        }, done => progress?.Invoke((double)done / batches.Count));
        // In the order of the batches, whichever ended first.
        return losses is [var first, .. var others] && others.Aggregate(first, (a, b) => a + b) is { Predictions: > 0 } sum ? Result(sum) : null;
    }

    private static SplicedLoss Result(SplicedLosses losses)
    {
        double n = losses.Predictions;
        double Entropy(Variant v) => losses.Variants[(int)v].CrossEntropy / n;
        double Kl(Variant v) => losses.Variants[(int)v].Kl / n;
        double? Recovered(Variant ablated) => Entropy(ablated) - Entropy(Variant.Clean) is var lost && Math.Abs(lost) > 1e-9
            ? Math.Round((Entropy(ablated) - Entropy(Variant.Sae)) / lost, 6) : null;
        double Rounded(double nats) => Math.Round(nats, 6);
        return new()
        {
            Tokens = losses.Predictions,
            CeClean = Rounded(Entropy(Variant.Clean)),
            CeSae = Rounded(Entropy(Variant.Sae)),
            CeZero = Rounded(Entropy(Variant.Zero)),
            CeMean = Rounded(Entropy(Variant.Mean)),
            DeltaCe = Rounded(Entropy(Variant.Sae) - Entropy(Variant.Clean)),
            Kl = Rounded(Kl(Variant.Sae)),
            KlZero = Rounded(Kl(Variant.Zero)),
            KlMean = Rounded(Kl(Variant.Mean)),
            CeLossRecovered = Recovered(Variant.Zero),
            CeLossRecoveredMean = Recovered(Variant.Mean),
        };
    }

    /// <summary>A context's vectors, those that are replaced by the variant's.</summary>
    private static float[] Spliced(Variant variant, float[] clean, ReadOnlySpan<bool> replaced, float[] mean, Reconstruct reconstruct)
    {
        if (variant == Variant.Clean)
            return clean;
        var d = mean.Length;
        var values = clean.ToArray();
        var rows = new List<int>();
        for (var t = 0; t < replaced.Length; t++)
            if (replaced[t])
                rows.Add(t);
        var instead = new float[rows.Count * d]; // zeros
        if (variant == Variant.Sae)
        {
            var x = new float[instead.Length];
            for (var i = 0; i < rows.Count; i++)
                clean.AsSpan(rows[i] * d, d).CopyTo(x.AsSpan(i * d));
            reconstruct(x, rows.Count, instead);
        }
        for (var i = 0; i < rows.Count; i++)
            (variant == Variant.Mean ? mean.AsSpan() : instead.AsSpan(i * d, d)).CopyTo(values.AsSpan(rows[i] * d));
        return values;
    }

    private static IEnumerable<int> TokensOf(PackedCorpus corpus, int context) => Enumerable.Range(corpus.ContextStart[context], corpus.ContextLength(context));

    private static bool Counts(PackedCorpus corpus, Column<bool> replaced, int context, int token) =>
        replaced[token] && token + 1 < corpus.ContextStart[context + 1] && !corpus.SpecialOrExcluded[token + 1];

    /// <summary>All contexts of test documents, or as many of them, evenly spaced, as hold <see cref="JobModes.SplicedPredictions"/>.</summary>
    private static int[] Choose(PackedCorpus corpus, Column<bool> replaced)
    {
        var (usable, predictions) = (new List<int>(), 0L);
        for (var c = 0; c < corpus.Contexts; c++)
        {
            var counted = TokensOf(corpus, c).Count(t => Counts(corpus, replaced, c, t));
            if (counted > 0)
                usable.Add(c);
            predictions += counted;
        }
        var wanted = predictions <= JobModes.SplicedPredictions ? usable.Count : Math.Max(1, usable.Count * (long)JobModes.SplicedPredictions / predictions);
        return [.. usable.Where((_, i) => (i + 1) * wanted / usable.Count > i * wanted / usable.Count)];
    }

    private static float[] Mean(ActivationFile activations, Column<int> rows)
    {
        var sum = new double[activations.Dim];
        var every = Math.Max(1, rows.Length / MeanRows);
        int[] sample = [.. rows.Where((_, i) => i % every == 0)];
        const int Block = 1024;
        var block = new float[Block * activations.Dim];
        for (var from = 0; from < sample.Length; from += Block)
        {
            var n = Math.Min(Block, sample.Length - from);
            activations.Gather(sample.AsSpan(from, n), block.AsSpan(0, n * activations.Dim));
            for (var i = 0; i < n * activations.Dim; i++)
                sum[i % activations.Dim] += block[i];
        }
        return Array.ConvertAll(sum, s => (float)(s / Math.Max(1, sample.Length)));
    }

    private static float[] Rows(ActivationFile activations, int first, int count)
    {
        var rows = new float[count * activations.Dim];
        activations.Read(first, rows);
        return rows;
    }
}
