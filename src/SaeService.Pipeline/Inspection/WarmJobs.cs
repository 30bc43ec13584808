using SaeService.Contracts;
using SaeService.Estimates;

namespace SaeService.Pipeline.Inspection;

/// <summary>
/// The jobs whose models this worker keeps in memory for inspections, within what it may hold beside the stage at work. A stage comes first: before it begins,
/// what does not fit beside its estimate is given up, and while it runs nothing is read that would not. So a job needs what it was estimated to, inspections or
/// not; only their rows in flight and a text's vectors, some megabytes, come on top. On a GPU, whose memory is in no estimate, everything is given up
/// before every stage.
/// </summary>
public sealed class WarmJobs(WorkerOptions worker) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<(WarmJob Job, long Used)> _jobs = []; // the longest unused first
    private (StageKind Kind, JobEstimate? Estimate)? _stage;

    /// <summary>Makes room for a stage, and keeps it until the result is disposed of. Waits for the inspection in progress.</summary>
    /// <param name="estimate">Of its job; null: nobody knows, and it is left half of what there is.</param>
    public IDisposable GiveWayTo(StageKind kind, JobEstimate? estimate)
    {
        lock (_gate)
        {
            _stage = (kind, estimate);
            var given = false;
            while (_jobs.Count > 0 && (worker.IsCuda || _jobs.Sum(j => j.Job.Bytes) > MayHold))
            {
                GiveUpFirst();
                given = true;
            }
            // At once, or the stage's memory comes on top.
            if (given)
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
        return new Room(this);
    }

    /// <summary>Gives up what nobody has asked for of late.</summary>
    public void GiveUpIdle()
    {
        lock (_gate)
            while (_jobs.Count > 0 && TimeProvider.System.GetElapsedTime(_jobs[0].Used) > worker.WarmFor)
                GiveUpFirst();
    }

    internal bool Holds(Guid job)
    {
        lock (_gate)
            return _jobs.Exists(j => j.Job.Id == job);
    }

    /// <summary>Works with a job, which is loaded where it is not held; no stage begins meanwhile.</summary>
    /// <param name="load">Told the bytes that it may hold.</param>
    /// <param name="use">Told the same.</param>
    internal T Use<T>(Guid id, Func<long, WarmJob> load, Func<WarmJob, long, T> use)
    {
        lock (_gate)
        {
            var at = _jobs.FindIndex(j => j.Job.Id == id);
            WarmJob job;
            if (at >= 0)
            {
                job = _jobs[at].Job;
                _jobs.RemoveAt(at);
            }
            else
            {
                while (_jobs.Count >= Math.Max(1, worker.WarmJobs))
                    GiveUpFirst();
                job = load(MayHold - _jobs.Sum(j => j.Job.Bytes));
            }
            _jobs.Add((job, TimeProvider.System.GetTimestamp()));
            return use(job, MayHold - _jobs.SkipLast(1).Sum(j => j.Job.Bytes));
        }
    }

    public void Dispose()
    {
        lock (_gate)
            while (_jobs.Count > 0)
                GiveUpFirst();
    }

    private long MayHold
    {
        get
        {
            var limit = (worker.MaxMemoryBytes ?? MachineLimits.AvailableMemory) - JobEstimator.RuntimeBytes;
            if (_stage is not { } stage)
                return limit;
            return stage.Estimate?.Parts?.MemoryBytes.TryGetValue(stage.Kind.Name(), out var bytes) == true ? limit - bytes : limit / 2;
        }
    }

    private void GiveUpFirst()
    {
        _jobs[0].Job.Dispose();
        _jobs.RemoveAt(0);
    }

    private sealed class Room(WarmJobs warm) : IDisposable
    {
        public void Dispose()
        {
            lock (warm._gate)
                warm._stage = null;
        }
    }
}
