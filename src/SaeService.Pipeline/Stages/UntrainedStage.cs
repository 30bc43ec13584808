using SaeService.Autoencoders;
using SaeService.Contracts;
using SaeService.Interpretation.Conclusions;
using SaeService.Interpretation.Information;
using SaeService.Interpretation.Labels;

namespace SaeService.Pipeline.Stages;

/// <summary>
/// A layer of an untrained model, the whole way that the trained one goes (method 4): an autoencoder of its own, the codes of the same words, their labels by
/// the same rules, the information of probes on the same words. What is found here, architecture and tokenizer give for nothing.
/// </summary>
internal static class UntrainedStage
{
    public static StageOutput Run(StageContext context)
    {
        var (layer, capture) = (context.Layer, context.Lease.Kind == StageKind.Untrained ? StageKind.UntrainedCapture : StageKind.PermutedCapture);
        var corpus = Inputs.Corpus(context);
        // The words of the trained model, tokens by this one's own norms.
        var (words, packed) = Inputs.Words(corpus, Inputs.Filters(context), context.Scratch);
        var filters = Inputs.Filters(context, capture);
        using var activations = Inputs.Activations(context, layer, capture);

        using var sweep = TrainStage.Train(context, [TrainStage.ComparableSettings(context, activations.Dim)], activations,
            filters.Tokens(corpus, layer, test: false, context.Scratch), 0, 0.6).Sweep;
        var sae = sweep.Trainers[0].Autoencoder();
        var quality = Quality.Evaluate(sae, activations, filters.Tokens(corpus, layer, test: true, context.Scratch));
        LayerLabelling labelling;
        using (var scratch = context.Scratch.Inner())
            labelling = FeatureLabeller.Run(EncodeStage.Encode(context, corpus, packed, activations, sae, scratch, 0.6, 0.65), words, LabelRules.From(context.Request),
                context.Worker.Threads, scratch).Layer;

        var rules = Inputs.InformationRules(context);
        var gather = Inputs.WordVectors(context, corpus, packed, activations);
        var measured = new List<TaskInformation>();
        foreach (var task in words.Tasks)
        {
            context.Progress(0.7 + 0.3 * measured.Count / words.Tasks.Count, message: task.Task);
            var chosen = ProbeWords.Choose(words, task, rules.MaxTrainWords, rules.Seed, rules.Scratch);
            // The penalty that suits this model best, layer by layer: the trained one's would make it look worse than it is.
            var lambda = VInformation.ChooseLambda(words, task, chosen, activations.Dim, gather, rules, context.Interrupted).Lambda;
            measured.Add(VInformation.Measure(words, task, chosen, layer, activations.Dim, gather, lambda, rules, given: null, context.Interrupted));
        }
        return new StageOutput(
        [
            context.Write(Artifacts.Labelling, labelling.Write),
            context.Write(Artifacts.Information, stream => Inputs.WriteJson(stream, measured)),
            context.Write(Artifacts.Quality, stream => Inputs.WriteJson(stream, new UntrainedQuality(Math.Round(quality.Fvu, 6)))),
        ], AfterPublish: () => TrainStage.DeleteCheckpoint(context));
    }
}
