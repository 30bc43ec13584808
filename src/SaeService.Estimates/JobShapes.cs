using SaeService.Autoencoders;
using SaeService.Columns;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>Numbers that memory, disk and time share.</summary>
internal static class JobShapes
{
    /// <summary>Part of the words that probes train on and features are labelled on; the rest is split in two.</summary>
    public const double TrainShare = 0.6;

    /// <summary>What principal and independent components are taken from, and how many of the latter there are at most.</summary>
    public const int MostTokens = 1 << 18, MostVectors = 50_000, MostComponents = 1024;

    /// <summary>The autoencoder that a layer's features are of.</summary>
    public static SaeTrainingSettings Sae(JobSize size) => Saes(size)[0];

    /// <summary>All that are trained of a layer.</summary>
    public static IReadOnlyList<SaeTrainingSettings> Saes(JobSize size) => RequestedTraining.Of(size.Request.Sae, size.Model.DModel);

    /// <summary>What autoencoders beside the layer's own are trained with: the same, or, where that is trained already, the defaults.</summary>
    public static SaeTrainingSettings ComparableSae(JobSize size) => size.Request.Sae is { ArePretrained: true }
        ? Sae(size) with { TrainTokens = SaeSettings.DefaultTrainTokens, BatchTokens = SaeSettings.DefaultBatchTokens } : Sae(size);

    /// <summary>Layers that a model with permuted blocks is measured at: where the request leaves them open, all.</summary>
    public static int PermutedLayers(JobSize size)
    {
        var request = size.Request;
        var layers = request.Layers?.Layers ?? [.. Enumerable.Range(0, size.Layers)];
        return layers.Count(layer => JobModes.Permuted(request.Mode!, request.Hook ?? "resid_post", layer));
    }

    /// <summary>
    /// Active features of the words of a layer. The tokens of a word share few of theirs: on two models, a token beyond the first brought 0.7 and 0.9 of its k.
    /// </summary>
    public static double NonZeros(JobSize size)
    {
        var pieces = Math.Max(1, (double)WordTokens(size) / Math.Max(1, size.Words));
        var sae = Sae(size);
        return size.Words * Math.Min(sae.DSae, size.Request.Labels!.SubwordPolicy == "last" ? sae.K : sae.K * (1 + 0.8 * (pieces - 1)));
    }

    /// <summary>What is in memory of so many columns of so many bytes: all of short ones, of long ones nothing (<see cref="ScratchSpace"/>).</summary>
    public static double Held(double bytes, int columns) => bytes < ScratchSpace.InFileFrom ? columns * bytes : 0;

    /// <summary>What is on the disk of them.</summary>
    public static double Filed(double bytes, int columns) => columns * bytes - Held(bytes, columns);

    /// <summary>What is held at a time of a model's weights: all, or, where a worker may not hold as many, the embedding twice at most, and a block.</summary>
    public static double ModelShare(JobSize size, WorkerShape worker)
    {
        if ((double)size.Model.Parameters * worker.BytesPerParameter <= worker.MaxModelBytes)
            return 1;
        var outside = 2.0 * size.Model.VocabularySize * size.Model.DModel;
        return Math.Min(1, (outside + (size.Model.Parameters - outside) / size.Model.Blocks) / size.Model.Parameters);
    }

    public static double ProbeWords(JobSize size) => Math.Min(size.Request.Information!.MaxTrainWords!.Value, TrainShare * size.Words);

    /// <summary>Tokens without those of text that has no labels.</summary>
    public static long WordTokens(JobSize size) => Math.Max(size.Words, size.Tokens - (size.Request.Dataset.ExtraTokens ?? 0));
}
