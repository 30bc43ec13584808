using SaeService.Autoencoders;
using SaeService.Contracts;

namespace SaeService.Estimates;

/// <summary>Bytes of the files that a job has at its peak, which is just before it ends: activations are deleted then, the rest stays with the job.</summary>
internal static class JobDisk
{
    /// <param name="checkpoints">Whether training takes long enough to write any.</param>
    public static Dictionary<string, long> Of(JobSize size, bool checkpoints)
    {
        double words = size.Words, tasks = size.Labels.Count;
        var all = JobShapes.Saes(size);
        var autoencoder = all.Sum(s => SaeMemory.Weights(s.DIn, s.DSae));
        var codes = (long)(size.Layers * (8 * JobShapes.NonZeros(size) + 8 * words));
        var labels = (long)Labellings(size);
        return new()
        {
            ["activations"] = Models(size) * (4L * size.Tokens * size.Model.DModel * size.Layers + size.Tokens * size.Layers + size.Words),
            ["autoencoders"] = size.Layers * autoencoder,
            // Where training takes long enough for any, of the layer that is trained last, the new one written before the old one goes; what comes of the
            // layer later takes their place.
            ["checkpoint"] = !checkpoints ? 0 : Math.Max(0, 2 * all.Sum(s => SaeMemory.Checkpoint(s.DIn, s.DSae)) - autoencoder - codes - labels),
            ["codes"] = codes,
            ["corpus"] = (long)(5 * size.Tokens + words * (50 + 4 * tasks) + words * (40 + 12 * tasks)),
            ["labels"] = labels,
            // While random directions are matched: the packed corpus, its words as numbers, the codes, twice as many projections, and the codes that come of these.
            ["scratch"] = (long)(JobShapes.Filed(4.0 * size.Tokens, 1) + JobShapes.Filed(4 * words, 13 + 3 * (int)tasks) + JobShapes.Filed(4 * JobShapes.NonZeros(size), 8)
                + JobShapes.Filed(8 * words, 3)),
        };
    }

    /// <summary>The trained one and those that are not.</summary>
    private static int Models(JobSize size) => 1 + (JobModes.Untrained(size.Request.Mode!) ? 1 : 0) + (JobShapes.PermutedLayers(size) > 0 ? 1 : 0);

    /// <summary>Labellings of a layer: its autoencoder's, shuffled, of random directions, of comparison dictionaries in both ways, of untrained models.</summary>
    private static int Labelled(JobSize size) =>
        1 + Models(size) + JobModes.RandomRepeats(size.Request.Mode!) + (JobModes.Comparisons(size.Request.Mode!) ? 8 : 0);

    /// <summary>What is known of each layer's labels and information, as JSON.</summary>
    public static double Labellings(JobSize size) =>
        size.Layers * (double)Labelled(size) * size.Labels.Sum(labels => labels * (1500 + 6.0 * 0.4 * size.Documents))
        + Models(size) * size.Layers * size.Labels.Sum(labels => labels * 8.0 * 0.2 * size.Documents * 3);
}
