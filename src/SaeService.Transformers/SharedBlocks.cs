using System.Runtime.ExceptionServices;

namespace SaeService.Transformers;

/// <summary>
/// The one block in memory of a model that is read block by block, for passes that run side by side: each waits at a block for all others, so that a block is
/// read once for all of them.
/// </summary>
internal sealed class SharedBlocks : IDisposable
{
    private readonly Barrier _barrier;
    private readonly Action _ended;
    private IDisposable? _held;
    private int _wanted, _holding = -1;

    /// <param name="passes">How many threads run passes.</param>
    /// <param name="read">Has a block's tensors in memory until the result is disposed of.</param>
    /// <param name="ended">Called when nothing is shared any more.</param>
    public SharedBlocks(int passes, Func<int, IDisposable> read, Action ended)
    {
        _ended = ended;
        _barrier = new(passes, _ =>
        {
            // Everyone has left the block before.
            _held?.Dispose();
            (_held, _holding) = (null, -1);
            (_held, _holding) = (read(_wanted), _wanted);
        });
    }

    /// <summary>Returns when the block is in memory, where it stays until the caller enters another or leaves.</summary>
    public void Enter(int block)
    {
        _wanted = block;
        try
        {
            _barrier.SignalAndWait();
        }
        catch (BarrierPostPhaseException e) when (e.InnerException is { } reason)
        {
            ExceptionDispatchInfo.Throw(reason);
        }
        if (_holding != block)
            throw new InvalidOperationException($"one pass is at block {block}, another at block {_holding}");
    }

    /// <summary>Said once by each thread that has no more passes to run: the others do not wait for it any more.</summary>
    public void Leave()
    {
        try
        {
            _barrier.RemoveParticipant();
        }
        catch (BarrierPostPhaseException)
        {
            // The others waited for this thread only, and the block could not be read: it is theirs to say so.
        }
    }

    public void Dispose()
    {
        _held?.Dispose();
        _barrier.Dispose();
        _ended();
    }
}
