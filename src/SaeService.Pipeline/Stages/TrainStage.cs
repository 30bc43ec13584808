using System.Diagnostics;
using System.Text.Json;
using SaeService.Autoencoders;
using SaeService.Contracts;
using SaeService.Storage;

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
        var test = filters.Tokens(corpus, layer, test: true);
        if (Pretrained.IsAsked(context.Request))
            return Evaluate(context, activations, test);
        var settings = SettingsOf(context, activations.Dim);
        var train = filters.Tokens(corpus, layer, test: false);

        var watch = Stopwatch.StartNew();
        var (trainer, resumedAt) = Train(context, settings, activations, train);
        var sae = trainer.Autoencoder();
        var quality = Quality.Evaluate(sae, activations, test);
        var seconds = watch.Elapsed.TotalSeconds;
        var training = new SaeTraining(seconds, (trainer.TotalTokens - resumedAt) / seconds,
            [.. trainer.Curve.Select(p => new TrainingPoint(p.Tokens, p.Fvu, p.AuxLoss, p.L0, p.DeadShare, p.LearningRate))], quality.LogDensityHistogram);
        return Publish(context, sae, quality, training, settings.Seed, trainer.TotalTokens, null);
    }

    /// <summary>Trains to the end of the budget, from the newest checkpoint that an earlier attempt of this stage left.</summary>
    /// <param name="upTo">How far the stage is then. Where it goes on, a last checkpoint is left, so that nothing is trained again.</param>
    internal static (SaeTrainer Trainer, long ResumedAt) Train(StageContext context, SaeTrainingSettings settings, ActivationFile activations, int[] rows,
        double from = 0, double upTo = 1)
    {
        var watch = Stopwatch.StartNew();
        var trainer = Begin(context, settings, activations, rows);
        var resumedAt = trainer.TokensSeen;
        var saved = TimeSpan.Zero;
        do
        {
            var seen = trainer.TokensSeen - resumedAt;
            context.Progress(from + (upTo - from) * trainer.TokensSeen / trainer.TotalTokens, seen / Math.Max(1e-3, watch.Elapsed.TotalSeconds),
                resumedAt == 0 ? null : $"resumed from the checkpoint at {resumedAt} tokens");
            if (watch.Elapsed - saved > TimeSpan.FromSeconds(context.Worker.CheckpointSeconds))
            {
                SaveCheckpoint(context, trainer);
                saved = watch.Elapsed;
                FailPoint.Pass("checkpoint", context.Lease.Kind);
            }
        } while (StepUnlessInterrupted(context, trainer));
        if (upTo < 1)
            SaveCheckpoint(context, trainer);
        return (trainer, resumedAt);
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
            return SettingsOf(context, dIn);
        using var db = context.OpenDatabase();
        var sae = db.Layers.Where(l => l.JobId == context.JobId && l.Layer == context.Layer).Select(l => new { l.DSae, l.L0 }).Single();
        return new SaeTrainingSettings(dIn, sae.DSae, Math.Clamp((int)Math.Round(sae.L0), 1, sae.DSae), context.Request.Seed!.Value, SaeSettings.DefaultTrainTokens,
            SaeSettings.DefaultBatchTokens).Validate();
    }

    /// <summary>Of an autoencoder that is trained already: only how faithful it is.</summary>
    private static StageOutput Evaluate(StageContext context, ActivationFile activations, int[] test)
    {
        var watch = Stopwatch.StartNew();
        using var pretrained = Pretrained.Open(context, context.Layer, 0, 0.5);
        var about = pretrained.Describe(context, activations.Dim);
        context.Progress(0.5, message: "measuring the autoencoder");
        var sae = SaeFolder.Load(pretrained.Folder, context.Worker.Threads);
        var quality = Quality.Evaluate(sae, activations, test);
        var training = new SaeTraining(watch.Elapsed.TotalSeconds, 0, [], quality.LogDensityHistogram);
        return Publish(context, sae, quality, training, seed: 0, trainTokens: 0, pretrained.Origin(about));
    }

    private static StageOutput Publish(StageContext context, SparseAutoencoder sae, SaeQuality quality, SaeTraining training, int seed,
        long trainTokens, SaeOrigin? origin)
    {
        var layer = context.Layer;
        var provenance = Inputs.Provenance(context);
        using var folder = new TemporaryFolder();
        SaeFolder.SaveSaeLens(sae, folder.Path, new SaeSource(provenance.Model.Name, Hooks.TransformerLensName(context.Request.Hook!, layer),
            provenance.Data.Name, context.Request.ContextLength!.Value, PrependBos: true), quality.L0, quality.Dead);
        var artifacts = new[] { Artifacts.SaeConfig, Artifacts.SaeWeights }.Select(name => context.Write(name, stream =>
        {
            using var file = File.OpenRead(Path.Combine(folder.Path, name));
            file.CopyTo(stream);
        })).ToList();

        var weights = artifacts[1].Sha256;
        var architecture = sae.Architecture switch { SaeArchitecture.TopK => "topk", SaeArchitecture.Standard => "standard", _ => "jumprelu" };
        var summary = new SaeProvenance(layer, architecture, sae.K, sae.DSae, seed, trainTokens, Round(quality.Fvu), Round(quality.L0), Round(quality.DeadShare),
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
        var row = new LayerRow
        {
            JobId = context.JobId,
            Layer = layer,
            Attempt = context.Lease.Attempt,
            DSae = sae.DSae,
            K = sae.K,
            Fvu = quality.Fvu,
            L0 = quality.L0,
            Dead = quality.DeadShare,
            SaeJson = JsonSerializer.Serialize(summary, Wire.Json),
            TrainingJson = JsonSerializer.Serialize(training, Wire.Json),
        };
        return new StageOutput(artifacts, (db, ct) => RowCopy.ReplaceAsync(db, row, ct),
            AfterPublish: () => DeleteCheckpoint(context));
    }

    private static SaeTrainingSettings SettingsOf(StageContext context, int dIn)
    {
        var asked = context.Request.Sae!;
        return new SaeTrainingSettings(dIn, asked.DSae ?? asked.Expansion!.Value * dIn, asked.K!.Value, asked.Seed!.Value, asked.TrainTokens!.Value, asked.BatchTokens!.Value, asked.LearningRate).Validate();
    }

    /// <summary>From the newest checkpoint that an earlier attempt left, bit for bit where it was; from the start where there is none to be used.</summary>
    private static SaeTrainer Begin(StageContext context, SaeTrainingSettings settings, ActivationFile activations, int[] rows)
    {
        if (context.Lease.FindCheckpoint(Checkpoint) is { } key)
        {
            try
            {
                return SaeTrainer.Resume(context.Store.Path(key), settings, activations, rows, context.Worker.Threads);
            }
            catch (InvalidDataException)
            {
                // Damaged, or of another run: training from the start gives the same result, later.
            }
        }
        return new SaeTrainer(settings, activations, rows, context.Worker.Threads);
    }

    private static bool StepUnlessInterrupted(StageContext context, SaeTrainer trainer)
    {
        if (context.Lease.Interruption == Queueing.StageInterruption.Shutdown)
            SaveCheckpoint(context, trainer);
        context.Interrupted.ThrowIfCancellationRequested();
        return trainer.Step();
    }

    private static void SaveCheckpoint(StageContext context, SaeTrainer trainer)
    {
        var path = context.Store.Path(context.Lease.KeyOf(Checkpoint));
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        trainer.SaveCheckpoint(path);
    }

    private static double Round(double value) => Math.Round(value, 6);

    private static double? RoundIfKnown(double value) => double.IsFinite(value) ? Round(value) : null;
}
