using SaeService.Contracts;

namespace SaeService.Figures.Data;

/// <summary>Labels of different tasks that are two names of one thing (method section 6, picture 7). The document names the pairs, not how near each is.</summary>
public static class AliasMatrix
{
    /// <returns>Null where no two labels are.</returns>
    public static Figure? Of(LayerFunctionalityDocument document)
    {
        var panels = new List<Panel>();
        var pairs = 0;
        for (var a = 0; a < document.Tasks.Count; a++)
            for (var b = a + 1; b < document.Tasks.Count; b++)
            {
                var (left, right) = (document.Tasks[a], document.Tasks[b]);
                var rows = left.Profiles.Where(p => p.Aliases.Any(alias => right.Profiles.Any(q => alias == $"{right.Task}:{q.Label}"))).Take(Source.MostRows).ToList();
                var columns = right.Profiles.Where(q => rows.Any(p => p.Aliases.Contains($"{right.Task}:{q.Label}"))).ToList();
                if (rows.Count == 0)
                    continue;
                var values = rows.Select(p => (IReadOnlyList<double?>)[.. columns.Select(q => p.Aliases.Contains($"{right.Task}:{q.Label}") ? 1.0 : (double?)null)]).ToList();
                pairs += values.Sum(row => row.Count(v => v is not null));
                panels.Add(new Panel($"{left.Task} and {right.Task}", PlotAxis.Of(right.Task, [.. columns.Select(q => q.Label)]), PlotAxis.Of(left.Task, [.. rows.Select(p => p.Label)]))
                {
                    Grid = new Grid(values, [.. values.Select(row => (IReadOnlyList<CellState>)[.. row.Select(_ => CellState.Plain)])], new ColourScale("", 0, 1.4, false), -1),
                });
            }
        return panels.Count == 0 ? null : new Figure("aliases", "Labels of two tasks on nearly the same words", $"Matrix of labels of one task by labels of another; {pairs} pairs are marked.",
            $"Marked: the Jaccard index of the two labels' sets of words is at least 0.8, so that what is found of one is found of the other. Labels without such a partner are left out. {Source.Of(document)}", panels);
    }
}
