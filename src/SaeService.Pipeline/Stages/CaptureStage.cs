using System.Diagnostics;
using System.Runtime.InteropServices;
using SaeService.Checkpoints;
using SaeService.Corpora;
using SaeService.Queueing;
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
        var places = context.Layers.ToDictionary(layer => Hooks.PlaceOf(context.Request.Hook!, layer));
        using var model = LanguageModel.Load(ModelFolder.Open(context.Roots.Models.Resolve(context.Request.Model.Id)), torch.device(context.Worker.Device));
        using var files = new CaptureFiles(context, corpus, model.Description.DModel);

        var watch = Stopwatch.StartNew();
        var saved = TimeSpan.Zero;
        var restored = files.Order.Take(files.Restored).Sum(c => (long)corpus.ContextLength(c));
        var done = restored;
        for (var from = files.Restored; from < files.Order.Length;)
        {
            var batch = Batch(corpus, files.Order, from, context.Worker.CaptureBatchTokens);
            Capture(model, corpus, batch, places, files);
            from += batch.Length;
            done += batch.Sum(c => (long)corpus.ContextLength(c));
            if (context.Lease.Interruption == StageInterruption.Shutdown || watch.Elapsed - saved > TimeSpan.FromSeconds(context.Worker.CheckpointSeconds))
            {
                files.SaveCheckpoint(from);
                saved = watch.Elapsed;
                FailPoint.Pass("checkpoint", context.Lease.Kind);
            }
            context.Progress((double)done / corpus.TokenIds.Length, (done - restored) / watch.Elapsed.TotalSeconds,
                restored == 0 ? null : $"resumed from the checkpoint at {restored} tokens");
        }
        return new StageOutput(files.Complete());
    }

    /// <summary>As many contexts as have so many tokens, at least one. The longest comes first, so it is the width of the batch.</summary>
    private static int[] Batch(PackedCorpus corpus, int[] order, int from, int maxTokens)
    {
        var count = Math.Max(1, maxTokens / corpus.ContextLength(order[from]));
        return order[from..Math.Min(order.Length, from + count)];
    }

    private static void Capture(LanguageModel model, PackedCorpus corpus, int[] batch, Dictionary<(HookPoint Point, int Block), int> places, CaptureFiles files)
    {
        var (b, t) = (batch.Length, corpus.ContextLength(batch[0]));
        var ids = new long[b * t];
        var mask = new long[b * t];
        for (var i = 0; i < b; i++)
            for (var j = 0; j < corpus.ContextLength(batch[i]); j++)
                (ids[i * t + j], mask[i * t + j]) = (corpus.TokenIds[corpus.ContextStart[batch[i]] + j], 1);

        using var noGrad = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var device = model.Unembedding.device;
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
                files.Write(layer, batch[i], vectors.Slice(i * t * d, corpus.ContextLength(batch[i]) * d));
        }
    }
}
