using System.Globalization;
using System.Numerics.Tensors;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Pipeline.Stages;
using SaeService.Transformers;

namespace SaeService.Pipeline.Inspection;

/// <summary>
/// A text the way of a job's own: packed as its corpus was (special tokens, alignment, words left out), run once through the model, and each word's tokens
/// encoded and pooled as for the labels. The text stands for a corpus of one sentence, so that the rules are the same because the code is.
/// </summary>
internal static class Inspector
{
    /// <summary>Unlabelled features of a word, where they are asked for.</summary>
    private const int OthersPerWord = 5;

    // Multiplications of the unembedding: about a third of a second of two cores; and what may be asked for in so many words.
    private const double LensAtEase = 1e10, LensAtMost = 1e11;

    /// <param name="mayHold">Bytes that the job may hold.</param>
    /// <exception cref="ProblemException">The text has no token, or more than a context holds; a position is none of its tokens.</exception>
    public static InspectionAnswer Run(WarmJob job, InspectionRequest request, long mayHold)
    {
        var text = InspectedText.Of(job, request.Text);
        int[] layers = request.Layers is { Layers: { } asked } ? [.. asked.Distinct().Order()] : [.. job.Layers];
        var caveats = new Caveats();
        caveats.OfText(text, job.Packing);
        var predicts = !job.Model.HasHead ? null : job.Model.Description.Type == "causal" ? "next" : "same";
        caveats.OfLens(predicts, job.Request.Hook!);
        var positions = predicts is null ? [] : Positions(job, request, layers.Length, text.Tokens.Length, caveats);
        var (vectors, sinkAt) = Capture(job, layers, text.Corpus);
        int[] measured = [.. Enumerable.Range(0, text.Corpus.Words).Where(w => sinkAt[w].Count == 0)];
        caveats.OfSinks(sinkAt);

        var found = new List<InspectedLayer>(layers.Length);
        foreach (var number in layers)
        {
            var layer = job.Layer(number, mayHold);
            if (layer.Fvu is { } fvu)
                caveats.Add(string.Create(CultureInfo.InvariantCulture, $"The autoencoder of layer {number} does not describe its layer faithfully (FVU {fvu:0.00})."));
            var features = Features(job, layer, text, measured, vectors[Hooks.PlaceOf(job.Request.Hook!, number)], request);
            var lens = predicts is null ? null : Lens(job, text, vectors[LensPlace(job.Request.Hook!, number)], positions, request.Top ?? InspectionRequest.DefaultTop);
            found.Add(new(number, Hooks.NameOf(job.Request.Hook!, number), features, lens));
        }
        return new InspectionAnswer
        {
            JobId = job.Id,
            Text = request.Text,
            Tokens = text.Tokens,
            Words = text.WithSinks(w => sinkAt[w].Count > 0),
            LensPredicts = predicts,
            Layers = found,
            Caveats = caveats.All,
        };
    }

    /// <summary>The stream that the layer leaves, or for hooks on the stream itself the very vectors of the layer.</summary>
    private static (HookPoint Point, int Block) LensPlace(string hook, int layer) =>
        Hooks.PlaceOf(hook is "attn_out" or "mlp_out" ? "resid_post" : hook, layer);

    /// <returns>
    /// By place: [T, d], of all tokens of the context. And by word of the corpus, the layers at which it is an attention sink: of all the job's, whichever were asked
    /// for, because the job left a word out at every layer where it is one at any.
    /// </returns>
    private static (Dictionary<(HookPoint, int), float[]> Vectors, List<int>[] SinkAt) Capture(WarmJob job, int[] layers, PackedCorpus corpus)
    {
        var hook = job.Request.Hook!;
        var wanted = layers.SelectMany(l => new[] { Hooks.PlaceOf(hook, l), LensPlace(hook, l) }).ToHashSet();
        var limited = job.NormLimits.ToDictionary(x => Hooks.PlaceOf(hook, x.Key), x => (Layer: x.Key, Limit: x.Value));
        var vectors = new Dictionary<(HookPoint, int), float[]>();
        var sinkAt = Enumerable.Range(0, corpus.Words).Select(_ => new List<int>()).ToArray();
        new ActivationCapture(job.Model, [.. wanted.Union(limited.Keys)]).Run([corpus.TokenIds.ToArray()], (place, _, rows) =>
        {
            if (wanted.Contains(place))
                vectors[place] = rows.ToArray();
            if (!limited.TryGetValue(place, out var at))
                return;
            var d = rows.Length / corpus.TokenIds.Length;
            for (var w = 0; w < sinkAt.Length; w++)
                if (TensorPrimitives.Norm(rows.Slice(corpus.LastToken[w] * d, d)) > at.Limit)
                    sinkAt[w].Add(at.Layer);
        });
        return (vectors, sinkAt);
    }

    /// <param name="words">Of the corpus; those that are measured.</param>
    /// <param name="vectors">[T, d]</param>
    private static List<InspectedFeature> Features(WarmJob job, WarmLayer layer, InspectedText text, int[] words, float[] vectors, InspectionRequest request)
    {
        var (corpus, sae) = (text.Corpus, layer.Sae);
        var pooled = EncodeStage.Encode(job.Request.Labels!, corpus, words, (rows, into) =>
        {
            for (var i = 0; i < rows.Length; i++)
                vectors.AsSpan(rows[i] * sae.DIn, sae.DIn).CopyTo(into[(i * sae.DIn)..]);
        }, sae);
        var single = sae.Encode(vectors, corpus.TokenIds.Length);

        var features = new List<InspectedFeature>();
        foreach (var w in words)
        {
            var (index, value) = (pooled.RowIndex(w).ToArray(), pooled.RowValue(w).ToArray());
            var found = new List<InspectedFeature>();
            var others = new List<InspectedFeature>();
            for (var n = 0; n < index.Length; n++)
            {
                var (feature, activation) = (index[n], value[n]);
                var labels = layer.Labels[feature].Where(l => activation > l.Threshold && (request.Task is null || l.Task == request.Task)).ToList();
                InspectedFeature Entry(FeatureLabel? l) => new(feature, l?.Task, l?.Label, l?.Kind, l?.Consistency, corpus.WordPosition[w],
                    StrongestToken(feature, activation, w) - text.FirstRow, Math.Round(activation, 4), Math.Round(layer.MaxActivation[feature], 4));
                found.AddRange(labels.Select(Entry));
                if (labels.Count == 0 && request.AllFeatures == true)
                    others.Add(Entry(null));
            }
            features.AddRange(found.Concat(others.OrderByDescending(Share).ThenBy(f => f.Index).Take(OthersPerWord))
                .OrderByDescending(Share).ThenBy(f => f.Index).ThenBy(f => f.Task, StringComparer.Ordinal));
        }
        return features;

        int StrongestToken(int feature, float activation, int word)
        {
            for (var row = corpus.FirstToken[word]; row < corpus.LastToken[word]; row++)
                if (single.RowIndex(row).BinarySearch(feature) is >= 0 and var at && single.RowValue(row)[at] == activation)
                    return row;
            return corpus.LastToken[word];
        }
    }

    private static double Share(InspectedFeature feature) => feature.MaxActivation > 0 ? feature.Activation / feature.MaxActivation : 0;

    private static IReadOnlyList<int> Positions(WarmJob job, InspectionRequest request, int layers, int tokens, Caveats caveats)
    {
        var model = job.Model.Description;
        var onePosition = (double)layers * model.VocabularySize * model.DModel;
        if (request.Positions is { } asked)
        {
            if (asked.Count > 0 && asked.Max() >= tokens)
                throw new ProblemException(ProblemCodes.InvalidRequest, $"the text has the tokens 0 to {tokens - 1}, not {asked.Max()}", "$.positions");
            var most = (int)Math.Max(1, LensAtMost / onePosition);
            return asked.Count <= most ? [.. asked.Distinct().Order()]
                : throw new ProblemException(ProblemCodes.InvalidRequest, $"with this model and these layers the lens is read at {most} positions at most, not at {asked.Count}", "$.positions");
        }
        if (tokens * onePosition <= LensAtEase)
            return [.. Enumerable.Range(0, tokens)];
        caveats.Add($"The lens is read at the last token only: at all {tokens} it would take long with this model. Name 'positions' to have others.");
        return [tokens - 1];
    }

    /// <param name="vectors">[T, d]</param>
    private static List<LensPosition> Lens(WarmJob job, InspectedText text, float[] vectors, IReadOnlyList<int> positions, int top)
    {
        var d = job.Model.Description.DModel;
        var streams = new float[positions.Count * d];
        for (var i = 0; i < positions.Count; i++)
            vectors.AsSpan((text.FirstRow + positions[i]) * d, d).CopyTo(streams.AsSpan(i * d));
        var said = LogitLens.Top(job.Model, streams, top);
        return [.. positions.Select((token, i) => new LensPosition(token,
            [.. said[i].Select(x => new LensToken(VocabularyEffects.TextOf(job.Tokenizer, x.Token), Math.Round(x.Probability, 6)))]))];
    }
}
