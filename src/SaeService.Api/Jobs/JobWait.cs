using Microsoft.EntityFrameworkCore;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Jobs;

/// <summary>Waiting for a job's end on its signals, with a look now and then in case one was lost.</summary>
public static class JobWait
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);

    public static bool Ended(JobStatus status) => status is JobStatus.Succeeded or JobStatus.Failed or JobStatus.Cancelled;

    public static async Task UntilEndedAsync(Guid id, JobHead head, TimeSpan patience, SaeDbContext db, JobSignals signals, TimeProvider time, HttpContext context)
    {
        var ct = context.RequestAborted;
        using var signal = signals.Follow(id);
        var end = time.GetUtcNow() + patience;
        JobStatus? status = head.Status;
        while (status is { } now && !Ended(now) && end - time.GetUtcNow() is { Ticks: > 0 } left)
        {
            await signal.WaitAsync(left < s_look ? left : s_look, ct);
            status = await db.Jobs.AsNoTracking().Where(x => x.Id == id).Select(x => (JobStatus?)x.Status).SingleOrDefaultAsync(ct);
        }
    }
}
