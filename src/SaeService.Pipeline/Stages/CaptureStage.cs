using System.Diagnostics;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Transformers;

namespace SaeService.Pipeline.Stages;

/// <summary>One forward pass over the packed contexts, of the model or of an untrained one; every asked layer's vectors go straight to its file.</summary>
internal static class CaptureStage
{
    public static StageOutput Run(StageContext context)
    {
        var corpus = Inputs.Corpus(context);
        var layerAt = context.Layers.ToDictionary(layer => Hooks.PlaceOf(context.Request.Hook!, layer));
        using var folder = context.OpenModel();
        using var model = Load(context, ModelFolder.Open(folder.Path));
        using var files = new CaptureFiles(context, corpus, model.Description.DModel);
        var capture = new ActivationCapture(model, layerAt.Keys);

        var batchTokens = context.Worker.BatchTokens;
        var watch = Stopwatch.StartNew();
        var saved = TimeSpan.Zero;
        var restored = files.Order.Take(files.Restored).Sum(c => (long)files.Lengths[c]);
        var done = restored;
        for (int from = files.Restored, count; from < files.Order.Length; from += count)
        {
            if (from > files.Restored && (context.Lease.Interruption == StageInterruption.Shutdown || watch.Elapsed - saved > TimeSpan.FromSeconds(context.Worker.CheckpointSeconds)))
            {
                files.SaveCheckpoint(from);
                saved = watch.Elapsed;
                FailPoint.Pass("checkpoint", context.Lease.Kind);
            }
            context.Progress((double)done / corpus.TokenIds.Length, (done - restored) / watch.Elapsed.TotalSeconds,
                restored == 0 ? null : $"resumed from the checkpoint at {restored} tokens");
            count = ActivationCapture.BatchSize(files.Lengths, files.Order, from, batchTokens);
            var batch = files.Order[from..(from + count)];
            capture.Run([.. batch.Select(c => new ReadOnlyMemory<int>(corpus.TokenIds, corpus.ContextStart[c], files.Lengths[c]))],
                (place, i, rows) => files.Write(layerAt[place], batch[i], rows));
            done += batch.Sum(c => (long)files.Lengths[c]);
        }
        return new StageOutput(files.Complete());
    }

    private static LanguageModel Load(StageContext context, ModelFolder folder) => context.Lease.Kind switch
    {
        StageKind.UntrainedCapture => context.Worker.Load(folder, untrained: new(UntrainedWeights.Fresh, context.Request.Seed!.Value)),
        StageKind.PermutedCapture => context.Worker.Load(folder, untrained: new(UntrainedWeights.PermutedBlocks, context.Request.Seed!.Value)),
        _ => context.Worker.Load(folder),
    };
}
