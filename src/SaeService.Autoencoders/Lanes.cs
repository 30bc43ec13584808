using System.Runtime.ExceptionServices;

namespace SaeService.Autoencoders;

/// <summary>
/// Runs the blocks of one phase on a fixed number of lanes. Which lane gets which block is left to chance, so a body must write only what
/// belongs to its block (or to scratch of its lane); sums over blocks are taken afterwards in block order. Results then do not depend on
/// the number of lanes.
/// </summary>
internal sealed class Lanes
{
    private readonly ParallelOptions options;

    public Lanes(int? count = null)
    {
        if (count is < 1 or > 1024)
            throw new ArgumentOutOfRangeException(nameof(count), count, "the number of threads must be from 1 to 1024");
        Count = count ?? Environment.ProcessorCount;
        options = new ParallelOptions { MaxDegreeOfParallelism = Count };
    }

    public int Count { get; }

    /// <param name="blocks">Number of blocks.</param>
    /// <param name="body">(block, lane); a lane is used by one thread at a time.</param>
    public void For(int blocks, Action<int, int> body)
    {
        var lanes = Math.Min(Count, blocks);
        if (lanes <= 1)
        {
            for (var block = 0; block < blocks; block++)
                body(block, 0);
            return;
        }
        var next = 0;
        try
        {
            Parallel.For(0, lanes, options, lane =>
            {
                for (var block = Interlocked.Increment(ref next) - 1; block < blocks; block = Interlocked.Increment(ref next) - 1)
                    body(block, lane);
            });
        }
        catch (AggregateException many)
        {
            ExceptionDispatchInfo.Throw(many.Flatten().InnerExceptions[0]);
        }
    }
}
