using Microsoft.EntityFrameworkCore;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Datasets;

/// <summary>
/// Removes what uploads left that ended with their process: folders under <c>datasets/</c> that no row names. What is still being written
/// there is younger than <see cref="QueueOptions.OrphanAge"/>; unfinished files beside a data set are of the reconciler, as those of jobs.
/// </summary>
public sealed partial class UploadSweeper(ArtifactStore artifacts, IDbContextFactory<SaeDbContext> contexts, QueueOptions options, TimeProvider time, ILogger<UploadSweeper> logger)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.SweepInterval, time);
        try
        {
            do
            {
                try
                {
                    if (await SweepAsync(stoppingToken) is > 0 and var removed)
                        Swept(logger, removed);
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    // Postgres or the share may be away for a while; the next round finds it back.
                    SweepFailed(logger, error);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // The service stops.
        }
    }

    /// <returns>How many folders were removed.</returns>
    public async Task<int> SweepAsync(CancellationToken ct = default)
    {
        var root = new DirectoryInfo(artifacts.Path(DatasetUpload.Folder));
        if (!root.Exists)
            return 0;
        // Folders before rows: an upload that is published meanwhile is young, and one that was published before is seen.
        var before = time.GetUtcNow().UtcDateTime - options.OrphanAge;
        var stale = root.EnumerateDirectories().Where(folder => Guid.TryParseExact(folder.Name, "D", out _) && LastWrite(folder) < before).ToList();
        if (stale.Count == 0)
            return 0;
        var ids = stale.ConvertAll(folder => Guid.ParseExact(folder.Name, "D"));
        await using var db = await contexts.CreateDbContextAsync(ct);
        var known = (await db.Datasets.AsNoTracking().Where(x => ids.Contains(x.Id)).Select(x => x.Id).ToListAsync(ct)).ToHashSet();
        var removed = 0;
        foreach (var (id, folder) in ids.Zip(stale))
            if (!known.Contains(id) && Remove(folder))
                removed++;
        return removed;
    }

    private static DateTime LastWrite(DirectoryInfo folder) =>
        folder.EnumerateFiles("*", SearchOption.AllDirectories).Select(file => file.LastWriteTimeUtc).Append(folder.LastWriteTimeUtc).Max();

    private static bool Remove(DirectoryInfo folder)
    {
        try
        {
            folder.Delete(recursive: true);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return false; // another Api was first
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A sweep of unfinished uploads failed")]
    private static partial void SweepFailed(ILogger logger, Exception error);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed {Count} folders of uploads that ended with their process")]
    private static partial void Swept(ILogger logger, int count);
}
