using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Corpora;
using SaeService.Estimates;
using SaeService.Interpretation;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Pipeline.Stages;

namespace SaeService.Pipeline;

/// <summary>A layer's autoencoder beside those of its variants that differ from it in the seed alone: what of its features is the layer's, and what the seed's.</summary>
internal static class Seeds
{
    /// <summary>Numbers of these variants.</summary>
    public static int[] Of(JobRequest request, int dIn)
    {
        var all = RequestedTraining.Of(request.Sae, dIn);
        (TrainingArchitecture, int, int, double, string) But(SaeTrainingSettings s) => (s.Architecture, s.DSae, s.K, s.PeakLearningRate, string.Join(',', s.Prefixes));
        return [.. Enumerable.Range(1, all.Count - 1).Where(i => all[i].Seed != all[0].Seed && But(all[i]) == But(all[0]))];
    }

    /// <summary>
    /// The consistent features of the layer's autoencoder, by what they are matched with: any feature of the other that has a label.
    /// </summary>
    /// <param name="variants">As <see cref="Of"/> gives them.</param>
    public static List<SeedStability> Compare(StageContext context, int[] variants, PackedCorpus corpus, LabelledWords words, Column<int> packed,
        ActivationFile activations, double from, double upTo)
    {
        var compared = new List<SeedStability>();
        var layer = context.Layer;
        using var stream = File.OpenRead(context.Published(StageKind.Label, layer, Artifacts.Labelling));
        var consistent = LayerLabelling.Read(stream).Tasks.SelectMany(task => task.Consistent);
        var own = Dictionary(Inputs.Autoencoder(context, layer), context.Request.Sae!.Seed!.Value, consistent, words);
        foreach (var variant in variants)
        {
            var (start, share) = (from + (upTo - from) * compared.Count / variants.Length, (upTo - from) / variants.Length);
            context.Progress(start, message: "the autoencoder of another seed");
            var sae = Inputs.Autoencoder(context, layer, variant);
            using var scratch = context.Scratch.Inner();
            var codes = EncodeStage.Encode(context, corpus, packed, activations, sae, scratch, start, start + share / 2);
            var features = FeatureLabeller.Run(codes, words, LabelRules.From(context.Request), context.Worker.Threads, scratch).Features();
            compared.Add(SeedMatching.Compare(own, Dictionary(sae, context.Request.Sae.Variants![variant - 1].Seed!.Value, features, words), context.Worker.Threads));
        }
        return compared;
    }

    private static SeededDictionary Dictionary(SparseAutoencoder sae, int seed, IEnumerable<FeatureSummary> features, LabelledWords words)
    {
        var decoder = new float[sae.DSae * sae.DIn];
        for (var f = 0; f < sae.DSae; f++)
            sae.DecoderRow(f).CopyTo(decoder.AsSpan(f * sae.DIn));
        var labels = words.Tasks.ToDictionary(task => task.Task, _ => new string?[sae.DSae]);
        foreach (var feature in features)
            labels[feature.Task][feature.Index] = feature.DominantLabel;
        return new(seed, decoder, sae.DIn, labels.ToDictionary(task => task.Key, task => (IReadOnlyList<string?>)task.Value));
    }
}
