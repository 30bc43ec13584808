using System.Diagnostics;
using System.Runtime.InteropServices;
using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Corpora;
using SaeService.Storage;
using SaeService.Transformers;
using TorchSharp;
using static TorchSharp.torch;

namespace SaeService.Pipeline.Stages;

/// <summary>One forward pass over the packed contexts; every asked layer's vectors go straight to its file.</summary>
internal static class CaptureStage
{
    public static StageOutput Run(StageContext context)
    {
        var corpus = Inputs.Corpus(context);
        var hook = context.Request.Hook!;
        var places = context.Layers.ToDictionary(layer => Hooks.PlaceOf(hook, layer));
        using var model = LanguageModel.Load(ModelFolder.Open(context.Roots.Models.Resolve(context.Request.Model.Id)), torch.device(context.Worker.Device));
        var d = model.Description.DModel;
        var tokens = corpus.TokenIds.Length;

        var files = context.Layers.ToDictionary(layer => layer, layer => context.Create(Artifacts.Activations(layer)));
        var writers = files.ToDictionary(x => x.Key, x => new ActivationWriter(x.Value.TemporaryPath, tokens, d));
        var norms = context.Layers.ToDictionary(layer => layer, _ => new float[tokens]);
        try
        {
            var watch = Stopwatch.StartNew();
            var done = 0L;
            foreach (var batch in Batches(corpus, context.Worker.CaptureBatchTokens))
            {
                Capture(model, corpus, batch, places, writers, norms);
                done += batch.Sum(c => (long)Length(corpus, c));
                context.Progress((double)done / tokens, done / watch.Elapsed.TotalSeconds);
            }
            var artifacts = new List<StoredArtifact>();
            foreach (var layer in context.Layers)
            {
                writers[layer].Complete();
                artifacts.Add(files[layer].Complete());
            }
            var filters = context.Create(Artifacts.Filters);
            NormFilters.From(corpus, norms).Save(filters.TemporaryPath);
            artifacts.Add(filters.Complete());
            return new StageOutput(artifacts);
        }
        finally
        {
            foreach (var writer in writers.Values)
                writer.Dispose();
        }
    }

    /// <summary>Contexts of like length together, so that little is computed on padding; at least one a batch, otherwise at most so many tokens.</summary>
    private static IEnumerable<int[]> Batches(PackedCorpus corpus, int maxTokens)
    {
        var order = Enumerable.Range(0, corpus.Contexts).OrderByDescending(c => Length(corpus, c)).ThenBy(c => c).ToArray();
        for (var from = 0; from < order.Length;)
        {
            // The longest comes first, so it is the width of the batch.
            var count = Math.Max(1, maxTokens / Length(corpus, order[from]));
            yield return order[from..Math.Min(order.Length, from + count)];
            from += count;
        }
    }

    private static int Length(PackedCorpus corpus, int c) => corpus.ContextStart[c + 1] - corpus.ContextStart[c];

    private static void Capture(LanguageModel model, PackedCorpus corpus, int[] batch, Dictionary<(HookPoint Point, int Block), int> places,
        Dictionary<int, ActivationWriter> writers, Dictionary<int, float[]> norms)
    {
        var (b, t) = (batch.Length, Length(corpus, batch[0]));
        var ids = new long[b * t];
        var mask = new long[b * t];
        for (var i = 0; i < b; i++)
            for (var j = 0; j < Length(corpus, batch[i]); j++)
                (ids[i * t + j], mask[i * t + j]) = (corpus.TokenIds[corpus.ContextStart[batch[i]] + j], 1);

        using var noGrad = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var device = model.Device;
        var last = places.Keys.Max(p => p.Point == HookPoint.Embed ? -1 : p.Block);
        model.Forward(tensor(ids, b, t).to(device), tensor(mask, b, t).to(device), (point, block, value) =>
        {
            if (places.TryGetValue((point, point == HookPoint.Embed ? 0 : block), out var layer))
                Keep(value, layer); // [B, T, d]
            return null;
        }, logits: false, stopAfterBlock: last);

        void Keep(Tensor value, int layer)
        {
            using var copy = value.to(ScalarType.Float32).cpu().contiguous();
            var vectors = MemoryMarshal.Cast<byte, float>(copy.bytes);
            var d = (int)copy.shape[2];
            for (var i = 0; i < b; i++)
            {
                var start = corpus.ContextStart[batch[i]];
                var rows = vectors.Slice(i * t * d, Length(corpus, batch[i]) * d);
                writers[layer].Write(start, rows);
                for (var j = 0; j < rows.Length / d; j++)
                    norms[layer][start + j] = System.Numerics.Tensors.TensorPrimitives.Norm<float>(rows.Slice(j * d, d));
            }
        }
    }
}
