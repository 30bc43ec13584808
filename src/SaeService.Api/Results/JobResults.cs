using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Api.Results;

/// <summary>What finished jobs found, in a sentence each, from their cells: their documents are too large to be read for a list.</summary>
public static class JobResults
{
    /// <returns>By job; jobs without cells have none.</returns>
    public static async Task<IReadOnlyDictionary<Guid, string>> OfAsync(SaeDbContext db, IReadOnlyCollection<Guid> jobs, CancellationToken ct)
    {
        var cells = await db.Cells.AsNoTracking().Where(x => jobs.Contains(x.JobId))
            .GroupBy(x => new { x.JobId, x.Task, x.Label })
            .Select(x => new { x.Key.JobId, Layers = x.Count(c => c.Status == CellStatus.Established) }).ToListAsync(ct);
        return cells.GroupBy(x => x.JobId).ToDictionary(x => x.Key, x => x.Count(label => label.Layers > 0) is > 0 and var labels
            ? $"{labels} of {x.Count()} labels established, in {x.Sum(label => label.Layers)} cells of layer and label."
            : $"None of {x.Count()} labels is established at any layer.");
    }
}
