using System.Globalization;
using SaeService.Contracts;

namespace SaeService.Api.Requests;

/// <summary>What a job will need, roughly but never by an order of magnitude, against what it may use.</summary>
public sealed class ResourceEstimate(ServiceSettings settings)
{
    /// <summary>Sub-word tokens a word; between 1.2 (English, large vocabularies) and 4 (small vocabularies).</summary>
    private const double TokensPerWord = 1.6;
    private const int FloatBytes = 4;

    /// <summary>Of autoencoders that are not here yet, as published ones mostly are.</summary>
    private const int UsualExpansion = 32;

    /// <param name="pretrained">Width of autoencoders that are not trained, where it is known.</param>
    /// <exception cref="ProblemException">insufficient_resources, with the numbers.</exception>
    public void Require(JobRequest request, int layers, Model model, Dataset dataset, int? pretrained = null)
    {
        double words = dataset.Fetched ? Math.Min(request.Dataset.MaxWords!.Value, dataset.Words) : request.Dataset.MaxWords!.Value;
        var dSae = (double)(request.Sae!.DSae ?? pretrained ?? UsualExpansion * model.DModel);
        double batch = request.Sae.BatchTokens ?? 2048; // or as many as are encoded at a time

        var tokens = words * TokensPerWord + (request.Dataset.ExtraTokens ?? 0);

        // Activations of every asked layer at once; weights and a checkpoint with both Adam moments for each autoencoder.
        var disk = (tokens * model.DModel * layers + 4 * 2 * dSae * model.DModel * layers) * FloatBytes;
        // The larger of two stages: the model with its logits for one context; an autoencoder with gradient and moments, and the pre-activations of a batch.
        var capture = model.Parameters + (double)request.ContextLength!.Value * model.VocabularySize * 2;
        var train = 4 * 2 * dSae * model.DModel + 2 * batch * dSae;
        var memory = Math.Max(capture, train) * FloatBytes;

        var mayDisk = settings.Limits.MaxDiskBytes ?? FreeBytes(settings.ArtifactsRoot);
        var mayMemory = settings.Limits.MaxMemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (disk > mayDisk)
            throw Refusal("disk", disk, mayDisk, "ask for fewer layers, or lower dataset.max_words or extra_tokens", "$.layers");
        if (memory > mayMemory)
            throw Refusal("memory", memory, mayMemory, train > capture ? "lower sae.expansion or sae.batch_tokens" : "use a smaller model or context_length", train > capture ? "$.sae" : "$.model.id");
    }

    private static ProblemException Refusal(string what, double needs, double may, string remedy, string path) => new(ProblemCodes.InsufficientResources,
        string.Create(CultureInfo.InvariantCulture, $"needs about {needs / (1L << 20):N0} MiB of {what}, and may use {may / (1L << 20):N0} MiB; {remedy}"), path);

    private static long FreeBytes(string folder) => new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
}
