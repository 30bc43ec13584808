using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>The figures that follow from a document alone, by name. Those of a layer's features and training need rows beside it.</summary>
public static class Catalogue
{
    /// <param name="value">Of heatmaps: one of <see cref="Heatmap.Values"/>.</param>
    /// <returns>Each that the document has data for, drawn up when it is asked for.</returns>
    public static IEnumerable<Figure> Of(LayerFunctionalityDocument document, string value = "excess_f1") => Named(document, value).Select(f => f.Make()).OfType<Figure>();

    /// <returns>Null where there is none of this name, or no data for it.</returns>
    public static Figure? Find(LayerFunctionalityDocument document, string name, string value = "excess_f1") => Named(document, value).FirstOrDefault(f => f.Name == name).Make?.Invoke();

    /// <summary>What a figure is of, for those made from rows.</summary>
    public static string SourceOf(LayerFunctionalityDocument document) => Source.Of(document);

    private static IEnumerable<(string Name, Func<Figure?> Make)> Named(LayerFunctionalityDocument document, string value)
    {
        foreach (var task in document.Tasks.Select(t => t.Task))
        {
            yield return ($"heatmap-{task}", () => Heatmap.Of(document, task, value));
            yield return ($"information-{task}", () => InformationCurves.Of(document, task));
            yield return ($"information-{task}-next", () => InformationCurves.Of(document, task, next: true));
            yield return ($"depth-{task}", () => DepthPlot.Of(document, task));
            yield return ($"consistency-{task}", () => ConsistencyHistograms.Of(document, task));
            yield return ($"similarity-{task}", () => ProfileSimilarity.Of(document, task));
        }
        yield return ("aliases", () => AliasMatrix.Of(document));
    }
}
