using System.Diagnostics;
using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Autoencoders.Torch;
using SaeService.Columns;
using SaeService.Contracts;
using SaeService.Estimates;
using SaeService.Storage;
using TorchSharp;

namespace SaeService.Pipeline.Stages;

/// <summary>One layer's autoencoder, trained on the tokens of train and dev documents, or elsewhere, and judged on those of test documents.</summary>
internal static class TrainStage
{
    private const string Checkpoint = "checkpoint.safetensors";

    /// <summary>FVU above which a layer's features are not to be read as the layer's own (method 5).</summary>
    private const double FaithfulFvu = 0.3;

    public static StageOutput Run(StageContext context)
    {
        var layer = context.Layer;
        var corpus = Inputs.Corpus(context);
        var filters = Inputs.Filters(context);
        using var activations = Inputs.Activations(context, layer);
        var test = filters.Tokens(corpus, layer, test: true, context.Scratch);
        if (Pretrained.IsAsked(context.Request))
            return Evaluate(context, activations, test);
        var settings = RequestedTraining.Of(context.Request.Sae, activations.Dim);
        var train = filters.Tokens(corpus, layer, test: false, context.Scratch);

        var watch = Stopwatch.StartNew();
        var (sweep, resumedAt) = Train(context, settings, activations, train);
        using var _ = sweep;
        var judged = sweep.Trainers.Select(trainer =>
        {
            context.Interrupted.ThrowIfCancellationRequested();
            var sae = trainer.Autoencoder();
            var quality = Quality.Evaluate(sae, activations, test);
            return new Judged(sae, quality, trainer);
        }).ToList();
        var seconds = watch.Elapsed.TotalSeconds;
        var trainings = judged.ConvertAll(j => new SaeTraining(seconds, (sweep.TotalTokens - resumedAt) / seconds,
            [.. j.Trainer!.Curve.Select(p => new TrainingPoint(p.Tokens, p.Fvu, p.AuxLoss, p.L0, p.DeadShare, p.LearningRate))], j.Quality.LogDensityHistogram));
        return Publish(context, judged, trainings[0] with { Variants = trainings.Count > 1 ? trainings[1..] : null }, null);
    }

    /// <param name="Trainer">Null: it was trained elsewhere.</param>
    private sealed record Judged(SparseAutoencoder Sae, SaeQuality Quality, SaeTrainer? Trainer = null);

    /// <summary>Trains to the end of the budget, from the newest checkpoint that an earlier attempt of this stage left.</summary>
    /// <param name="upTo">How far the stage is then. Where it goes on, a last checkpoint is left, so that nothing is trained again.</param>
    internal static (SaeSweep Sweep, long ResumedAt) Train(StageContext context, IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> rows,
        double from = 0, double upTo = 1)
    {
        var watch = Stopwatch.StartNew();
        var sweep = Begin(context, settings, activations, rows);
        try
        {
            var resumedAt = sweep.TokensSeen;
            // From here on: a checkpoint of nothing is of no use.
            var saved = watch.Elapsed;
            do
            {
                var seen = sweep.TokensSeen - resumedAt;
                context.Progress(from + (upTo - from) * sweep.TokensSeen / sweep.TotalTokens, seen / Math.Max(1e-3, watch.Elapsed.TotalSeconds),
                    resumedAt == 0 ? null : $"resumed from the checkpoint at {resumedAt} tokens");
                if (watch.Elapsed - saved > TimeSpan.FromSeconds(context.Worker.CheckpointSeconds))
                {
                    SaveCheckpoint(context, sweep);
                    saved = watch.Elapsed;
                    FailPoint.Pass("checkpoint", context.Lease.Kind);
                }
            } while (StepUnlessInterrupted(context, sweep));
            if (upTo < 1)
                SaveCheckpoint(context, sweep);
            return (sweep, resumedAt);
        }
        catch
        {
            sweep.Dispose();
            throw;
        }
    }

    /// <summary>Once the stage's results are published.</summary>
    internal static void DeleteCheckpoint(StageContext context) => context.Store.Delete(context.Lease.KeyOf(Checkpoint));

    /// <summary>
    /// What an autoencoder is trained with that is to be compared with the layer's own: the same, or, where that was trained elsewhere, as many latents, as
    /// many of them active, and the defaults otherwise.
    /// </summary>
    internal static SaeTrainingSettings ComparableSettings(StageContext context, int dIn)
    {
        if (!Pretrained.IsAsked(context.Request))
            return RequestedTraining.Of(context.Request.Sae, dIn)[0];
        using var db = context.OpenDatabase();
        var sae = db.Layers.Where(l => l.JobId == context.JobId && l.Layer == context.Layer).Select(l => new { l.DSae, l.L0 }).Single();
        return new SaeTrainingSettings(dIn, sae.DSae, Math.Clamp((int)Math.Round(sae.L0), 1, sae.DSae), context.Request.Seed!.Value, SaeSettings.DefaultTrainTokens,
            SaeSettings.DefaultBatchTokens).Validate();
    }

    /// <summary>Of an autoencoder that is trained already: only how faithful it is.</summary>
    private static StageOutput Evaluate(StageContext context, ActivationFile activations, Column<int> test)
    {
        var watch = Stopwatch.StartNew();
        using var pretrained = Pretrained.Open(context, context.Layer, 0, 0.5);
        var about = pretrained.Describe(context, activations.Dim);
        context.Progress(0.5, message: "measuring the autoencoder");
        var sae = SaeFolder.Load(pretrained.Folder, context.Worker.Threads);
        var quality = Quality.Evaluate(sae, activations, test);
        var training = new SaeTraining(watch.Elapsed.TotalSeconds, 0, [], quality.LogDensityHistogram);
        return Publish(context, [new(sae, quality)], training, pretrained.Origin(about));
    }

    private static StageOutput Publish(StageContext context, List<Judged> judged, SaeTraining training, SaeOrigin? origin)
    {
        var artifacts = new List<StoredArtifact>();
        var provenances = judged.Select((j, variant) =>
        {
            var (config, weights) = Export(context, j, variant);
            artifacts.AddRange([config, weights]);
            return ProvenanceOf(context.Layer, j, weights.Sha256, origin);
        }).ToList();
        var (own, quality) = (provenances[0] with { Variants = provenances.Count > 1 ? provenances[1..] : null }, judged[0].Quality);
        var row = new LayerRow
        {
            JobId = context.JobId,
            Layer = context.Layer,
            Attempt = context.Lease.Attempt,
            DSae = own.DSae,
            K = own.K,
            Fvu = quality.Fvu,
            L0 = quality.L0,
            Dead = quality.DeadShare,
            SaeJson = JsonSerializer.Serialize(own, Wire.Json),
            TrainingJson = JsonSerializer.Serialize(training, Wire.Json),
        };
        return new StageOutput(artifacts, (db, ct) => RowCopy.ReplaceAsync(db, row, ct),
            AfterPublish: () => DeleteCheckpoint(context));
    }

    private static (StoredArtifact Config, StoredArtifact Weights) Export(StageContext context, Judged judged, int variant)
    {
        var provenance = Inputs.Provenance(context);
        using var folder = new TemporaryFolder();
        SaeFolder.SaveSaeLens(judged.Sae, folder.Path, new SaeSource(provenance.Model.Name, HookNames.TransformerLens(context.Request.Hook!, context.Layer),
            provenance.Data.Name, context.Request.ContextLength!.Value, PrependBos: true,
            judged.Trainer is { } trainer ? Architectures.NameOf(trainer.Settings.Architecture) : null), judged.Quality.L0, judged.Quality.Dead);
        StoredArtifact Store(string name) => context.Write(Artifacts.OfVariant(name, variant), stream =>
        {
            using var file = File.OpenRead(Path.Combine(folder.Path, name));
            file.CopyTo(stream);
        });
        return (Store(Artifacts.SaeConfig), Store(Artifacts.SaeWeights));
    }

    private static SaeProvenance ProvenanceOf(int layer, Judged judged, string weights, SaeOrigin? origin)
    {
        var (sae, quality, settings) = (judged.Sae, judged.Quality, judged.Trainer?.Settings);
        return new SaeProvenance(layer, settings is null ? Architectures.NameOf(sae.Architecture) : Architectures.NameOf(settings.Architecture),
            settings?.K ?? sae.K, sae.DSae, settings?.Seed ?? 0, settings?.TotalTokens ?? 0, Round(quality.Fvu), Round(quality.L0), Round(quality.DeadShare),
            quality.Fvu <= FaithfulFvu ? "pass" : "unfaithful", weights, origin)
        {
            ExplainedVariance = RoundIfKnown(quality.ExplainedVariance),
            ExplainedVarianceLegacy = RoundIfKnown(quality.ExplainedVarianceLegacy),
            Cosine = RoundIfKnown(quality.Cosine),
            NormRatio = RoundIfKnown(quality.NormRatio),
            RelativeReconstructionBias = RoundIfKnown(quality.RelativeReconstructionBias),
            DecoderCosineMean = RoundIfKnown(quality.DecoderCosineMean),
            DecoderCosineMax = RoundIfKnown(quality.DecoderCosineMax),
        };
    }

    /// <summary>From the newest checkpoint that an earlier attempt left, bit for bit where it was; from the start where there is none to be used.</summary>
    private static SaeSweep Begin(StageContext context, IReadOnlyList<SaeTrainingSettings> settings, ActivationFile activations, Column<int> rows)
    {
        if (context.Lease.FindCheckpoint(Checkpoint) is { } key)
        {
            try
            {
                return context.Worker.IsCuda
                    ? TorchTraining.Resume(context.Store.Path(key), settings, activations, rows, torch.device(context.Worker.Device), context.Worker.Threads)
                    : SaeSweep.Resume(context.Store.Path(key), settings, activations, rows, context.Worker.Threads);
            }
            catch (InvalidDataException)
            {
                // Damaged, or of another run: training from the start gives the same result, later.
            }
        }
        return context.Worker.IsCuda
            ? TorchTraining.Start(settings, activations, rows, torch.device(context.Worker.Device), context.Worker.Threads)
            : new SaeSweep(settings, activations, rows, context.Worker.Threads);
    }

    private static bool StepUnlessInterrupted(StageContext context, SaeSweep sweep)
    {
        if (context.Lease.Interruption == Queueing.StageInterruption.Shutdown)
            SaveCheckpoint(context, sweep);
        context.Interrupted.ThrowIfCancellationRequested();
        return sweep.Step();
    }

    private static void SaveCheckpoint(StageContext context, SaeSweep sweep)
    {
        var path = context.Store.Path(context.Lease.KeyOf(Checkpoint));
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        sweep.SaveCheckpoint(path);
    }

    private static double Round(double value) => Math.Round(value, 6);

    private static double? RoundIfKnown(double value) => double.IsFinite(value) ? Round(value) : null;
}
