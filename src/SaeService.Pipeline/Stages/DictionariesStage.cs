using SaeService.Autoencoders;
using SaeService.Interpretation.Conclusions;
using SaeService.Interpretation.Controls;
using SaeService.Interpretation.Labels;
using SaeService.Interpretation.Statistics;
using SaeService.Storage;

namespace SaeService.Pipeline.Stages;

/// <summary>
/// The dictionaries of the literature over the same words, labelled by the same rules (method 4): neurons, principal and independent components, made as sparse
/// as the autoencoder by word and by feature; the autoencoder before its first step; and one trained on a normal distribution with the layer's mean and
/// covariance. All are fitted on the tokens that the layer's autoencoder is trained on.
/// </summary>
internal static class DictionariesStage
{
    // Tokens that moments are taken from, and vectors of the normal distribution that are trained on.
    private const int MostTokens = 1 << 18;

    public static StageOutput Run(StageContext context)
    {
        var corpus = Inputs.Corpus(context);
        var filters = Inputs.Filters(context);
        var (words, packed) = Inputs.Words(corpus, filters, context.Scratch);
        using var activations = Inputs.Activations(context, context.Layer);
        var train = filters.Tokens(corpus, context.Layer, test: false, context.Scratch);
        var test = filters.Tokens(corpus, context.Layer, test: true, context.Scratch);
        var fitted = CounterRandom.Sample(train, MostTokens, context.Request.Seed!.Value);
        var (d, threads, cancel) = (activations.Dim, context.Worker.Threads, context.Interrupted);
        var artifacts = new List<StoredArtifact>();
        var made = new List<MadeDictionary>();
        var rules = LabelRules.From(context.Request);

        var principal = PrincipalComponents.Of(Reader(activations, fitted), fitted.Length, d, threads, cancel,
            done => context.Progress(0.05 * done, message: "covariance"));

        // First what leaves a checkpoint.
        var settings = TrainStage.ComparableSettings(context, d);
        // Never completed: it goes with the stage.
        var path = context.Create("gaussian.f32").TemporaryPath;
        context.Progress(0.05, message: "vectors of a normal distribution");
        GaussianVectors.Write(path, principal, fitted.Length, rules.Seed, threads, cancel);
        using (var gaussian = ActivationFile.Open(path, d))
        {
            int[] rows = [.. Enumerable.Range(0, fitted.Length)];
            using var sweep = TrainStage.Train(context, [settings], gaussian, rows, 0.1, 0.5).Sweep;
            Autoencoder(DictionaryNames.GaussianAutoencoder, sweep.Trainers[0].Autoencoder(), 0.55);
        }
        File.Delete(path);
        Autoencoder(DictionaryNames.UntrainedAutoencoder, new SaeTrainer(settings, activations, train, threads).Autoencoder(), 0.6);

        var codes = Inputs.Codes(context, context.Layer);
        var centred = new CentredWords(activations, corpus, packed);
        Dense(DictionaryNames.Identity, DenseDictionary.Identity(principal.NeuronVariance), 0.6);
        Dense(DictionaryNames.Pca, principal.Dictionary, 0.65);
        var looked = CounterRandom.Sample(fitted, IndependentComponents.MostVectors, rules.Seed);
        var independent = IndependentComponents.Fit(principal, Reader(activations, looked), looked.Length, rules.Seed, threads, cancel,
            done => context.Progress(0.7 + 0.25 * done, message: "independent components"));
        Dense(DictionaryNames.Ica, independent.Dictionary, 0.95, independent);

        artifacts.Add(context.Write(Artifacts.Dictionaries, stream => Inputs.WriteJson(stream, made)));
        return new StageOutput(artifacts, AfterPublish: () => TrainStage.DeleteCheckpoint(context));

        void Dense(string name, DenseDictionary dictionary, double done, IndependentComponents? ica = null)
        {
            context.Progress(done, message: name);
            var (n, seed) = (codes.Rows, rules.Seed);
            var k = Math.Max(1, (int)Math.Round((double)codes.NonZeros / Math.Max(1, n)));
            using var scratch = context.Scratch.Inner();
            Label(new(name, DictionaryNames.MatchedByWord) { Iterations = ica?.Iterations, Change = ica?.Change, Converged = ica?.Converged },
                MatchedCodes.ByTopK(dictionary, centred.Read, d, n, k, threads, scratch: scratch));
            Label(new(name, DictionaryNames.MatchedByFeature) { Iterations = ica?.Iterations, Change = ica?.Change, Converged = ica?.Converged },
                MatchedCodes.ByDensity(dictionary, centred.Read, d, n, MatchedCodes.Densities(codes, dictionary.Features, seed), threads, scratch: scratch));
        }

        void Autoencoder(string name, SparseAutoencoder sae, double done)
        {
            context.Progress(done, message: name);
            using var scratch = context.Scratch.Inner();
            Label(new(name, DictionaryNames.MatchedByWord) { Fvu = Math.Round(Quality.Evaluate(sae, activations, test).Fvu, 6) },
                EncodeStage.Encode(context, corpus, packed, activations, sae, scratch, done, done));
        }

        void Label(MadeDictionary dictionary, SparseCodes of)
        {
            made.Add(dictionary);
            artifacts.Add(context.Write(Artifacts.DictionaryLabelling(dictionary.Name, dictionary.Matched), FeatureLabeller.Run(of, words, rules, threads, context.Scratch).Layer.Write));
        }
    }

    private static ReadRows Reader(ActivationFile activations, int[] rows) =>
        (first, into) => activations.Gather(rows.AsSpan(first, into.Length / activations.Dim), into);
}
