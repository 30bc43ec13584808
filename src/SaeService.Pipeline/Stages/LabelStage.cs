using System.Text.Json;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Interpretation.Labels;
using SaeService.Storage;
using SaeService.Transformers;

namespace SaeService.Pipeline.Stages;

/// <summary>Which label each feature carries, how consistently, and what it looks like.</summary>
internal static class LabelStage
{
    public static StageOutput Run(StageContext context)
    {
        var layer = context.Layer;
        var corpus = Inputs.Corpus(context);
        var (words, packed) = Inputs.Words(corpus, Inputs.Filters(context), context.Scratch);
        var codes = Inputs.Codes(context, layer);
        context.Progress(0.05, message: "counting features against labels");
        var labelling = FeatureLabeller.Run(codes, words, LabelRules.From(context.Request), context.Worker.Threads, context.Scratch);
        context.Progress(0.3, message: "probing a few features together");
        var layerLabelling = labelling.Layer with { Probes = SparseProbes.Run(codes, words, context.Worker.Threads, context.Scratch) };
        context.Progress(0.5, message: "describing features");
        var effects = Effects(context, layer);
        var cards = new FeatureCards(corpus, words, packed, codes).Rows(context.JobId, layer, effects.Of);
        var labels = labelling.Features().Select(f => new FeatureLabelRow
        {
            JobId = context.JobId,
            Layer = layer,
            Index = f.Index,
            Task = f.Task,
            Label = f.DominantLabel,
            Kind = f.Kind,
            Consistent = f.Consistent,
            Consistency = f.Consistency,
            ConsistencyLower = f.ConsistencyLower,
            F1 = f.F1,
            Mcc = f.Mcc,
            MiBits = f.MiBits,
            ContextGain = f.ContextGain,
            Support = f.Support,
            SummaryJson = JsonSerializer.Serialize(f, Wire.Json),
        });
        return new StageOutput([context.Write(Artifacts.Labelling, layerLabelling.Write)], async (db, ct) =>
        {
            await RowCopy.ReplaceAsync(db, context.JobId, layer, cards, ct);
            await RowCopy.ReplaceAsync(db, context.JobId, layer, labels, ct);
        });
    }

    private static VocabularyEffects Effects(StageContext context, int layer)
    {
        var sae = Inputs.Autoencoder(context, layer);
        using var folder = context.OpenModel();
        // Only what stands outside the blocks is needed.
        using var model = context.Worker.Load(ModelFolder.Open(folder.Path), LoadMode.LayerByLayer);
        return VocabularyEffects.Of(sae, model, Tokenizer.Load(folder.Path), context.Worker.Threads);
    }
}
