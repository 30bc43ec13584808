using System.Globalization;
using SaeService.Corpora;

namespace SaeService.Pipeline.Inspection;

/// <summary>What must be known to read an answer rightly, each said once.</summary>
internal sealed class Caveats
{
    private readonly List<string> _all = [];

    public IReadOnlyList<string> All => _all;

    public void Add(string caveat) => _all.Add(caveat);

    public void OfText(InspectedText text, PackingSettings packing)
    {
        if (text.Words.Any(w => w.NotMeasured == "first-position"))
            Add($"Words that begin in the first {packing.ExcludedCount} positions of a text are not measured, as in the job: models put what is no word's own there.");
        if (text.Words.Any(w => w.NotMeasured is not (null or "first-position")))
            Add("Some words have no token of their own, or too many, and are not measured, as in the job; not_measured says which and why.");
        if (TextWords.HasUnspacedScript(string.Concat(text.Words.Select(w => w.Text))))
            Add("Part of the text is in a script without spaces between words: it is cut by characters, or not at all, and not as the job's data set may have it.");
    }

    /// <param name="layersOfWords">By word, the layers at which it is an attention sink.</param>
    public void OfSinks(IEnumerable<IReadOnlyList<int>> layersOfWords)
    {
        int[] layers = [.. layersOfWords.SelectMany(x => x).Distinct().Order()];
        if (layers.Length > 0)
            Add(string.Create(CultureInfo.InvariantCulture, $"Words whose last token is an attention sink are left out at every layer, as in the job: its vector is more than {NormFilters.Multiple} times as long as the median of the layer, here at layer{(layers.Length == 1 ? "" : "s")} {string.Join(", ", layers)}."));
    }

    /// <param name="predicts">As in the answer.</param>
    public void OfLens(string? predicts, string hook)
    {
        if (predicts is null)
            Add("The model has no head that names tokens: there is no lens.");
        if (predicts == "same")
            Add("The model fills in masks: the lens names what its head would put at a position, which it sees.");
        if (predicts is not null)
            Add("The lens leaves out the layers that follow: in the first ones it says little of what the model knows there.");
        if (predicts is not null && hook is "attn_out" or "mlp_out")
            Add($"The features are of {hook}; the lens is read from the residual stream behind the same block.");
    }
}
