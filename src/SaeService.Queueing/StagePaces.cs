using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Storage;

namespace SaeService.Queueing;

/// <summary>
/// How fast this service's workers are: what the stages of its last finished jobs took, over what was estimated for them. Nobody has to measure a machine,
/// or to say which one will take a job.
/// </summary>
public static class StagePaces
{
    private const int Jobs = 20;

    /// <returns>By stage: measured seconds over those of the default pace. Stages of which nothing is known are left out.</returns>
    public static async Task<IReadOnlyDictionary<string, double>> ReadAsync(SaeDbContext db, CancellationToken cancellation = default)
    {
        var estimates = await db.Jobs.Where(x => x.Status == JobStatus.Succeeded && x.EstimateJson != null).OrderByDescending(x => x.Id).Take(Jobs)
            .Select(x => new { x.Id, x.EstimateJson }).ToDictionaryAsync(x => x.Id, x => x.EstimateJson!, cancellation);
        // A stage that was tried again, or went on from a checkpoint, says nothing.
        var stages = await db.Stages.Where(x => estimates.Keys.Contains(x.JobId) && x.Attempt == 1 && x.StartedAt != null && x.FinishedAt != null)
            .Select(x => new { x.JobId, x.Kind, x.StartedAt, x.FinishedAt }).ToListAsync(cancellation);
        var measured = new Dictionary<string, (double Seconds, double Estimated)>();
        foreach (var job in stages.GroupBy(x => x.JobId))
        {
            var estimate = JsonSerializer.Deserialize<JobEstimate>(estimates[job.Key], Wire.Json)!;
            var layers = await db.Jobs.Where(x => x.Id == job.Key).Select(x => x.Layers.Length).SingleAsync(cancellation);
            foreach (var kind in job.GroupBy(x => x.Kind))
            {
                var name = kind.Key.Name();
                if (estimate.Parts?.Seconds.GetValueOrDefault(name) is > 0 and var seconds)
                {
                    var whole = StagePlan.IsWhole(kind.Key) ? 1 : layers;
                    var (took, expected) = measured.GetValueOrDefault(name);
                    measured[name] = (took + kind.Sum(x => (x.FinishedAt!.Value - x.StartedAt!.Value).TotalSeconds),
                        expected + seconds / estimate.Pace.GetValueOrDefault(name, 1) * kind.Count() / whole);
                }
            }
        }
        return measured.ToDictionary(x => x.Key, x => Math.Clamp(x.Value.Seconds / x.Value.Estimated, 0.01, 100));
    }
}
