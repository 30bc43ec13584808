using System.Diagnostics;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Estimates;
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

        var batches = ActivationCapture.Batches(files.Lengths, files.Order.AsSpan(files.Restored), context.Worker.BatchTokens);
        var watch = Stopwatch.StartNew();
        var saved = TimeSpan.Zero;
        var (contexts, restored) = (files.Restored, files.Order.Take(files.Restored).Sum(c => (long)files.Lengths[c]));
        var (counted, done) = (0, restored);
        Report();
        // Rows have their places in the files, so that batches may write theirs in any order; a checkpoint is of those before which none is missing.
        Passes.Run(model, batches.Count, PassMemory.AtOnce(PassMemory.OfCapture(model.Description.DModel, context.Request.ContextLength!.Value, context.Worker.Shape), context.Worker.Shape),
            number => capture.Run([.. batches[number].Select(c => new ReadOnlyMemory<int>(corpus.TokensOf(c)))],
                (place, i, rows) =>
                {
                    // A pass of a large model takes long. One that is shut down gets to its end, for the checkpoint.
                    if (context.Lease.Interruption != StageInterruption.Shutdown)
                        context.Interrupted.ThrowIfCancellationRequested();
                    files.Write(layerAt[place], batches[number][i], rows);
                }),
            ended =>
            {
                for (; counted < ended; counted++)
                {
                    contexts += batches[counted].Length;
                    done += batches[counted].Sum(c => (long)files.Lengths[c]);
                }
                if (contexts < files.Order.Length && (context.Lease.Interruption == StageInterruption.Shutdown
                    || watch.Elapsed - saved > TimeSpan.FromSeconds(context.Worker.CheckpointSeconds)))
                {
                    files.SaveCheckpoint(contexts);
                    saved = watch.Elapsed;
                    FailPoint.Pass("checkpoint", context.Lease.Kind);
                }
                Report();
            });
        return new StageOutput(files.Complete());

        void Report() => context.Progress((double)done / corpus.TokenIds.Length, (done - restored) / watch.Elapsed.TotalSeconds,
            restored == 0 ? null : $"resumed from the checkpoint at {restored} tokens");
    }

    private static LanguageModel Load(StageContext context, ModelFolder folder) => context.Lease.Kind switch
    {
        StageKind.UntrainedCapture => context.Worker.Load(folder, untrained: new(UntrainedWeights.Fresh, context.Request.Seed!.Value)),
        StageKind.PermutedCapture => context.Worker.Load(folder, untrained: new(UntrainedWeights.PermutedBlocks, context.Request.Seed!.Value)),
        _ => context.Worker.Load(folder),
    };
}
