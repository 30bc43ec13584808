using SaeService.Autoencoders;
using SaeService.Checkpoints;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Estimates;
using SaeService.Interpretation;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Queueing;
using SaeService.Storage;
using SaeService.Transformers;

namespace SaeService.Pipeline.Stages;

/// <summary>
/// What the features must beat: random directions of the same density, word lists, and the same features under shuffled labels; and what of them other seeds find.
/// </summary>
internal static class ControlStage
{
    public static StageOutput Run(StageContext context)
    {
        var layer = context.Layer;
        var corpus = Inputs.Corpus(context);
        var filters = Inputs.Filters(context);
        var (words, packed) = Inputs.Words(corpus, filters, context.Scratch);
        var codes = Inputs.Codes(context, layer);
        var rules = LabelRules.From(context.Request);
        using var activations = Inputs.Activations(context, layer);
        var centred = new CentredWords(activations, corpus, packed);
        var repeats = JobModes.RandomRepeats(context.Request.Mode!);
        var artifacts = new List<StoredArtifact>();
        var seeds = Seeds.Of(context.Request, activations.Dim);
        var steps = repeats + seeds.Length + (JobModes.Splices(context.Request.Mode!) ? 3.0 : 2.0);
        for (var repeat = 0; repeat < repeats; repeat++)
        {
            context.Progress(repeat / steps, message: $"random directions {repeat + 1} of {repeats}");
            using var scratch = context.Scratch.Inner();
            var random = RandomDirections.Codes(centred.Read, activations.Dim, codes, rules.Seed + repeat, context.Worker.Threads, scratch: scratch);
            artifacts.Add(context.Write(Artifacts.RandomLabelling(repeat), Labelled(random, words).Layer.Write));
        }
        context.Progress(repeats / steps, message: "shuffled labels");
        artifacts.Add(context.Write(Artifacts.ShuffledLabelling, Labelled(codes, ShuffledLabels.Of(words, rules.Seed, context.Scratch)).Layer.Write));
        if (layer == StagePlan.ReferenceLayer(context.Layers))
        {
            // Word lists see no model: once for all layers.
            context.Progress((repeats + 1) / steps, message: "word lists");
            artifacts.Add(context.Write(Artifacts.TokenTypeLabelling, Labelled(TokenTypeDetectors.Codes(words, context.Scratch), words).Layer.Write));
        }
        if (seeds.Length > 0)
        {
            var compared = Seeds.Compare(context, seeds, corpus, words, packed, activations, (repeats + 2) / steps,
                (repeats + 2 + seeds.Length) / steps);
            artifacts.Add(context.Write(Artifacts.SeedStability, stream => Inputs.WriteJson(stream, compared)));
        }
        if (JobModes.Splices(context.Request.Mode!))
        {
            var outcome = Splice(context, corpus, filters, activations, done =>
                context.Progress((repeats + seeds.Length + 2 + done) / steps, message: "the model with the autoencoder in place"));
            artifacts.Add(context.Write(Artifacts.Splice, stream => Inputs.WriteJson(stream, outcome)));
        }
        return new StageOutput(artifacts);

        FeatureLabelling Labelled(SparseCodes of, LabelledWords labels) => FeatureLabeller.Run(of, labels, rules, context.Worker.Threads, context.Scratch);
    }

    private static SpliceOutcome Splice(StageContext context, PackedCorpus corpus, NormFilters filters, Autoencoders.ActivationFile activations,
        Action<double> progress)
    {
        progress(0);
        var layer = context.Layer;
        using var folder = context.OpenModel();
        using var model = context.Worker.Load(ModelFolder.Open(folder.Path));
        if (model.Description.Type != "causal")
            return new(null, "an encoder predicts masked tokens, and on whole text has no loss of the next one");
        if (!SplicedPass.Predicts(model))
            return new(null, "the checkpoint has no language-model head");
        var sae = Inputs.Autoencoder(context, layer);
        var loss = SplicedQuality.Measure(model, Hooks.PlaceOf(context.Request.Hook!, layer), corpus, activations,
            filters.Tokens(corpus, layer, test: false, context.Scratch), filters.Tokens(corpus, layer, test: true, context.Scratch),
            (x, rows, reconstruction) => sae.Decode(sae.Encode(x, rows), reconstruction), context.Worker.BatchTokens,
            PassMemory.AtOnce(PassMemory.OfSplicing(model.Description.DModel, model.Description.VocabularySize, context.Request.ContextLength!.Value, context.Worker.Shape),
                context.Worker.Shape), progress, context.Scratch);
        return new(loss, loss is null ? "the test documents have no two tokens in a row" : null);
    }
}
